/** Two connected datagram sockets: like a tap, a file descriptor of which each read is one packet. */

import { check } from '../../../drivers/libc/errors.js';
import { native } from '../../../drivers/libc/ffi/native.js';
import { abi, closeFile } from '../../../drivers/libc/index.js';

let pairs = 0;

function bound(name: string): { fd: number; address: Uint8Array } {
  const fd = native.socket(abi.AF_UNIX, abi.SOCK_DGRAM | abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC, 0);
  // An abstract address (unix(7)): a zero, then the name. There is no file.
  const address = Uint8Array.of(abi.AF_UNIX, 0, 0, ...Buffer.from(name));
  const copy = new Uint8Array(new ArrayBuffer(address.length));
  copy.set(address);
  check(native.bind(fd, copy, copy.length), 'bind', name);
  return { fd, address: copy };
}

/** Makes the pair; neither end blocks. The caller closes both. */
export function datagramPair(): { near: number; far: number; close(): void } {
  const name = `tspmd-test-${process.pid}-${pairs++}`;
  const near = bound(`${name}-near`);
  const far = bound(`${name}-far`);
  check(native.connect(near.fd, far.address, far.address.length), 'connect', name);
  check(native.connect(far.fd, near.address, near.address.length), 'connect', name);
  return {
    near: near.fd,
    far: far.fd,
    close: () => {
      closeFile(near.fd);
      closeFile(far.fd);
    },
  };
}
