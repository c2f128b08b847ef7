/** Network interfaces of the kernel: whether one is up, and which MAC address it has (netdevice(7)). */
import * as c from './constants.js';
import { check, systemError } from './errors.js';
import { native } from './ffi.js';
import { ioctl } from './files.js';

const ENODEV = 19;

/** `struct ifreq`: the interface's name, then what the call reads or fills. */
function interfaceRequest(name: string): Buffer {
  const request = Buffer.from(new ArrayBuffer(c.IFREQ_BYTES));
  request.write(name, 0, 'latin1');
  return request;
}

/** Whether the interface is set up (IFF_UP); `null` when this process's network namespace has none of that name. */
export function isInterfaceUp(name: string): boolean | null {
  const fd = check(native.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0), 'socket', name);
  try {
    const request = interfaceRequest(name);
    if (native.ioctlPointer(fd, c.SIOCGIFFLAGS, request) < 0) {
      const errno = native.errno();
      if (errno === ENODEV) return null;
      throw systemError('ioctl SIOCGIFFLAGS', name, errno);
    }
    return (request.readUInt16LE(c.IFNAMSIZ) & c.IFF_UP) !== 0;
  } finally {
    native.close(fd);
  }
}

/**
 * Gives the interface behind a tap descriptor a MAC address of six octets, in whatever network namespace it is. Throws a
 * {@link SystemError}: EADDRNOTAVAIL for the address of a group.
 */
export function setInterfaceMac(tap: number, name: string, mac: Uint8Array): void {
  const request = interfaceRequest(name);
  request.writeUInt16LE(c.ARPHRD_ETHER, c.IFNAMSIZ);
  request.set(mac, c.IFNAMSIZ + 2);
  ioctl(tap, c.SIOCSIFHWADDR, request, 'SIOCSIFHWADDR', name);
}
