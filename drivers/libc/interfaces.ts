/** Network interfaces of the kernel: their state, and setting their addresses (netdevice(7)). */
import * as c from './constants.js';
import { check, SystemError } from './errors.js';
import { native } from './ffi/native.js';
import { ioctl } from './files.js';

/** `struct ifreq`: the interface's name, followed by what the call reads or fills. */
function interfaceRequest(name: string): Buffer {
  const request = Buffer.from(new ArrayBuffer(c.IFREQ_BYTES));
  request.write(name, 0, 'latin1');
  return request;
}

/**
 * Whether the interface is up (IFF_UP). `null` when that is not known: the network namespace of this process has no
 * interface of that name, or no file descriptor is free.
 */
export function isInterfaceUp(name: string): boolean | null {
  const fd = native.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return null;
  const request = interfaceRequest(name);
  try {
    ioctl(fd, c.SIOCGIFFLAGS, request, 'SIOCGIFFLAGS', name);
    return (request.readUInt16LE(c.IFNAMSIZ) & c.IFF_UP) !== 0;
  } catch {
    return null;
  } finally {
    native.close(fd);
  }
}

/**
 * Gives the interface behind a tap file descriptor a MAC address of six octets, in whatever network namespace the
 * interface is. Throws a {@link SystemError}: EADDRNOTAVAIL for a group address.
 */
export function setInterfaceMac(tap: number, name: string, mac: Uint8Array): void {
  const request = interfaceRequest(name);
  request.writeUInt16LE(c.ARPHRD_ETHER, c.IFNAMSIZ);
  request.set(mac, c.IFNAMSIZ + 2);
  ioctl(tap, c.SIOCSIFHWADDR, request, 'SIOCSIFHWADDR', name);
}

/**
 * Gives an interface an IPv4 address, in place of the one that it has, and brings it up. Throws a {@link SystemError}:
 * EPERM without CAP_NET_ADMIN.
 * @param address as a number
 */
export function setInterfaceAddress(name: string, address: number, prefixLength: number): void {
  const fd = check(native.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0), 'socket', name);
  try {
    const mask = prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
    ioctl(fd, c.SIOCSIFADDR, addressRequest(name, address), 'SIOCSIFADDR', name);
    ioctl(fd, c.SIOCSIFNETMASK, addressRequest(name, mask), 'SIOCSIFNETMASK', name);
    const request = interfaceRequest(name);
    ioctl(fd, c.SIOCGIFFLAGS, request, 'SIOCGIFFLAGS', name);
    request.writeUInt16LE(request.readUInt16LE(c.IFNAMSIZ) | c.IFF_UP, c.IFNAMSIZ);
    ioctl(fd, c.SIOCSIFFLAGS, request, 'SIOCSIFFLAGS', name);
  } finally {
    native.close(fd);
  }
}

/** What the kernel says about an interface. */
export interface InterfaceState {
  /** Its number. A new interface of the same name has another, unless somebody chose it. */
  readonly index: number;
  readonly isUp: boolean;
  /** Whether it can carry frames: it is up, and its link has a carrier. */
  readonly isRunning: boolean;
  /** The longest packet that it carries, in bytes, without the Ethernet header. */
  readonly mtu: number;
  readonly isEthernet: boolean;
}

/**
 * Reads the state of an interface in the network namespace of a socket. `null`: there is none of that name. Throws a
 * {@link SystemError} for anything else.
 */
export function interfaceState(socket: number, name: string): InterfaceState | null {
  const request = interfaceRequest(name);
  const read = (call: number, what: string): Buffer => {
    ioctl(socket, call, request, what, name);
    return request.subarray(c.IFNAMSIZ);
  };
  try {
    const index = read(c.SIOCGIFINDEX, 'SIOCGIFINDEX').readInt32LE();
    const flags = read(c.SIOCGIFFLAGS, 'SIOCGIFFLAGS').readUInt16LE();
    const mtu = read(c.SIOCGIFMTU, 'SIOCGIFMTU').readInt32LE();
    const isEthernet = read(c.SIOCGIFHWADDR, 'SIOCGIFHWADDR').readUInt16LE() === c.ARPHRD_ETHER;
    const isUp = (flags & c.IFF_UP) !== 0;
    return { index, isUp, isRunning: isUp && (flags & c.IFF_RUNNING) !== 0, mtu, isEthernet };
  } catch (error) {
    if (error instanceof SystemError && error.errno === c.ENODEV) return null;
    throw error;
  }
}

/** `struct ifreq` with a `struct sockaddr_in`. */
function addressRequest(name: string, address: number): Buffer {
  const request = interfaceRequest(name);
  request.writeUInt16LE(c.AF_INET, c.IFNAMSIZ);
  request.writeInt32BE(address | 0, c.IFNAMSIZ + 4);
  return request;
}
