#!/usr/bin/env bash
# Binds a NIC to vfio-pci, so that tspmd can drive it, and back to the kernel's driver.
#
#   bind-vfio.sh ADDRESS [--no-iommu] [--force] [--hugepages N]
#   bind-vfio.sh --unbind ADDRESS
#   bind-vfio.sh --status [ADDRESS]
#
# ADDRESS is a PCI address such as 0000:00:10.0 (the domain is optional), or the name of an interface. Exit codes: 0 success,
# or nothing to do; 1 failure, and one line on stderr tells why and what to do; 2 wrong usage.
#
# Tests set TSPMD_SYSFS, TSPMD_PROC, TSPMD_DEV and TSPMD_RUN to other roots than /sys, /proc, /dev and /run.
set -euo pipefail

sysfs=${TSPMD_SYSFS:-/sys}
proc=${TSPMD_PROC:-/proc}
dev=${TSPMD_DEV:-/dev}
# Folder with one file per NIC, which names its former driver. A reboot removes the folder and undoes the binding.
memory=${TSPMD_RUN:-/run}/tspmd/driver-of
# The name of this script in messages. 'tspmd bind' sets it.
me=${TSPMD_BIND_COMMAND:-${0##*/}}

usage() {
  cat <<END
usage: $me ADDRESS [--no-iommu] [--force] [--hugepages N]
       $me --unbind ADDRESS
       $me --status [ADDRESS]

  ADDRESS         PCI address of a NIC, such as 0000:00:10.0, or its interface; see --status
  --no-iommu      bind without an IOMMU; the NIC can then reach all memory of this machine
  --force         bind a NIC that is in use: it is up with an address, or leads to the default gateway
  --hugepages N   reserve at least N hugepages of 2 MiB
  --unbind        bind the NIC to its former driver
  --status        show the driver of each NIC, and what prevents its use with tspmd
END
}

fail() {
  echo "$me: $*" >&2
  exit 1
}

wrong_usage() {
  echo "$me: $*; see '$me --help'" >&2
  exit 2
}

# Prints the name of the folder that a symbolic link of sysfs points to, or nothing. It does not use readlink, because starting
# programs takes most of the time of this script, above all in an emulated guest.
link_name() {
  if [ -L "$1" ]; then (cd -P "$1" && echo "${PWD##*/}"); fi
}

# Prints the first line of a file of sysfs, or nothing.
value() {
  local line=
  if [ -r "$1" ]; then read -r line <"$1" || true; fi
  echo "$line"
}

# Writes to a file of sysfs. An error of the kernel becomes one line.
put() { # VALUE FILE WHAT
  local error
  error=$({ printf '%s\n' "$1" >"$2"; } 2>&1) || fail "$3: ${error##*: } (writing '$1' to $2)"
}

device_path() { echo "$sysfs/bus/pci/devices/$1"; }
driver_of() { link_name "$(device_path "$1")/driver"; }
group_of() { link_name "$(device_path "$1")/iommu_group"; }

# Prints the interfaces of a NIC. Those of a virtio device are one folder lower.
interfaces_of() {
  local folder
  for folder in "$(device_path "$1")"/net/* "$(device_path "$1")"/virtio*/net/*; do
    if [ -e "$folder" ]; then echo "${folder##*/}"; fi
  done
}

# These drivers leave an IOMMU group viable, because they do not touch the device.
is_harmless() {
  case $1 in '' | vfio-pci | pci-stub | pcieport) return 0 ;; *) return 1 ;; esac
}

# Prints the other devices of the NIC's IOMMU group that a driver of the kernel uses.
blockers_of() {
  local member address driver group
  group=$(group_of "$1")
  [ -n "$group" ] || return 0
  for member in "$sysfs/kernel/iommu_groups/$group/devices"/*; do
    address=${member##*/}
    if [ ! -e "$member" ] || [ "$address" = "$1" ]; then continue; fi
    driver=$(driver_of "$address")
    is_harmless "$driver" || echo "$address ($driver)"
  done
}

is_noiommu_group() {
  [ "$(value "$sysfs/kernel/iommu_groups/$1/name")" = vfio-noiommu ]
}

