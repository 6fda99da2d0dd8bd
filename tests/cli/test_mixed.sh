#!/bin/bash
# test_mixed.sh - one job on devices of two OpenCL implementations, PoCL and Mesa's rusticl, learns
# what one device learns.  Skipped where there is only one.  $VOXCL_BINARY is the program.
. "$(dirname "$0")/expect.sh"
cd "$work" || exit 1
export RUSTICL_ENABLE=llvmpipe

# The number of the first device of a platform.
device_of() {
    "$voxcl" devices --json | tr -d ' \n' | sed 's/{"index"/\n&/g' | grep -i "\"platform\":\"[^\"]*$1" |
        grep '"usable":true' | sed -n '1s/{"index":\([0-9]*\).*/\1/p'
}
pocl=$(device_of 'portable\|pocl')
mesa=$(device_of rusticl)
[ -n "$pocl" ] && [ -n "$mesa" ] || { echo "needs PoCL and rusticl"; exit 77; }

cat > exp.yaml << 'YAML'
name: mixed
network:
  input: {channels: 1, size: [4, 8, 8]}
  layers:
    - conv:     {name: conv1, out: 4, kernel: 3, pad: 1}
    - relu:
    - max_pool: {kernel: 2}
    - flatten:
    - dropout:  {p: 0.2}
    - dense:    {name: fc1, out: 5}
  loss: cross_entropy
data:
  train: {prostatex: {modalities: [t2], patch_mm: [16, 16, 16]}}
  prepare: [{normalize: zscore}]
  augment: [{mirror: {axes: [w], p: 0.5}}]
train:
  batch: 3
  iterations: 20
  optimizer: {sgd: {lr: 0.01, momentum: 0.9}}
YAML
expect 0 'wrote data ' synth prostate data --patients 6
expect 0 'training loss' train exp.yaml --data data --run one --devices "$pocl"
expect 0 'training loss' train exp.yaml --data data --run two --devices "$pocl,$mesa"
grep -q "rusticl\|llvmpipe" out || fail "Mesa's device took no part"

# The largest relative difference of two runs' losses, in the order of their steps.
difference=$(paste <(losses one) <(losses two) |
    awk 'NF == 2 {d = $1 - $2; d = (d < 0 ? -d : d) / $1; if (d > most) most = d; n++}
         END {print n == 20 && most < 1e-5 ? "same" : "steps " n ", largest difference " most}')
[ "$difference" = same ] || fail "PoCL and Mesa together do not follow PoCL alone: $difference"

echo "$checks command lines, $failures failures"
[ "$failures" -eq 0 ]
