#!/bin/bash
# test_segment.sh - segmentation from the command line: synth, train, predict with masks, pictures
# and probabilities, eval with tables; an interruption leaves no file; and what wrong arguments are
# answered with.  $VOXCL_BINARY is the program.
. "$(dirname "$0")/expect.sh"
cd "$work" || exit 1

cat > exp.yaml << 'YAML'
name: tiny
network:
  input: {channels: 1, size: [8, 8, 8]}
  layers: [{conv: {out: 2, kernel: 1}}]
  loss: cross_entropy
data:
  train: {manifest: manifest.csv}
  prepare: [{normalize: zscore}]
  augment: [{mirror: {axes: [w], p: 0.5}}]
  patch: {}
train: {batch: 2, iterations: 1}
YAML

expect 0 'wrote data' synth nodule data --patients 2 --size 8,16,16
expect 0 'steps +1 ' train exp.yaml --data data --run run
ck=run/last.safetensors scan=data/images/chest_000.mhd

expect 0 'class +name +voxels +ml .*wrote m.mhd .*wrote m.png .*wrote p.nii with _0 to _1 before' predict $ck --input $scan \
    --output m.mhd --png m.png --probabilities p.nii --mirror trained --overlap 0.25
for file in m.mhd m.raw m.png p_0.nii p_1.nii; do
    [ -s $file ] || fail "predict wrote no $file"
done
for key in TransformMatrix Offset ElementSpacing DimSize; do
    [ "$(grep ^$key m.mhd)" = "$(grep ^$key $scan)" ] || fail "$key of mask and scan differ"
done
expect 0 'chest_000.*Dice +1: .*means over 2 cases.*HD95 mm.*wrote s.csv' eval $ck --data data/manifest.csv --csv s.csv
[ "$(wc -l < s.csv)" = 3 ] || fail "the table has not a row for each case"
expect 0 '^\{"samples": 2, "dice": .*"hd95_mm": ' eval $ck --data data/manifest.csv --json --mirror all

expect 2 'predict needs --output' predict $ck --input $scan
expect 2 '--overlap takes a number from 0 to 0.95' predict $ck --input $scan --output no.nii --overlap 1
expect 2 "no axis 'x'" predict $ck --input $scan --output no.nii --mirror x
expect 2 'must end in .png' predict $ck --input $scan --png no.jpg
expect 2 'cannot tell the format' predict $ck --input $scan --output no.csv
expect 2 'overwrite the input' predict $ck --input $scan --output $scan
expect 2 'two outputs would go to one file' predict $ck --input $scan --output no_1.nii --probabilities no.nii
expect 1 'does not exist.*none.nii' predict $ck --input none.nii --output no.nii
expect 1 'cannot write no/m.nii|no/m.nii' predict $ck --input $scan --output no/m.nii
expect 1 '2 channels, the network takes 1' predict $ck --input "$scan;$scan" --output no.nii
expect 1 '2 channels, the network takes 1' predict $ck --input $scan $scan --output no.nii
expect 1 'no/s.csv' eval $ck --data data/manifest.csv --csv no/s.csv
[ -z "$(ls -d no* 2> /dev/null)" ] || fail "a failed prediction left a file"

echo "$checks checks, $failures failed"
[ $failures = 0 ]
