# expect.sh - what the command line's tests share: a folder $work that goes away with the script,
# counters, expect, and the losses of runs.  $VOXCL_BINARY is the program.  To be sourced first.
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

# losses RUN - of its steps and validations, in their order
losses() { sed -n 's/.*"loss": \([^,]*\),.*/\1/p' "$1/metrics.jsonl"; }

# same_losses A B N - runs of as many losses, N at least, none further than 1e-5 from the other's
same_losses() {
    checks=$((checks + 1))
    paste <(losses "$1") <(losses "$2") | awk -v a="$1" -v b="$2" -v least="$3" '
        { d = ($1 - $2) / $1; if (d < 0) d = -d; if (!(d <= 1e-5)) { bad = 1; print a, b, "line", NR, $1, $2 } }
        END { exit bad || NR < least }' || fail "the losses of $1 and $2 differ"
}