# Prints the VFIO file that a process opens to drive the NIC.
vfio_file() {
  local group
  group=$(group_of "$1")
  if is_noiommu_group "$group"; then echo "$dev/vfio/noiommu-$group"; else echo "$dev/vfio/$group"; fi
}

# Prints the processes that have the NIC open. Unbinding would wait for them for ever.
users_of() {
  local file
  file=$(vfio_file "$1")
  # A process may end during the search.
  { find "$proc"/[0-9]*/fd -maxdepth 1 -lname "$file" -printf '%h\n' 2>/dev/null || true; } |
    sed -E 's,.*/([0-9]+)/fd$,\1,' | sort -un
}

# Prints how the kernel uses this interface, or nothing.
use_of() {
  local flags address upper
  if [ -n "$(awk -v i="$1" '$1 == i && $2 == "00000000"' "$proc/net/route" 2>/dev/null)" ] ||
    [ -n "$(awk -v i="$1" '$10 == i && $1 $2 ~ /^0+$/ && $5 !~ /^0+$/' "$proc/net/ipv6_route" 2>/dev/null)" ]; then
    echo "leads to the default gateway"
    return
  fi
  flags=$(value "$sysfs/class/net/$1/flags")
  if (((${flags:-0} & 1) == 0)); then return; fi # IFF_UP
  # When a bridge, a bond or a VLAN uses the interface, that one has the addresses and routes.
  for upper in "$sysfs/class/net/$1"/upper_*; do
    if [ -L "$upper" ]; then
      echo "is up under ${upper##*/upper_}"
      return
    fi
  done
  command -v ip >/dev/null || fail "the command 'ip' is missing; without it, this script cannot tell whether $1 is in use"
  address=$(ip -o addr show dev "$1" scope global | awk '$3 ~ /^inet/ { print $4; exit }')
  if [ -n "$address" ]; then echo "is up with the address $address"; fi
}

# Prints the PCI address of an interface's NIC, or nothing.
nic_of() {
  if [ -e "$sysfs/class/net/$1/device" ]; then
    readlink -f "$sysfs/class/net/$1/device" | grep -oE '[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]' | tail -1
  fi
}

check_nic() {
  local path class
  path=$(device_path "$1")
  [ -e "$path" ] || fail "$1: there is no such PCI device; '$me --status' lists the NICs"
  class=$(value "$path/class")
  case $class in
    0x02*) ;;
    *) fail "$1: this is not a NIC (PCI class ${class:-unknown}); '$me --status' lists the NICs" ;;
  esac
}

check_root() {
  if [ "$EUID" -ne 0 ] && [ "$sysfs" = /sys ]; then fail "binding drivers needs root: run it with sudo"; fi
}

check_unused() { # ADDRESS
  local interface use
  for interface in $(interfaces_of "$1"); do
    use=$(use_of "$interface")
    if [ -n "$use" ]; then
      fail "$1: its interface $interface $use; take it down first ('ip link set $interface down'), or use --force"
    fi
  done
}

load_module() {
  if [ -e "$sysfs/bus/pci/drivers/vfio-pci" ] && [ "$1" = vfio-pci ]; then return; fi
  if [ -e "$sysfs/module/$1" ]; then return; fi
  modprobe -q "$1" || fail "the kernel module $1 cannot be loaded: is it part of this kernel ('modprobe $1')?"
}

allow_no_iommu() { # ADDRESS
  local switch=$sysfs/module/vfio/parameters/enable_unsafe_noiommu_mode
  if [ -n "$(group_of "$1")" ]; then
    fail "$1: it has an IOMMU (group $(group_of "$1")); --no-iommu would give up its protection: omit this option"
  fi
  load_module vfio
  [ -e "$switch" ] ||
    fail "this kernel was built without CONFIG_VFIO_NOIOMMU: use an IOMMU, or a kernel or vfio.ko that has the option"
  case $(value "$switch") in
    Y | 1) ;;
    *) put 1 "$switch" "no-IOMMU mode cannot be switched on" ;;
  esac
}

