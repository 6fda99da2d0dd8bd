# expect.sh - what the command line's tests share: a folder $work that goes away with the script,
# counters, and expect.  $VOXCL_BINARY is the program.  To be sourced first.
set -u
voxcl=$VOXCL_BINARY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0 failures=0

fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

# expect CODE PATTERN ARGUMENT... - runs voxcl; PATTERN (extended, over all lines joined by spaces)
# must be found in what it printed, which is left in $work/out.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$voxcl" "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    checks=$((checks + 1))
    if [ $got != "$code" ] || ! tr '\n' ' ' < "$work/out" | grep -Eq -- "$pattern"; then
        fail "voxcl $*: exit $got, wanted $code and /$pattern/; it printed:"
        sed 's/^/    /' "$work/out"
    fi
}
