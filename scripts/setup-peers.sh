#!/usr/bin/env bash
# Installs the real peers of the integration tests and the tools for guest VMs from Debian packages, and builds the guest of
# scripts/vm. It prints what it will do first, and does not install or build what is there already.
set -euo pipefail

# command that must exist : Debian package that contains it
peers=(
  dpdk-testpmd:dpdk-dev                # DPDK's vhost backend and virtio-user frontend
  ip:iproute2                          # network namespaces and tap devices
  ping:iputils-ping                    # pings from the Linux kernel
  curl:curl                            # the peers of the TCP stack: clients, load generators, a server, captures
  nc.openbsd:netcat-openbsd
  iperf3:iperf3
  sockperf:sockperf
  wrk:wrk
  ab:apache2-utils
  nginx:nginx-light
  openssl:openssl                      # certificates for servers with TLS
  tcpdump:tcpdump
  tmux:tmux                            # a terminal
  tshark:tshark
  dnsmasq:dnsmasq-base                 # a DHCP and a DNS server
  ethtool:ethtool                      # the guest behind netem
  h2load:nghttp2-client                # the peers of Node programs: HTTP/2 at load, NAT, databases, a browser
  nft:nftables
  redis-server:redis-server
  pg_ctlcluster:postgresql
  chromium:chromium
  promtool:prometheus                  # reads the metrics
  qemu-system-x86_64:qemu-system-x86   # guest VMs
  busybox:busybox-static               # the guest's first process
  cpio:cpio                            # the guest's first file system
  xz:xz-utils                          # unpacks the guest's kernel and the kernel's source
  depmod:kmod                          # the guest's modules, and modprobe in the guest
  /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk:openvswitch-switch-dpdk   # the benchmarks compare our switch with it
  systemd-analyze:systemd              # checks the unit files
  socat:socat                          # hears what a service says
  gcc:gcc                              # builds a vfio.ko that works without an IOMMU
  make:make
  shellcheck:shellcheck                # checks our shell scripts
)
export PATH="$PATH:/usr/sbin:/sbin"

missing=()
for peer in "${peers[@]}"; do
  command -v "${peer%%:*}" >/dev/null 2>&1 || missing+=("${peer##*:}")
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup:peers: DPDK, OVS, QEMU, the peers of TCP and the tools for guest VMs are installed already"
else
  echo "setup:peers: installing these Debian packages for the tests with real peers, benchmarks and guest VMs: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup:peers: this needs root; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup:peers: this machine has no apt-get; install the equivalents of ${missing[*]} (DPDK 22.11 or later) by hand" >&2
    exit 1
  fi
  # The default answers are the right ones: iperf3 is no daemon, and only root captures with tshark.
  export DEBIAN_FRONTEND=noninteractive
  # The tests start what they need. This policy prevents that a package, such as Open vSwitch or nginx, starts its services.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get update -qq -o Acquire::Retries=3
  # Unpacking prints thousands of lines to stdout. Errors go to stderr.
  apt-get install -y -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" >/dev/null
  # Otherwise an nginx that only the tests need would take port 80 when the machine starts the next time. So would the others.
  for service in nginx:nginx-light redis-server:redis-server postgresql:postgresql; do
    if [[ " ${missing[*]} " == *" ${service##*:} "* ]] && command -v systemctl >/dev/null 2>&1; then
      systemctl disable --quiet "${service%%:*}" 2>/dev/null || true
    fi
  done
fi

if [ ! -c /dev/net/tun ]; then
  modprobe tun 2>/dev/null || true
  [ -c /dev/net/tun ] || echo "setup:peers: this machine has no /dev/net/tun: the test suites with the Linux kernel as peer cannot run"
fi

lab="$(dirname "$0")/../dist/scripts/vm/main.js"
if [ ! -f "$lab" ]; then
  echo "setup:peers: the project is not built; run 'npm run setup:peers', which builds it first" >&2
  exit 1
fi
# When a download fails, apt's package lists may be out of date. The second try uses fresh lists, and accepts an older kernel.
if ! node "$lab" build; then
  echo "setup:peers: trying again with fresh package lists"
  apt-get update -qq -o Acquire::Retries=3
  node "$lab" build --fall-back
fi
