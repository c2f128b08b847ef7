#!/usr/bin/env bash
# Runs in a guest: a flow of tspmd and a flow of the guest's kernel share a link of 10 Mb/s, with a round trip of 20 ms and a
# queue of 52 packets. Prints what each reaches, in kb/s, and what the link has dropped.
#
#   node dist/scripts/vm/main.js run --none --virtual-time --timeout 300 -- bash scripts/vm/shared-link.sh 40
#
# Argument: how long both send, in s.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1

modprobe -a tun veth bridge sch_netem
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link add wire type bridge
ip link set wire up
# NAMESPACE ADDRESS: a station on the bridge. Without gso_max_segs 1, netem would drop many segments at once.
station() {
  ip netns add "$1"
  ip link add "$1" type veth peer name eth0 netns "$1"
  ip netns exec "$1" ethtool -K eth0 gro off
  ip -n "$1" link set eth0 gso_max_segs 1 up
  ip -n "$1" addr add "$2/24" dev eth0
  ethtool -K "$1" gro off
  ip link set "$1" master wire up
}
station receiver 10.0.0.1
station linux 10.0.0.9
ip tuntap add ours mode tap
ip link set ours master wire up
ip netns exec receiver tc qdisc add dev eth0 root netem limit 10000 delay 10ms
# netem counts packets in the delay, too: 8 of them.
tc qdisc add dev receiver root netem limit 60 delay 10ms rate 10mbit

device=(--device tap:ours --ip 10.0.0.2/24 --mac 52:54:00:00:00:02 --hugepages never)
# iperf3 has an interval, so that what nobody reads stays short: the server would wait when the pipe is full.
mkfifo /run/ours /run/linux
exec {ours}<>/run/ours {linux}<>/run/linux
# The queue of the link counts packets: a packet of many segments would count as one, and only ours could be so large.
node dist/bundle/tspmd/main.js run "${device[@]}" --app iperf3 --offloads off >&"$ours" &
ip netns exec linux iperf3 --server --forceflush --interval 60 >&"$linux" &
read -r _ <&"$ours"
read -r _ <&"$linux"

# NAME ADDRESS
receive() {
  rate=$(ip netns exec receiver iperf3 --client "$2" --reverse --time "$seconds" --format k | awk '/receiver$/ { print $7 }')
  echo "$1 $rate"
}
receive ours 10.0.0.2 &
first=$!
receive linux 10.0.0.9 &
wait "$first" "$!"
tc -s qdisc show dev receiver
