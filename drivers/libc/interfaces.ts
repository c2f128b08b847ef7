/** Network interfaces of the kernel: whether one is up, and setting its MAC address (netdevice(7)). */
import * as c from './constants.js';
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
