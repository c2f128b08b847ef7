#!/usr/bin/env bash
# Runs in the guest: gives the NIC to a server's driver, and becomes the server.
#
#   serve.sh vfio ADDRESS COMMAND…
#   serve.sh kernel ADDRESS IP/PREFIX SETTING=VALUE,… COMMAND…
set -euo pipefail
driver=$1 address=$2
shift 2
bind=$(dirname "$0")/../../scripts/bind-vfio.sh

if [ "$driver" = vfio ]; then
  "$bind" "$address" --no-iommu --force
  exec "$@"
fi

ip=$1 settings=$2
shift 2
modprobe virtio_net
"$bind" --unbind "$address"
interface=$(ls -d /sys/bus/pci/devices/"$address"/virtio*/net/*)
interface=${interface##*/}
IFS=, read -ra list <<<"$settings"
for setting in "${list[@]}"; do
  name=${setting%%=*}
  echo "${setting#*=}" >"/proc/sys/${name//.//}"
done
ip link set "$interface" up
ip addr add "$ip" dev "$interface"
ethtool -k "$interface" | sed -n 's/^\(\S*\): on.*/offload \1/p'
exec "$@"
