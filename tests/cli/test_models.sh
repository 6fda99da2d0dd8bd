#!/bin/bash
# test_models.sh - the experiment files of segmentations: their published figures, and that they train
# on what voxcl synth writes.  Networks are cut down to few kernels: what is tested is that files, data
# and commands fit each other.  $VOXCL_BINARY is the program.
set -u
voxcl=$VOXCL_BINARY
models=$PWD/models
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# expect PATTERN ARGUMENT... - runs voxcl; PATTERN must be in its output, lines joined.
expect() {
    local pattern=$1
    shift
    if ! "$voxcl" "$@" > out 2>&1 < /dev/null || ! tr '\n' ' ' < out | grep -Eq -- "$pattern"; then
        failures=$((failures + 1))
        echo "FAILED: voxcl $*: wanted /$pattern/; it printed:"
        sed 's/^/    /' out
    fi
}

# The published network: 154,037 parameters, its running statistics among them; every skip meets a
# volume of its own size, and the output is as large as the input.
expect 'parameters +154,037 \(888 not trainable\)' info "$models/brain-tumour-unet3d.yaml"
expect 'skip1 +batch_norm +16 x 154 x 238 x 238 .*skip2 +batch_norm +32 x 77 x 118 x 118 .*skip3 +batch_norm +64 x 39 x 58 x 58 .*concat3 +concat +128 x 39 x 58 x 58 .*concat2 +concat +48 x 77 x 118 x 118 .*concat1 +concat +32 x 154 x 238 x 238 .*sigmoid +1 x 155 x 240 x 240' \
    info "$models/brain-tumour-unet3d.yaml"
# A training step at full size in 12 GB, in the layouts of any device here.
"$voxcl" info "$models/brain-tumour-unet3d.yaml" --json --set train.memory_mib=11444 > info.json
awk '/"needs_bytes"/ { n++; if ($2 + 0 <= 0 || $2 + 0 > 12e9) bad = 1 } END { exit !n || bad }' info.json || {
    failures=$((failures + 1))
    echo "FAILED: a step of the brain-tumour network wants more than 12 GB: $(grep needs_bytes info.json)"
}
expect 'DOES NOT FIT' info "$models/brain-tumour-unet3d.yaml" --set train.memory_mib=9000
expect 'probability +relu ' info "$models/brain-tumour-unet3d.yaml" --set parameters.output=relu
expect 'logits +conv +3 x 48 x 64 x 48 .*parameters +340,243 \(640 not' info "$models/hippocampus-unet3d.yaml"
expect 'update +lamb .lr: 0.01., lr 0.01 x 8 = 0.08: batch 64, tuned for 1 \(sqrt\).*in parts of 1 samples' \
    info "$models/hippocampus-large-batch.yaml"
expect 'logits +conv +2 x 64 x 64 x 64 .*parameters +1,402,690 \(1,408 not' info "$models/lung-nodule-unet3d.yaml"
expect 'input +1 x 32 x 32 x 32 .*bottom_conv1 +conv +16 x 16 x 16 x 16 .*up1_1 ' info "$models/lung-nodule-unet3d.yaml" \
    --set parameters.depth=2 --set parameters.width=8 --set parameters.kernel=5 --set 'parameters.size=[32, 32, 32]'

expect 'wrote ct ' synth nodule ct --patients 3 --size 12,16,16
expect 'wrote mr ' synth tumour mr --patients 3 --size 12,16,16
tiny=(--set parameters.width=2 --set parameters.convs=1 --set 'parameters.size=[8, 8, 8]' --set train.iterations=2
      --set train.batch=2)
folds=(--set data.train.patients.folds=3 --set data.valid.patients.folds=3)

expect 'step 2/2 .*held-out' train "$models/lung-nodule-unet3d.yaml" --data ct --run nodule "${tiny[@]}" "${folds[@]}" \
    --set parameters.depth=1 --set data.prepare.1.resample.spacing_mm='[22, 22, 22]'
expect 'step 2/2 .*held-out' train "$models/hippocampus-unet3d.yaml" --data mr --run msd "${tiny[@]}" "${folds[@]}" \
    --set parameters.depth=1 --set parameters.channels=4 --set parameters.classes=4
mkdir pairs && ln -s ../mr/imagesTr pairs/images && ln -s ../mr/labelsTr pairs/labels
expect 'step 2/2 .*held-out' train "$models/hippocampus-unet3d.yaml" --data pairs --run pairs.run "${tiny[@]}" "${folds[@]}" \
    --set parameters.depth=1 --set parameters.channels=4 --set parameters.classes=4 --set parameters.layout=pairs
expect 'step 2/2 .*held-out' train "$models/brain-tumour-unet3d.yaml" --data mr --run brain "${folds[@]}" \
    --set train.epochs=1 --set 'network.input.size=[12, 16, 16]' --set 'data.prepare.1.resize.size=[12, 16, 16]' \
    --set 'network.layers=[{conv: {out: 1, kernel: 1}}, {sigmoid: }]'

[ $failures = 0 ] || exit 1
echo "ok"
