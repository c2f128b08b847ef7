#!/usr/bin/env bash
# Runs in a guest with two NICs on one wire: tspmd drives the first NIC, and the guest's kernel pings it through the second.
#
#   node dist/scripts/vm/main.js run --kernel-driver --netdev hub:0 --netdev hub:0,mac=52:54:00:00:00:09 -- bash scripts/vm/example.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
ours=0000:00:10.0
kernels=0000:00:11.0

scripts/bind-vfio.sh "$ours"
node dist/bundle/tspmd/main.js devices

modprobe virtio_net
interface=$(ls "/sys/bus/pci/devices/$kernels"/virtio*/net)
ip addr add 10.0.0.9/24 dev "$interface"
ip link set "$interface" up

coproc node dist/bundle/tspmd/main.js run --device "$ours" --ip 10.0.0.1/24
read -r ready <&"${COPROC[0]}"
echo "$ready"
ping -n -c 5 -i 0.2 -W 5 10.0.0.1
kill "$COPROC_PID"
cat <&"${COPROC[0]}" || true
