#!/bin/bash
# test_cli.sh - exit codes and messages of the command line: what a wrong argument,
# a closed pipe and a full disk are answered with.  $VOXCL_BINARY is the program.
. "$(dirname "$0")/expect.sh"

# ---- the frame ----
expect 2 'voxcl: error: a command is missing +hint: see "voxcl --help"'
expect 2 'error: there is no command "xyzzy" +hint: see "voxcl --help"' xyzzy
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
expect 0 ' parts +can(not be split| be split into up to [0-9]+ sub-devices)' devices
expect 0 '"max_parts": [0-9]+, .*"parts_share": (true|false)' devices --json
expect 2 'device 0 is named twice +hint: 0/2 makes two' bench peak --devices 0,0
expect 2 'cannot read the device list ","' bench peak --devices ,
expect 2 'device 0 cannot be split into 0 parts' bench peak --devices 0/0
expect 2 'device 0 cannot be split into 1000000 parts +detail: ' bench peak --devices 0/1000000
OCL_ICD_VENDORS=/nonexistent-folder expect 1 'error: no OpenCL device was found .*hint: install' devices

# ---- tune ----
expect 2 'tune needs EXP' tune
expect 2 '--tune takes off, quick or full, not "fast"' tune x.yaml --tune fast
expect 2 '--tune takes off, quick or full, not "on"' train x.yaml --tune on
expect 2 '--budget takes a whole number' bench step x.yaml --budget 0
expect 1 'x.yaml' tune x.yaml

# ---- bench ----
expect 2 'bench needs KIND' bench
expect 2 'bench ladder needs KIND' bench ladder
expect 2 'there is no ladder "convolution" +hint: there are: conv, gemm, reduce, softmax' bench ladder convolution
expect 2 'bench op needs NAME' bench op
expect 2 'bench op relu needs --in' bench op relu
expect 2 'no operation "rleu" +hint: there are: relu,' bench op rleu --in 1
expect 2 'bench op relu: there is no meaning to "k=1"' bench op relu --in 1 k=1
expect 0 'pass +layout +algorithm .*forward +plain +flat' bench op relu --in 2,3 --repeat 1
expect 2 'bench peak has no place for "x"' bench peak x
expect 1 'no-such-device. matches none of' bench peak --devices no-such-device
expect 2 'no benchmark "redcue" +hint: did you mean "voxcl bench reduce"' bench redcue
expect 2 'bench reduce has no option --bits +hint: .*--bytes' bench reduce --bits 3
expect 2 '--devices takes a whole number from 1 to 1024, not "0"' bench reduce --devices 0
expect 2 'takes a whole number .* not "4x"' bench reduce --devices 4x
expect 2 'takes a whole number .* not "99999999999999999999"' bench reduce --bytes 99999999999999999999
expect 2 '--bytes needs a value: --bytes N +hint: see "voxcl bench reduce --help"' bench reduce --bytes
expect 2 '--bytes is given an empty value' bench reduce --bytes=
expect 0 '^devices +3 .*reduce_gb_per_s +[0-9]' bench reduce --devices=3 --bytes 1000000
expect 0 '^\{"devices": 2, "bytes": 1000000, .*\} $' bench reduce --json --devices 2 --bytes 1000000

# ---- bench scaling: measured on one device or its parts, predicted beyond ----
cat > "$work/tiny.yaml" << 'EXP'
name: tiny
network:
  input: {channels: 1, size: [2, 4, 4]}
  layers: [{flatten: }, {dense: {name: fc, out: 3}}]
  loss: cross_entropy
train: {batch: 4, optimizer: {sgd: {lr: 0.01}}}
EXP
expect 2 'bench scaling needs EXP' bench scaling
expect 2 '--max takes a whole number' bench scaling x.yaml --max 0
expect 1 'x.yaml' bench scaling x.yaml
expect 1 'no-such-device. matches none of' bench scaling "$work/tiny.yaml" --devices no-such-device
expect 0 'devices +hosts +batch +predicted .* 1024 +[0-9]+ +4096 +yes ' bench scaling "$work/tiny.yaml" --steps 1
expect 0 '"strong": \[\{"devices": 1, "hosts": 1, "batch": 4, "predicted": false.*"weak": .*"devices": 8, "hosts": [0-9]+, "batch": 16, "predicted": true.*"accuracy_note": "not measured' \
    bench scaling "$work/tiny.yaml" --steps 1 --share 2 --max 8 --json --devices 0
expect 1 'error: .*no-such-folder' bench scaling "$work/tiny.yaml" --png "$work/no-such-folder/scaling.png"
"$voxcl" bench scaling "$work/tiny.yaml" --steps 1 --png "$work/scaling.png" > "$work/out" 2>&1
checks=$((checks + 1))
if [ "$(head -c 4 "$work/scaling.png" 2> /dev/null | tail -c 3)" != PNG ] && ! grep -q 'without libpng' "$work/out"; then
    failures=$((failures + 1))
    echo "FAILED: bench scaling --png drew no picture"
fi

echo "$checks checks, $failures failed"
[ $failures = 0 ]