reserve_hugepages() { # N
  local file=$sysfs/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages before have available
  [ -e "$file" ] || fail "this kernel has no hugepages of 2 MiB"
  before=$(value "$file")
  if [ "$before" -ge "$1" ]; then return; fi
  # The kernel would give all of its memory when asked for too much, and then the machine would stand still.
  available=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' "$proc/meminfo" 2>/dev/null || true)
  if [ -n "$available" ] && (($1 - before > available / 2)); then
    fail "$1 hugepages of 2 MiB ($before are reserved) need $((2 * ($1 - before))) MiB more, and $available MiB are available: ask for fewer"
  fi
  put "$1" "$file" "hugepages cannot be reserved"
  have=$(value "$file")
  if [ "$have" -lt "$1" ]; then
    put "$before" "$file" "hugepages cannot be given back"
    fail "only $have of $1 hugepages of 2 MiB could be reserved, so $before stay reserved: memory is fragmented; reserve them at boot (hugepages=$1)"
  fi
  echo "$1 hugepages of 2 MiB are reserved"
}

# Sets the driver of the NIC, and makes the kernel probe the NIC again.
rebind() { # ADDRESS DRIVER-OVERRIDE
  local path driver
  path=$(device_path "$1")
  driver=$(driver_of "$1")
  [ -e "$path/driver_override" ] || fail "$1: this kernel is older than 3.16 and has no driver_override"
  put "$2" "$path/driver_override" "$1: the driver cannot be chosen"
  if [ -n "$driver" ]; then put "$1" "$path/driver/unbind" "$1: $driver does not release it"; fi
  # The kernel reports a failed probe only in its log. The caller checks the result.
  put "$1" "$sysfs/bus/pci/drivers_probe" "$1: the kernel does not probe it"
}

bind() { # ADDRESS
  local driver group blockers
  check_nic "$1"
  driver=$(driver_of "$1")
  if [ "$driver" != vfio-pci ]; then
    check_root
    if [ "$force" = no ]; then check_unused "$1"; fi
    if [ "$no_iommu" = yes ]; then
      allow_no_iommu "$1"
    elif [ -z "$(group_of "$1")" ]; then
      fail "$1: it has no IOMMU group: switch the IOMMU on (intel_iommu=on, or in the firmware), or use --no-iommu"
    fi
  fi
  if [ -n "$hugepages" ]; then
    check_root
    reserve_hugepages "$hugepages"
  fi
  if [ "$driver" != vfio-pci ]; then
    if [ "$no_iommu" = no ]; then load_module vfio_iommu_type1; fi
    load_module vfio-pci
    mkdir -p "$memory"
    echo "$driver" >"$memory/$1"
    rebind "$1" vfio-pci
    if [ "$(driver_of "$1")" != vfio-pci ]; then
      rebind "$1" ''
      fail "$1: vfio-pci does not accept it, so it has its former driver again; the kernel's log tells why (dmesg)"
    fi
  fi
  group=$(group_of "$1")
  blockers=$(blockers_of "$1")
  if [ -n "$blockers" ]; then
    fail "$1 is bound to vfio-pci, but IOMMU group $group is not viable: unbind ${blockers//$'\n'/, } from its driver, too, or" \
      "move the NIC to a slot with a group of its own"
  fi
  if is_noiommu_group "$group"; then
    echo "$1 is bound to vfio-pci without an IOMMU ($(vfio_file "$1")): it can reach all memory of this machine"
  else
    echo "$1 is bound to vfio-pci, IOMMU group $group ($(vfio_file "$1"))"
  fi
}

