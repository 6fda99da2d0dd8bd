#!/bin/bash
# test_ranks.sh - one training by several processes that mpirun started: the losses of one process,
# the same bits twice, what is refused, an interruption, and a rank that dies.
# $VOXCL_BINARY is the program.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/expect.sh"
cd "$work" || exit 1
data=$here/../golden/train50
with_ranks=$here/../with_ranks.sh
command -v "${VOXCL_MPIEXEC:-mpirun}" > /dev/null || { echo "no mpirun here"; exit 77; }

cat > exp.yaml << 'YAML'
name: small
network:
  input: {channels: 1, size: [6, 10, 10]}
  layers:
    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}
    - batch_norm: {name: bn1, sync: true}
    - relu:
    - max_pool: {kernel: 2}
    - flatten:
    - dense: {name: fc1, out: 64}
    - relu:
    - dropout: {p: 0.3}
    - dense: {name: fc2, out: 3}
  loss: cross_entropy
data:
  train: {manifest: train.csv}
  valid: {manifest: train.csv}
  augment: [{mirror: {axes: [w], p: 0.5}}, {salt_pepper: {p: 0.3, amount: 0.01}}, {gaussian_noise: {std: 0.05}}]
train:
  batch: 7
  iterations: 50
  optimizer: {sgd: {lr: 0.02, momentum: 0.9, weight_decay: 0.0005}}
  schedule: {poly: {power: 0.9, floor: 0.001}}
  clip_norm: 5
  seed: 3
  checkpoint_every: 5
YAML

# What a rank runs: its own number of devices, and what else $RANK_1 has for rank 1.
cat > rank.sh << 'SH'
rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
if [ "$rank" = 0 ]; then export POCL_DEVICES=${DEVICES_0:-}; else export POCL_DEVICES=${DEVICES_1:-}; fi
[ -n "$POCL_DEVICES" ] || unset POCL_DEVICES
[ -z "${HOSTS:-}" ] || export VOXCL_HOST_NAME=$(cut -d' ' -f$((rank + 1)) <<< "$HOSTS")
export VOXCL_FAULT=${FAULT:-}
[ "$rank" = 1 ] && set -- "$@" ${RANK_1:-}
# Rank 1 gets signal $SIGNAL after $AFTER steps of the run in $IN.
if [ "$rank" = 1 ] && [ -n "${SIGNAL:-}" ]; then
    ( while [ ! -s "$IN/metrics.jsonl" ] || [ "$(wc -l < "$IN/metrics.jsonl")" -lt "$AFTER" ]; do sleep 0.005; done
      kill -"$SIGNAL" $$ ) &
fi
exec "$VOXCL_BINARY" "$@"
SH

# ranks N CODE PATTERN ARGUMENT...: as expect, run by N processes; CODE "" is any but 0.
ranks() {
    local n=$1 code=$2 pattern=$3 got
    shift 3
    bash "$with_ranks" "$n" bash rank.sh "$@" > out 2>&1 < /dev/null
    got=$?
    checks=$((checks + 1))
    if { [ -n "$code" ] && [ $got != "$code" ]; } || { [ -z "$code" ] && [ $got = 0 ]; } ||
        ! tr '\n' ' ' < out | grep -Eq -- "$pattern"; then
        fail "$n ranks: voxcl $*: exit $got, wanted ${code:-an error} and /$pattern/; it printed:"
        sed 's/^/    /' out
    fi
}

# The tensors of a checkpoint: what follows the header, whose length comes first.
tensors() { tail -c +$(($(od -An -tu8 -N8 "$1/last.safetensors") + 9)) "$1/last.safetensors"; }

train() { echo train "${EXP:-exp.yaml}" --data "$data" --shard "${SHARD:-equal}" --run "$1"; }

# ---- the same losses, however many ranks and devices; the same bits twice ----
expect 0 'step 50/50' $(train one)
TERM=xterm ranks 2 0 'rank 1 on .*: 3 of 7 samples.*the 2 ranks on .* share one model.*step 50/50' $(train two)
grep -q $'\r' out && fail "a progress bar in a log: mpirun's terminals are none"
ranks 2 0 'step 50/50' $(train again)
SHARD=1,5,0
ranks 3 0 '3 ranks, 3 devices.*rank 1 on .*: 5 of 7 .*rank 2 on .*: 1 of 7 .*step 50/50' $(train three)
SHARD=equal
same_losses one two 50
same_losses one three 50
cmp -s <(losses two) <(losses again) && cmp -s <(tensors two) <(tensors again) ||
    fail "two runs by two ranks have other bits"
