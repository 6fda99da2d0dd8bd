#!/bin/bash
# test_synth.sh - voxcl synth: what it says, and what it answers to a wrong call.
# $VOXCL_BINARY is the program.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect CODE PATTERN ARGUMENT...
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$VOXCL_BINARY" synth "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    if [ $got != "$code" ] || ! tr '\n' ' ' < "$work/out" | grep -Eq -- "$pattern"; then
        failures=$((failures + 1))
        echo "FAILED: voxcl synth $*: exit $got, wanted $code and /$pattern/; it printed:"
        sed 's/^/    /' "$work/out"
    fi
}

expect 0 "wrote $work/set.*voxcl train models/prostatex-quickstart.yaml --data $work/set" \
    prostate "$work/set" --patients 1 --seed 3
if grep -q 'built without' "$work/out"; then
    echo "skipped: built without GDCM"
    exit 77
fi
[ -f "$work/set/README.txt" ] || failures=$((failures + 1))
expect 1 'exists and is not an empty folder.*hint:' prostate "$work/set" --patients 1
expect 2 'no kind of synthetic data "prostat".*did you mean "prostate"' prostat "$work/x"
expect 2 'error: ' prostate
expect 2 'error: ' prostate "$work/x" more
expect 2 'patients' prostate "$work/x" --patients 0
expect 2 'patients' prostate "$work/x" --patients 99999
expect 0 "wrote $work/ct.*voxcl train models/lung-nodule-unet3d.yaml" nodule "$work/ct" --patients 1 --size 12
expect 0 "wrote $work/mr.*voxcl train models/brain-tumour-unet3d.yaml" tumour "$work/mr" --patients 1 --size 12,16,20
"$VOXCL_BINARY" convert --info "$work/mr/imagesTr/BRATS_001.nii.gz" | grep -q '4 channels of (12, 16, 20)' ||
    { failures=$((failures + 1)); echo "FAILED: --size 12,16,20"; }
expect 2 'sizes of its own' prostate "$work/x" --size 12
expect 2 '4 x 4 x 4 voxels cannot be made.*8 to 1024' nodule "$work/x" --size 4
for size in 12, 1,2 a 0 12,12,12,12 12x; do
    expect 2 'not one length or three' nodule "$work/x" --size "$size"
done
expect 2 'seed' prostate "$work/x" --seed minus
# A file over the limit is a failed write, not a killed process and half a folder.
(ulimit -f 8 && "$VOXCL_BINARY" synth prostate "$work/limited" --patients 1) > "$work/out" 2>&1
if [ $? != 1 ] || ! grep -q 'error: cannot write ' "$work/out" || ls "$work" | grep -q limited; then
    failures=$((failures + 1))
    echo "FAILED: a limit on the size of files: $(cat "$work/out"; ls "$work")"
fi
[ ! -e "$work/x" ] || failures=$((failures + 1))
[ $failures = 0 ] || exit 1
echo "ok"
