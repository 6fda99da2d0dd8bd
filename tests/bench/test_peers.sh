#!/bin/bash
# test_peers.sh - ci/bench-peers: what wrong shapes and names are answered with, and, where PyTorch is
# at hand, that both sides of a tiny shape are measured.  No timing is judged.
# $VOXCL_BINARY is the program.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0 failures=0
python=$(command -v python3) || { echo "skipped: there is no python3"; exit 77; }

# expect CODE PATTERN ARGUMENT...
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$python" ci/bench-peers "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    checks=$((checks + 1))
    if [ $got != "$code" ] || ! tr '\n' ' ' < "$work/out" | grep -Eq -- "$pattern"; then
        failures=$((failures + 1))
        echo "FAILED: bench-peers $*: exit $got, wanted $code and /$pattern/; it printed:"
        sed 's/^/    /' "$work/out"
    fi
}

shapes() { # a file of one line
    printf '%s\n' "$1" > "$work/shapes.txt"
}

expect 0 'usage: ci/bench-peers' --help
expect 2 'no row is named nothing +hint: there are alexnet-conv1, ' --only nothing
expect 2 'rounds takes 1 to 1000' --rounds 0
expect 1 'there is no program /nonexistent' --voxcl /nonexistent
expect 1 'cannot read .*No such file' --shapes "$work/none.txt"
shapes 'short 1 2 3'
expect 1 'shapes.txt:1: a shape has a name and 15 numbers, here are 4 words' --shapes "$work/shapes.txt"
shapes 'word 1 1 4 4 4 2 3 3 3 1 1 1 1 1 x'
expect 1 'shapes.txt:1: not a whole number' --shapes "$work/shapes.txt"
shapes 'none 1 0 4 4 4 2 3 3 3 1 1 1 1 1 1'
expect 1 'shapes.txt:1: sizes are at least 1' --shapes "$work/shapes.txt"
shapes 'large 1 1 4 4 4 2 7 7 7 1 1 1 1 1 1'
expect 1 'shapes.txt:1: the kernel is larger' --shapes "$work/shapes.txt"
printf 'a 1 1 4 4 4 2 3 3 3 1 1 1 1 1 1\na 1 1 4 4 4 2 3 3 3 1 1 1 1 1 1\n' > "$work/shapes.txt"
expect 1 'shapes.txt:2: there is already a shape a' --shapes "$work/shapes.txt"

# both sides, with a volume and an image
printf 'tiny 2 3 4 5 6 5 3 3 3 1 2 1 1 1 1\nimage 1 3 1 9 9 5 1 3 3 1 2 2 0 1 1\n' > "$work/shapes.txt"
if "$python" -c 'import torch' 2> /dev/null || /usr/bin/python3 -c 'import torch' 2> /dev/null; then
    run=(--shapes "$work/shapes.txt" --only tiny --only image --rounds 1 --repeat 1)
    expect 0 'PyTorch [0-9.]+.* tiny +fwd .* tiny +bwd_data .* tiny +bwd_weights .* image +bwd_weights' "${run[@]}"
    expect 0 'all +voxcl is faster in [0-9]+ of 6 rows; geometric mean' "${run[@]}" --tune off
    expect 0 '"rows": \[ .*"pass": "bwd_weights"' "${run[@]}" --json
    "$python" -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert [r["name"] for r in d["rows"]] == ["tiny"] * 3 + ["image"] * 3, d
assert d["summary"]["all"]["rows"] == 6 and d["summary"]["fwd"]["rows"] == 2, d
assert all(r["voxcl_s"] > 0 and r["torch_s"] > 0 and r["voxcl_gflops"] > 0 for r in d["rows"]), d
' "$work/out" || failures=$((failures + 1))
    checks=$((checks + 1))
else
    expect 1 'no Python with PyTorch was found .*hint: install' --only alexnet-conv1
fi

echo "$checks checks, $failures failures"
[ $failures = 0 ]