[ "$(grep -c '^run ' out)" = 1 ] || fail "other ranks than the first print a summary"
driver=cpu
case $("$voxcl" devices) in *[Pp]o[Cc][Ll]\ [0-3].*) driver=pthread ;; esac
DEVICES_0="$driver $driver" ranks 2 0 '2 ranks, 3 devices.*step 50/50' $(train unequal) --devices all --trace t.json
same_losses one unequal 50
[ "$(grep -o '"device": "rank [01]: [01] ' unequal/usage.json | sort -u | wc -l)" = 3 ] ||
    fail "usage.json has not the devices of all ranks: $(cat unequal/usage.json)"
[ "$(grep -c '"name": "sum over hosts"' t.json)" = 50 ] && [ "$(tail -c 3 t.json)" = '}}' ] ||
    fail "no whole trace of a job by two ranks"

# ---- with a model each; ranks on two hosts; what the update keeps is shared too ----
VOXCL_RANK_MEMORY=off ranks 2 0 'have no memory in common .VOXCL_RANK_MEMORY is off.: each has a model of its own.*step 50/50' $(train apart)
same_losses one apart 50
VOXCL_RANK_MEMORY=1000 ranks 2 0 'no memory in common .* MB, and VOXCL_RANK_MEMORY is 1000' $(train small) --set train.iterations=1
sed 's/optimizer: .*/optimizer: {lamb: {lr: 0.002}}\n  ema: {decay: 0.9}\n  validate_every: 20/' exp.yaml > lamb.yaml
sed -e '/conv:/d' -e '/batch_norm/d' -e '/max_pool/d' -e 's/out: 3}/out: 64}/' lamb.yaml > dense.yaml
EXP=dense.yaml # all gradients are factors: nothing is summed
expect 0 'step 30/30' $(train dense) --set train.iterations=30
ranks 2 0 "fc1's gradient as factors.*fc2's gradient as factors.*step 30/30" $(train rows) --set train.iterations=30
same_losses dense rows 30
EXP=lamb.yaml
expect 0 'step 50/50' $(train lamb)
SIGNAL=INT AFTER=20 IN=lamb3 HOSTS='a b a' ranks 3 130 'the 2 ranks on a share one model.*interrupted' $(train lamb3)
ranks 2 0 'step 50/50' $(train lamb3) --resume
same_losses lamb lamb3 53
EXP=exp.yaml

# ---- shares by speed; the times are told, not taken, so that they surely change ----
shares() { # shares RUN WANT: those in its metrics.jsonl, each as often as they changed
    local got
    got=$(grep -o '"shares": [^]]*' "$1/metrics.jsonl" | tr -cd '0-9\n' | tr '\n' ' ')
    checks=$((checks + 1))
    [ "$got" = "$2 " ] || fail "the shares of $1 are $got, not $2"
}
sed '/batch_norm/d' exp.yaml > plain.yaml
SHARD=auto
paces=0:1:pace=0.1,1:1:pace=0.3,0:25:pace=0.5
FAULT=$paces ranks 2 0 'step 7: shares 5 2 .was 4 3.*step 34: shares 2 5 .*step 50/50' $(train speeds)
same_losses one speeds 50
shares speeds '43 52 25'
EXP=plain.yaml
expect 0 'step 50/50' $(train plain)
FAULT=$paces,0:0:memory=2 ranks 2 0 'step 50/50' $(train parts) --set train.accumulate=2
same_losses plain parts 50
shares parts '22 31 13'

# ---- a device fails: its rank's others do its share, and then all ranks'; also if it was a rank's last ----
FAULT=$paces,2:1:pace=0.2,0:30:lost,1:21:memory DEVICES_0="$driver $driver" ranks 2 0 'rank 0: 1 .*lost at step 21.*1 of 3 were left' $(train left) --devices all
same_losses plain left 50
[ "$(grep -c '"step": 2[01],.*"lost": .*"rank 0: 1 \|"step": 30,.*"lost": .*"rank 0: 0 ' left/metrics.jsonl)" = 2 ] || fail "lost devices are not in metrics.jsonl"
# One that hangs comes to life again in mid-training.
FAULT=1:20:hang=3 ranks 2 0 "rank 1: 0 .*is lost.*step 50/50" $(train hung) --hang-timeout 1
same_losses plain hung 50
FAULT=0:20:hang=3 ranks 2 0 "rank 0: 0 .*is lost.*step 50/50" $(train hung0) --hang-timeout 1
same_losses plain hung0 50
# A rank's last device, in a validation: with sync its rank could bring nothing to the next step.
sed '/batch_norm/d' lamb.yaml > valid.yaml
EXP=valid.yaml
expect 0 'step 50/50' $(train valid)
FAULT=0:41:hang=1.5,2:21:lost ranks 3 0 "step 21: device rank 2: 0 .* is lost.*step 41: device rank 0: 0 .* is lost.*1 of 3 were left" $(train valid3) --hang-timeout 1
same_losses valid valid3 53
EXP=lamb.yaml
FAULT=1:21:driver ranks 2 1 'everything up to step 20 is in' $(train sync)
sed 's/, sync: true//' exp.yaml > local.yaml
EXP=local.yaml
# One that hangs has the common model and its running statistics in its hands: it changes nothing when
# it comes to life.
FAULT=0:20:lost ranks 2 0 'step 50/50' $(train dead)
FAULT=0:20:hang=2,1:21:hang=0.05 ranks 2 0 'rank 0: 0 .*is lost.*step 50/50' $(train alive) --hang-timeout 1
cmp -s <(losses dead) <(losses alive) && cmp -s <(tensors dead) <(tensors alive) ||
    fail "a device that came to life changed the model"
EXP=plain.yaml
FAULT=0:7:lost,1:7:driver ranks 2 1 'everything up to step 6 is in' $(train gone)
expect 0 'step 50/50' $(train gone) --resume
same_losses plain gone 50
EXP=exp.yaml SHARD=equal

# ---- what is refused, by all and said once ----
refused() { # refused PATTERN WHAT-RANK-1-HAS...
    local pattern=$1
    shift
    RANK_1=$* ranks 2 '' "$pattern" $(train refused)
    [ "$(grep -c 'voxcl: .*error:' out)" = 1 ] || fail "an error of all ranks was said more than once"
    [ ! -e refused ] || fail "a training that was refused left its folder"
}
cp -r "$data" other
sed -i '2s/,[0-9]*$/,2/; 3s/,[0-9]*$/,0/' other/train.csv
refused 'ranks have different experiments.*rank 1' --set train.seed=4
refused 'ranks have different training data.*rank 1' --data other
refused 'ranks have different options.*rank 1' --bucket 65536
refused 'there is no device 99.*rank 1 on ' --devices 99
ranks 4 '' 'batch of 3 samples leaves rank 3 without one' $(train refused)
refused 'ranks have different options.*rank 1' --shard auto
ranks 2 '' '3 weights and 2 devices' train exp.yaml --data "$data" --run refused --shard 3,2,1
ranks 3 '' '3 devices cannot share 2 samples' $(train refused) --set train.batch=2
ranks 2 '' 'cannot go by measured times' $(train refused) --tune quick

# ---- what the network is worth ----
ranks 3 0 'ranks +3 .*gbit_per_s +[0-9].*latency_us +[0-9]' bench hosts --bytes 1000000
expect 2 'need several ranks +hint: mpirun' bench hosts

# ---- interrupted: the step is finished and saved; resumed with the shares it had ----
SHARD=auto
FAULT=$paces SIGNAL=INT AFTER=8 IN=stopped ranks 2 130 'interrupted after step' $(train stopped)
FAULT=$paces ranks 2 0 'rank 0 on .*: (5|2) of 7 samples.*step 50/50' $(train stopped) --resume
same_losses one stopped 50
SHARD=equal

# ---- a rank that dies: the others end, the last checkpoint is whole ----
start=$SECONDS
SIGNAL=KILL AFTER=13 IN=died ranks 2 '' '.' $(train died)
[ $((SECONDS - start)) -le 30 ] || fail "a dead rank ended the job after $((SECONDS - start)) s"
expect 0 'accuracy' eval died/last.safetensors --data "$data/train.csv"
ranks 3 0 'step 50/50' $(train died) --resume
same_losses one died 50

echo "$checks checks, $failures failed"
[ $failures = 0 ]
