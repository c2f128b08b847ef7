#!/usr/bin/env bash
# Installs the real peers that the integration tests talk to, from Debian packages by name. Says what before it does;
# installs nothing that is there already.
set -euo pipefail

# command that must exist : Debian package that has it
peers=(
  dpdk-testpmd:dpdk-dev  # DPDK's vhost backend and virtio-user frontend
  ip:iproute2            # network namespaces and tap devices
  ping:iputils-ping      # the Linux kernel's own pings
)

missing=()
for peer in "${peers[@]}"; do
  command -v "${peer%%:*}" >/dev/null 2>&1 || missing+=("${peer##*:}")
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup:peers: dpdk-testpmd, ip and ping are here already; nothing to install"
else
  echo "setup:peers: installing these Debian packages for the integration tests: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup:peers: that needs root; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup:peers: no apt-get here; install the equivalents of ${missing[*]} (DPDK 22.11 or later) by hand" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [ ! -c /dev/net/tun ]; then
  modprobe tun 2>/dev/null || true
  [ -c /dev/net/tun ] || echo "setup:peers: no /dev/net/tun on this machine: the suites with the Linux kernel as peer cannot run"
fi
