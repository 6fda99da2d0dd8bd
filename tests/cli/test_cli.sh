#!/bin/bash
# test_cli.sh - exit codes and messages of the command line: what a wrong argument,
# a closed pipe and a full disk are answered with.  $VOXCL_BINARY is the program.
set -u
voxcl=$VOXCL_BINARY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0 failures=0

# expect CODE PATTERN ARGUMENT... - runs voxcl; PATTERN (extended, over all lines
# joined by spaces) must be found in what it printed.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$voxcl" "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    checks=$((checks + 1))
    if [ $got != "$code" ] || ! tr '\n' ' ' < "$work/out" | grep -Eq -- "$pattern"; then
        failures=$((failures + 1))
        echo "FAILED: voxcl $*: exit $got, wanted $code and /$pattern/; it printed:"
        sed 's/^/    /' "$work/out"
    fi
}

# ---- the frame ----
expect 2 'voxcl: error: a command is missing +hint: see "voxcl help"'
expect 2 'error: there is no command "xyzzy" +hint: see "voxcl help"' xyzzy
expect 2 'no command "hlp" +hint: did you mean "voxcl help"' hlp
expect 2 'there is no option --jason before a command' --jason
expect 2 'there is no command ""' ''
expect 0 '^voxcl [0-9]+\.[0-9]+\.[0-9]+ $' --version
expect 0 'usage: voxcl COMMAND .*commands:.*exit codes: 0 done' --help
expect 0 'usage: voxcl COMMAND' help
expect 2 'no command "nothing"' help nothing

if [ -e /dev/full ]; then
    "$voxcl" help > /dev/full 2> "$work/out"
    if [ $? != 1 ] || ! grep -q 'error: cannot write to standard output' "$work/out"; then
        failures=$((failures + 1))
        echo "FAILED: a full standard output was not noticed"
    fi
    checks=$((checks + 1))
fi

# ---- what every command owes ----
for command in $("$voxcl" help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    [ "$command" != help ] || continue
    expect 0 "^usage: voxcl $command" "$command" --help
    expect 0 "^usage: voxcl $command" "$command" -h
    expect 0 "^usage: voxcl $command" help "$command"
    expect 2 "^voxcl: error: .*hint: " "$command" --no-such-option
    expect 2 "^voxcl: error: .*hint: " "$command" -Z
    noise=$({ "$voxcl" "$command" --help | head -n 1 > /dev/null; } 2>&1)
    checks=$((checks + 1))
    if [ -n "$noise" ]; then
        failures=$((failures + 1))
        echo "FAILED: voxcl $command --help | head: $noise"
    fi
done

# ---- devices ----
expect 2 'devices has no place for "x"' devices x
expect 2 'devices has no option --jsn +hint: did you mean --json' devices --jsn
expect 2 '--json takes no value' devices --json=1
expect 0 'platforms?, [0-9]+ devices? +\[0\] .*usable +(yes|no: )' devices
expect 0 '^\{ +"platforms": [0-9]+, +"devices": \[ +\{ +"index": 0,' devices --json
OCL_ICD_VENDORS=/nonexistent-folder expect 1 'error: no OpenCL device was found .*hint: install' devices

echo "$checks checks, $failures failed"
[ $failures = 0 ]
