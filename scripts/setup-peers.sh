#!/usr/bin/env bash
# Installs the real peers that the integration tests talk to and what guest VMs need, from Debian packages by name, and
# makes the guest of scripts/vm. Says what before it does; installs and makes nothing that is there already.
set -euo pipefail

# command that must exist : Debian package that has it
peers=(
  dpdk-testpmd:dpdk-dev                # DPDK's vhost backend and virtio-user frontend
  ip:iproute2                          # network namespaces and tap devices
  ping:iputils-ping                    # the Linux kernel's own pings
  qemu-system-x86_64:qemu-system-x86   # guest VMs
  busybox:busybox-static               # their first process
  cpio:cpio                            # their first file system
  xz:xz-utils                          # the kernel in its package, and its source
  depmod:kmod                          # their modules; modprobe in them
  /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk:openvswitch-switch-dpdk   # what our switch is measured against
  gcc:gcc                              # vfio.ko without an IOMMU
  make:make
  shellcheck:shellcheck                # our shell scripts are clean by it
)
export PATH="$PATH:/usr/sbin:/sbin"

missing=()
for peer in "${peers[@]}"; do
  command -v "${peer%%:*}" >/dev/null 2>&1 || missing+=("${peer##*:}")
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup:peers: DPDK, OVS, QEMU and the tools for guest VMs are here already; nothing to install"
else
  echo "setup:peers: installing these Debian packages for the tests with real peers, benchmarks and guest VMs: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup:peers: that needs root; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup:peers: no apt-get here; install the equivalents of ${missing[*]} (DPDK 22.11 or later) by hand" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  # The tests start what they need; a package's own services (Open vSwitch has some) are not to run because of us.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get update -qq -o Acquire::Retries=3
  # What each package says while it is unpacked is some thousand lines; errors go to stderr.
  apt-get install -y -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -c /dev/net/tun ]; then
  modprobe tun 2>/dev/null || true
  [ -c /dev/net/tun ] || echo "setup:peers: no /dev/net/tun on this machine: the suites with the Linux kernel as peer cannot run"
fi

lab="$(dirname "$0")/../dist/scripts/vm/main.js"
if [ ! -f "$lab" ]; then
  echo "setup:peers: the project is not built, so there is no guest VM; run 'npm run setup:peers', which builds it" >&2
  exit 1
fi
# The lists may be older than the mirror: a second try with fresh ones, which makes do with an older kernel where it must.
if ! node "$lab" build; then
  echo "setup:peers: trying again with fresh package lists"
  apt-get update -qq -o Acquire::Retries=3
  node "$lab" build --fall-back
fi
