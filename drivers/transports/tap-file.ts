/** The file descriptor at the other end of a tap interface (Linux, Documentation/networking/tuntap.rst). */
import { abi, closeFile, ioctl, openFile, SystemError, setInterfaceMac } from '../libc/index.js';
import { NET_HEADER_BYTES } from '../virtio/net-header.js';

const TUN_PATH = '/dev/net/tun';

/** What a tap with headers lets the kernel leave to us, and segment for us: checksums, TCP segmentation with ECN. */
export const TAP_OFFLOADS = abi.TUN_F_CSUM | abi.TUN_F_TSO4 | abi.TUN_F_TSO6 | abi.TUN_F_TSO_ECN;

/**
 * Creates the interface `ifname`, which disappears when the file is closed, or attaches to an existing one, which
 * stays.
 * @param mac for the interface, six octets. Without it the interface keeps its own, or gets a random one
 * @param vnetHeader a virtio-net header of 12 bytes comes before each frame in both directions, and the kernel hands over
 *   what {@link TAP_OFFLOADS} allow. It takes such packets in any case
 * @returns the file descriptor, which does not block. The caller closes it
 * @throws Error that says what is missing
 */
export function openTap(ifname: string, mac?: Uint8Array | null, vnetHeader = false): number {
  if (!/^[!-~]{1,15}$/.test(ifname) || /[/:%]/.test(ifname) || /^\.\.?$/.test(ifname)) {
    throw new Error(`tap '${ifname}': not an interface name (1 to 15 characters, ASCII, without / : % and spaces)`);
  }
  const fd = openTun(ifname);
  try {
    attach(fd, ifname, vnetHeader);
    if (vnetHeader) setHeaderSize(fd, ifname);
    // An interface that stays keeps what its last user has set, so this is also for a user without headers.
    setTapOffloads(fd, ifname, vnetHeader ? TAP_OFFLOADS : 0);
    if (mac) setMac(fd, ifname, mac);
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/**
 * Says which packets the kernel may send us unfinished: TUN_F_ bits; 0 for none. TUN_F_TSO4 and TUN_F_TSO6 need TUN_F_CSUM.
 */
export function setTapOffloads(fd: number, ifname: string, offloads: number): void {
  ioctl(fd, abi.TUNSETOFFLOAD, offloads, 'TUNSETOFFLOAD', ifname);
}

/** The line that says what to do with an interface that is down. */
export function downLine(ifname: string): string {
  return `the interface ${ifname} is down: bring it up with 'ip link set ${ifname} up'`;
}

function openTun(ifname: string): number {
  try {
    return openFile(TUN_PATH, abi.O_RDWR | abi.O_NONBLOCK);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === 'ENOENT' || error.code === 'ENODEV') {
      throw new Error(`tap ${ifname}: no ${TUN_PATH} (${error.code}): load the kernel's module with 'modprobe tun'`);
    }
    throw new Error(`tap ${ifname}: ${error.message}: run as root, or with a right to ${TUN_PATH}`);
  }
}

function attach(fd: number, ifname: string, vnetHeader: boolean): void {
  // struct ifreq: the name, then the flags as a short.
  const request = Buffer.from(new ArrayBuffer(abi.IFREQ_BYTES));
  request.write(ifname, 0, 'latin1');
  request.writeUInt16LE(abi.IFF_TAP | abi.IFF_NO_PI | (vnetHeader ? abi.IFF_VNET_HDR : 0), abi.IFNAMSIZ);
  try {
    ioctl(fd, abi.TUNSETIFF, request, 'TUNSETIFF', ifname);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const advice: Record<string, string> = {
      EPERM: 'run as root (CAP_NET_ADMIN), or on an interface made for you: ip tuntap add … mode tap user …',
      EBUSY: 'another process has this interface',
      EINVAL: 'there is an interface of this name that is no plain tap (tun, multi_queue or another device)',
    };
    throw new Error(`tap ${ifname}: ${advice[error.code] ?? error.message} (${error.code})`);
  }
}

function setHeaderSize(fd: number, ifname: string): void {
  const bytes = new Int32Array(new ArrayBuffer(4)).fill(NET_HEADER_BYTES);
  ioctl(fd, abi.TUNSETVNETHDRSZ, new Uint8Array(bytes.buffer), 'TUNSETVNETHDRSZ', ifname);
}

function setMac(fd: number, ifname: string, mac: Uint8Array): void {
  try {
    setInterfaceMac(fd, ifname, mac);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Error(`tap ${ifname}: it cannot be given that MAC address: ${error.message}`);
  }
}
