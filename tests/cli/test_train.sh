#!/bin/bash
# test_train.sh - the commands that run a network, from the data set to the prediction:
# synth, info, train, an interruption and its resume, eval, predict, bench step; and what
# wrong arguments are answered with.  $VOXCL_BINARY is the program.
. "$(dirname "$0")/expect.sh"
cd "$work" || exit 1

# A network of the size of a unit test; two of three patients train.
cat > exp.yaml << 'YAML'
name: tiny
network:
  input: {channels: 2, size: [4, 8, 8]}
  layers:
    - conv:     {name: conv1, out: 4, kernel: 3, pad: 1}
    - relu:
    - max_pool: {kernel: 2}
    - flatten:
    - dropout:  {p: 0.2}
    - dense:    {name: fc1, out: 5}
  loss: cross_entropy
data:
  train: {prostatex: {modalities: [t2, adc], patch_mm: [16, 16, 16], patients: {folds: 3, without: 0}}}
  valid: {prostatex: {modalities: [t2, adc], patch_mm: [16, 16, 16], patients: {folds: 3, only: 0}}}
  prepare: [{normalize: zscore}]
  augment: [{mirror: {axes: [w], p: 0.5}}]
train:
  batch: 3
  iterations: 60
  optimizer: {sgd: {lr: 0.01, momentum: 0.9}}
  validate_every: 25
  checkpoint_every: 10
YAML

expect 0 'wrote data ' synth prostate data --patients 12
expect 1 'error: ' synth prostate data --patients 12
expect 2 'synth needs DIR' synth prostate
expect 2 'error: .*hint: .*prostate' synth prostrate other

expect 0 'conv1 +conv +4 x 4 x 8 x 8 +220 .*parameters +865, .*samples +needs' info exp.yaml
expect 2 'no parameter "widht"' info exp.yaml --set parameters.widht=8
expect 0 '"parameters": 865,.*"devices": \[' info exp.yaml --json
expect 0 'at batch 8 ' info exp.yaml --set train.batch=8
expect 1 'unknown key "bach".*did you mean "batch"' info exp.yaml --set train.bach=8
expect 1 'kernel is larger than the padded input.*exp.yaml:5:7' info exp.yaml --set network.layers.0.conv.kernel=9
expect 1 'cannot open none.yaml' info none.yaml
expect 2 'info needs EXP' info

expect 2 '--resume needs --run' train exp.yaml --resume
expect 2 '--resume and --init' train exp.yaml --resume --init x --run r
expect 2 'no option --dat +hint: did you mean --data' train exp.yaml --dat data
expect 2 '--sync takes tree, server or async, not "serve" +hint: did you mean --sync server' train exp.yaml --sync serve
expect 2 '--staleness is for --sync async alone' train exp.yaml --data data --run r --staleness 3
expect 2 '--staleness takes a whole number from 0 to' train exp.yaml --sync async --staleness -1
expect 2 '--shard 1 does not go with --sync async' train exp.yaml --data data --run r --sync async --shard 1
expect 2 'there is no device 99' train exp.yaml --data data --run r --devices 99
expect 1 'no OpenCL device to run on' train exp.yaml --data data --run r --devices nothing-has-this-name
expect 1 'cannot open .*Findings' train exp.yaml --data . --run r
expect 1 'cannot open none' train exp.yaml --data data --run r --init none
expect 2 'trace-steps needs --trace' train exp.yaml --data data --run r --trace-steps 2
expect 1 'cannot write none/t.json.*hint: make its folder' train exp.yaml --data data --run r --trace none/t.json
expect 1 'cannot hold the plan.*at batch 1 wants .*hint: use a smaller input' train exp.yaml --data data \
    --run r --set train.memory_mib=1 --set network.layers.0.conv.out=65536
[ ! -e r ] || fail "a training that never began left the folder r"

# Shares by measured speed would differ from run to run, and with them the last bits.
equal=(--data data --shard equal)
losses() { sed 's/, "time_s".*//' "$1/metrics.jsonl"; }

# ---- a whole run ----
expect 0 'step 60/60 .*held-out accuracy +[01]\.[0-9]{4} .*confusion matrix' \
    train exp.yaml "${equal[@]}" --run whole
grep -q 'where the devices.*compute .*transfer .*reduce .*update .*wait' <(tr '\n' ' ' < out) ||
    fail "no report of where the devices' time went"
for file in experiment.yaml metrics.jsonl usage.json last.safetensors best.safetensors; do
    [ -s whole/$file ] || fail "no whole/$file"
