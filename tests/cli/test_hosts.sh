#!/bin/bash
# test_hosts.sh - one training over two hosts, which are network namespaces of this machine with a name
# and an address each: the losses of one process, and a host that loses its network.  Needs root, ip and
# Open MPI.  $VOXCL_BINARY is the program.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/expect.sh"
cd "$work" || exit 1
data=$here/../golden/train50
mpirun=${VOXCL_MPIEXEC:-mpirun}
site=vox$$
skip() { echo "$*"; exit 77; }
[ "$(id -u)" = 0 ] && ip netns add $site-1 2> /dev/null || skip "no network namespaces here: root and ip are needed"
leave() {
    local i p
    for i in 1 2; do
        for p in $(ip netns pids $site-$i 2> /dev/null); do kill -9 "$p"; done
        ip netns del $site-$i
    done
    rm -rf "$work"
}
trap leave EXIT
ip netns add $site-2 || skip "no second network namespace"
"$mpirun" --version 2> /dev/null | grep -Eq 'Open MPI|OpenRTE' || skip "no mpirun of Open MPI here"
ip link add eth0 netns $site-1 type veth peer name eth0 netns $site-2 || skip "no veth here"
for i in 1 2; do
    ip -n $site-$i addr add 10.77.0.$i/24 dev eth0
    ip -n $site-$i link set eth0 up
    ip -n $site-$i link set lo up
    echo "10.77.0.$i slots=1" >> hosts
done

# What mpirun calls in ssh's place: agent HOST COMMAND...
cat > agent << SH
#!/bin/bash
site=$site-\${1##*.}
shift
exec ip netns exec \$site unshare --uts bash -c 'hostname '\$site'; exec bash -c "\$*"' agent "\$*"
SH
chmod +x agent

# hosts ARGUMENT...: voxcl on both
hosts() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 120 "$work/agent" 10.77.0.1 \
        "cd $work && exec $mpirun --mca plm_rsh_agent $work/agent --mca oob_tcp_keepalive_time 30 \
        --mca oob_tcp_keepalive_intvl 3 --mca oob_tcp_keepalive_probes 2 -n 2 --hostfile hosts \
        --map-by ppr:1:node --bind-to none $VOXCL_BINARY $*" > out 2>&1 < /dev/null
}

cat > exp.yaml << 'YAML'
name: small
network:
  input: {channels: 1, size: [6, 10, 10]}
  layers:
    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}
    - relu:
    - flatten:
    - dense: {name: fc1, out: 64}
    - relu:
    - dense: {name: fc2, out: 3}
  loss: cross_entropy
data:
  train: {manifest: train.csv}
train: {batch: 7, iterations: 30, optimizer: {sgd: {lr: 0.01}}, seed: 3, checkpoint_every: 3}
YAML
expect 0 'step 30/30' train exp.yaml --data "$data" --shard equal --run one
hosts train exp.yaml --data "$data" --shard equal --run two || fail "two hosts: $(cat out)"
grep -q "rank 1 on $site-2: 3 of 7 samples" out || fail "no rank on the second host: $(cat out)"
same_losses one two 30

# A slow network makes the steps long; then it is gone.
for i in 1 2; do
    ip netns exec $site-$i tc qdisc add dev eth0 root tbf rate 1mbit burst 16k latency 500ms 2> /dev/null ||
        skip "no tc here; $checks checks before it, $failures failed"
done
hosts train exp.yaml --data "$data" --shard equal --run cut &
for _ in $(seq 600); do
    [ -e cut/metrics.jsonl ] && [ "$(wc -l < cut/metrics.jsonl)" -ge 7 ] && break
    sleep 0.1
done
ip -n $site-2 link set eth0 down
start=$SECONDS
running() { # a rank on either host
    local i p
    for i in 1 2; do
        for p in $(ip netns pids $site-$i); do
            [ "$(readlink "/proc/$p/exe")" = "$(readlink -f "$VOXCL_BINARY")" ] && return 0
        done
    done
    return 1
}
while running && [ $((SECONDS - start)) -le 30 ]; do sleep 0.2; done
running && fail "ranks were left 30 s after the network was lost"
for i in 1 2; do for p in $(ip netns pids $site-$i); do kill -9 "$p"; done; done
wait
[ "$(wc -l < cut/metrics.jsonl)" -lt 30 ] || fail "the training was over before the network was lost"
expect 0 'step 30/30' train exp.yaml --data "$data" --shard equal --run cut --resume
same_losses one cut 30

echo "$checks checks, $failures failed"
[ $failures = 0 ]
