#!/usr/bin/env bash
# Runs in a guest: what TCP of the guest's kernel reaches over a path that delays each way and loses data.
#
#   node dist/scripts/vm/main.js run --none --virtual-time --timeout 600 -- bash scripts/vm/loss-rate.sh 25 1 600
#
# Arguments: the delay of each direction in ms, the loss of the direction of the data in percent, and how long to measure in s.
set -euo pipefail
delay=$1 loss=$2 seconds=$3

modprobe -a veth sch_netem
ip netns add sender
ip netns add receiver
ip link add wire netns sender type veth peer name wire netns receiver

# NAMESPACE ADDRESS LOSS: without gso_max_segs 1, netem would drop many segments at once.
end() {
  ip netns exec "$1" ethtool -K wire gro off
  ip -n "$1" link set wire gso_max_segs 1 up
  ip -n "$1" addr add "$2/24" dev wire
  ip netns exec "$1" tc qdisc add dev wire root netem limit 100000 delay "${delay}ms" loss "$3%"
}
end sender 10.0.0.1 "$loss"
end receiver 10.0.0.2 0

# The interval keeps the output short: nobody reads it, and the server would wait when the pipe is full.
coproc ip netns exec receiver iperf3 --server --one-off --forceflush --interval 60
read -r _ <&"${COPROC[0]}"
ip netns exec sender ping -n -q -c 5 -i 0.2 10.0.0.2
# The first 10 s, slow start, do not count.
ip netns exec sender iperf3 --client 10.0.0.2 --time "$seconds" --omit 10 --interval 60 --format k
ip netns exec sender tc -s qdisc show dev wire