unbind() { # ADDRESS
  local users old driver
  check_nic "$1"
  driver=$(driver_of "$1")
  if [ "$driver" != vfio-pci ]; then
    echo "$1 is not bound to vfio-pci but to ${driver:-no driver}; nothing to do"
    return
  fi
  check_root
  users=$(users_of "$1")
  if [ -n "$users" ]; then fail "$1: process ${users//$'\n'/ } uses it: stop that process first"; fi
  old=$(value "$memory/$1")
  rebind "$1" ''
  driver=$(driver_of "$1")
  # The kernel does not choose a driver that was bound by hand.
  if [ -n "$old" ] && [ "$driver" != "$old" ]; then
    if [ ! -e "$sysfs/bus/pci/drivers/$old" ]; then modprobe -q "$old" || true; fi
    if [ ! -e "$sysfs/bus/pci/drivers/$old" ]; then fail "$1: its former driver $old is not loaded: load it with modprobe"; fi
    rebind "$1" "$old"
    put '' "$(device_path "$1")/driver_override" "$1: the driver_override cannot be cleared"
    driver=$(driver_of "$1")
    if [ "$driver" != "$old" ]; then
      fail "$1: its former driver $old does not accept it; the kernel's log tells why (dmesg)"
    fi
  fi
  rm -f "$memory/$1"
  echo "$1 is bound to ${driver:-no driver}"
}

status_of() { # ADDRESS
  local driver group blockers interfaces users
  driver=$(driver_of "$1")
  group=$(group_of "$1")
  interfaces=$(interfaces_of "$1")
  blockers=$(blockers_of "$1")
  echo "$1  driver ${driver:-none}${interfaces:+ (${interfaces//$'\n'/ })}"
  if [ -z "$group" ]; then
    echo "  no IOMMU group: switch the IOMMU on, or bind it with --no-iommu"
  elif [ -n "$blockers" ]; then
    echo "  IOMMU group $group, not viable because of ${blockers//$'\n'/, }"
  elif is_noiommu_group "$group"; then
    echo "  no IOMMU (group $group of VFIO's no-IOMMU mode)"
  else
    echo "  IOMMU group $group"
  fi
  if [ "$driver" = vfio-pci ]; then
    users=$(users_of "$1")
    echo "  ready for tspmd${users:+, used by process ${users//$'\n'/ }}"
  fi
}

status() { # [ADDRESS]
  local path found=no huge=$sysfs/kernel/mm/hugepages/hugepages-2048kB
  if [ -n "$1" ]; then check_nic "$1"; fi
  for path in "$sysfs/bus/pci/devices"/${1:-*}; do
    case $(value "$path/class") in 0x02*) ;; *) continue ;; esac
    status_of "${path##*/}"
    found=yes
  done
  if [ "$found" = no ]; then echo "no NICs on the PCI bus"; fi
  if [ -e "$huge" ]; then
    echo "hugepages of 2 MiB: $(value "$huge/nr_hugepages") reserved, $(value "$huge/free_hugepages") free"
  fi
}

action=bind
address=
no_iommu=no
force=no
hugepages=
while [ $# -gt 0 ]; do
  case $1 in
    --unbind | --status)
      if [ "$action" != bind ] && [ "$action" != "${1#--}" ]; then wrong_usage "--$action and $1 exclude each other"; fi
      action=${1#--}
      ;;
    --no-iommu) no_iommu=yes ;;
    --force) force=yes ;;
    --hugepages)
      hugepages=${2-}
      case $hugepages in '' | *[!0-9]*) wrong_usage "--hugepages takes a number, not '$hugepages'" ;; esac
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) wrong_usage "unknown option '$1'" ;;
    *)
      if [ -n "$address" ]; then wrong_usage "more than one address: '$address' and '$1'"; fi
      address=$1
      ;;
  esac
  shift
done

if [ -n "$address" ]; then
  nic=
  if [[ $address =~ ^[A-Za-z][A-Za-z0-9_.-]*$ ]]; then nic=$(nic_of "$address"); fi
  address=${nic:-${address,,}}
  if [[ $address =~ ^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$ ]]; then address=0000:$address; fi
  if [[ ! $address =~ ^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$ ]]; then
    wrong_usage "'$address' is neither a PCI address such as 0000:00:10.0 nor the interface of a NIC"
  fi
elif [ "$action" != status ]; then
  wrong_usage "the address of the NIC is missing"
fi
if [ -n "$hugepages" ] && [ "$action" != bind ]; then wrong_usage "--hugepages cannot be used with --$action"; fi

case $action in
  bind) bind "$address" ;;
  unbind) unbind "$address" ;;
  status) status "$address" ;;
esac