done
expect 2 'already holds a run' train exp.yaml --data data --run whole

# ---- without a standard output: what is printed must not get into the run's files, nor a trace's ----
checks=$((checks + 1))
"$voxcl" train exp.yaml "${equal[@]}" --run closed --trace t.json --trace-steps 2 >&- 2> out
[ $? = 1 ] && grep -q 'cannot write to standard output' out || fail "a closed output was not noticed"
[ "$(grep -c '"name": "step"' t.json)" = 2 ] && [ "$(tail -c 3 t.json)" = '}}' ] || fail "no whole trace of two steps"
cmp -s <(losses whole) <(losses closed) || fail "a closed output changed metrics.jsonl"

# ---- interrupted and resumed: as if it had not been ----
# interrupt SIGNAL CODE FOLDER: a run that is stopped after its first step.
interrupt() {
    local code attempt
    checks=$((checks + 1))
    for attempt in 1 2 3; do # a machine may be so fast, or so busy, that the run ends before
        rm -rf "$3"
        : > out # or an older "step 1/" is met, and the shell signalled before it is voxcl
        "$voxcl" train exp.yaml "${equal[@]}" --trace=t.json --run "$3" > out 2>&1 &
        while ! grep -q '^step 1/' out && kill -0 $! 2> /dev/null; do sleep 0.01; done
        kill -"$1" $! 2> /dev/null
        wait $!
        code=$?
        [ $code = 0 ] || break
    done
    if [ $code != "$2" ] || ! grep -q "^resume with: voxcl train exp.yaml --data data --shard equal --run $3 --resume" out; then
        fail "SIG$1: exit $code, wanted $2 and how to resume; it printed:"
        sed 's/^/    /' out
    fi
}
interrupt INT 130 first
interrupt TERM 143 second
for run in first second; do
    expect 0 'step 60/60 ' train exp.yaml "${equal[@]}" --run $run --resume
    cmp -s <(losses whole) <(losses $run) || fail "the run $run has other losses after its resume"
done
# Before there is anything to save: while the experiment is being opened, which takes for ever.
checks=$((checks + 1))
mkfifo slow.yaml
for pause in 0.2 1 5 20; do # a busy machine may not have come so far
    "$voxcl" train slow.yaml --data data --run early > out 2>&1 &
    sleep $pause
    kill -TERM $!
    wait $!
    code=$?
    [ ! -s out ] || break
done
[ $code = 143 ] && grep -q '^voxcl: interrupted$' out && [ ! -e early ] || fail "an early SIGTERM: exit $code, $(cat out)"
expect 2 'nothing to resume' train exp.yaml --data data --run none --resume

# ---- what was trained ----
expect 0 'samples +[0-9]+ .*accuracy .*confusion' eval whole/best.safetensors --data data
expect 0 '^\{ +"samples": [0-9]+, .*"confusion": \[' eval whole/last.safetensors --data data --json
expect 1 'not a whole safetensors file' eval exp.yaml --data data
expect 1 'cannot open whole/none' eval whole/none --data data
expect 2 'predict needs --input' predict whole/best.safetensors --output x.csv
expect 2 'predict needs --output' predict whole/best.safetensors --input x.npy
expect 2 'cannot tell what to write' predict whole/best.safetensors --input x.npy --output x.txt
expect 1 'x.npy' predict whole/best.safetensors --input x.npy --output x.csv
[ ! -e x.csv ] || fail "a failed prediction left x.csv"

expect 0 'step_s +[0-9.]+ (ms|s|us) .*conv1 +conv.relu +forward' bench step exp.yaml --steps 2
expect 0 '"step_s": *\{"median"' bench step exp.yaml --steps 2 --json
expect 2 'bench step needs EXP' bench step
expect 2 'no algorithm "niave"' bench step exp.yaml --steps 2 --algo conv=niave
expect 0 'conv1 +conv.relu +forward +naive' bench step exp.yaml --steps 2 --algo conv=naive
expect 0 'relu1 +relu +forward +flat' bench step exp.yaml --steps 2 --algo relu=flat

# ---- tuning ----
expect 0 'layers|conv1 +conv +forward ' tune exp.yaml --budget 3600
expect 0 '"measured": 0, "known": [1-9][0-9]*, "skipped": 0' tune exp.yaml --budget 3600 --json
expect 0 'conv1 +conv(.relu)? +forward' bench step exp.yaml --steps 2 --tune quick --budget 3600

echo "$checks checks, $failures failed"
[ $failures = 0 ]
