#!/bin/bash
# test_convert.sh GOLDEN - voxcl convert: what it prints, what it writes, how it fails.
# $VOXCL_BINARY is the program, GOLDEN the folder tests/golden/formats.
set -u
voxcl=$VOXCL_BINARY golden=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0 failures=0

fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

# expect CODE PATTERN ARGUMENT... - runs voxcl convert; PATTERN (extended, over all lines joined
# by spaces) must be found in what it printed.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$voxcl" convert "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    checks=$((checks + 1))
    if [ $got != "$code" ] || ! tr '\n' ' ' < "$work/out" | grep -Eq -- "$pattern"; then
        fail "convert $*: exit $got, wanted $code and /$pattern/; it printed: $(cat "$work/out")"
    fi
}

# quiet ARGUMENT... - must succeed and print nothing.
quiet() {
    checks=$((checks + 1))
    "$voxcl" convert "$@" > "$work/out" 2>&1 < /dev/null || fail "convert $*: $(cat "$work/out")"
    [ ! -s "$work/out" ] || fail "convert $* printed: $(cat "$work/out")"
}

# same A B - the two files must be equal byte for byte.
same() {
    checks=$((checks + 1))
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

expect 2 'convert needs IN'
expect 2 'the name to write to is missing' a
expect 2 'takes one file, "b" is a second' --info a b
expect 2 '--json goes with --info' --json a b
expect 2 'cannot tell the format .*hint: end it in \.npy' "$golden/u1.npy" "$work/x"
expect 1 'cannot open /nonexistent' --info /nonexistent
expect 1 'the folder holds no DICOM images' --info "$work"

expect 0 'format +metaimage, int16 shape +1 channel of \(3, 4, 5\) voxels .*spacing +\(3, 1\.5, 0\.75\) mm' \
    --info "$golden/i2.mha"
expect 0 'origin +\(-10\.5, 20\.25, 30\) .*\(-0\.6, 0\.8, 0\) of d .*range +-27500 to 31000' \
    --info "$golden/i2.mha"
expect 0 'geometry +none' --info "$golden/u1.npy"
expect 0 '"type": "uint16".*"size": \[3, 4, 5\].*"spacing_mm": \[3, 1\.5, 0\.75\].*"max": 58500' \
    --info --json "$golden/series"


# through every format and back: the same array
"$voxcl" convert "$golden/i2le.npy" "$work/a.npy" || fail "npy to npy"
for ending in mha mhd nii nii.gz; do
    quiet "$work/a.npy" "$work/b.$ending"
    quiet "$work/b.$ending" "$work/c.npy"
    same "$work/a.npy" "$work/c.npy"
done
quiet "$golden/series" "$work/d.zraw" # the geometry comes along
expect 0 '"spacing_mm": \[3, 1\.5, 0\.7[45]' --info --json "$work/d.mhd"
quiet "$golden/series" "$work/slices/"
quiet "$golden/series" "$work/slices/"
[ "$(ls "$work/slices" | tr '\n' ' ')" = 'slice_0000.png slice_0001.png slice_0002.png ' ] ||
    fail "slices: $(ls "$work/slices")"

# a failure leaves what was there
head -c 200 "$golden/f4le.npy" > "$work/cut.npy"
cp "$work/a.npy" "$work/keep.npy"
expect 1 'bad numpy file +detail: .*cut\.npy: .*hint: the file was cut short' "$work/cut.npy" \
    "$work/keep.npy"
same "$work/a.npy" "$work/keep.npy"
expect 1 'cannot write /nonexistent/x\.npy' "$work/a.npy" /nonexistent/x.npy
if [ -e /dev/full ]; then
    "$voxcl" convert --info "$work/a.npy" > /dev/full 2> "$work/out" && fail "a full disk unnoticed"
fi
left=$(find "$work" -name '*.tmp*')
[ -z "$left" ] || fail "left behind: $left"

echo "$checks checks, $failures failures"
[ "$failures" = 0 ]
