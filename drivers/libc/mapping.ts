/** mmap(2) over addresses that this process already owns. */
import * as c from './constants.js';
import { systemError } from './errors.js';
import { native } from './ffi/native.js';

/** The address of a view's first byte, as a number (user-space addresses have 47 bits). */
export function addressOf(view: ArrayBufferView): number {
  return native.address(view);
}

/** Maps `length` bytes of a file at `address`, in place of whatever is mapped there. */
export function mapFileAt(
  address: number,
  length: number,
  fd: number,
  fileOffset: number,
  target: string,
  populate: boolean,
): void {
  const flags = c.MAP_SHARED | c.MAP_FIXED | (populate ? c.MAP_POPULATE : 0);
  map(address, length, flags, fd, fileOffset, target);
}

/** Maps fresh zero pages at `address`. This is how a file is unmapped while the address range stays valid. */
export function mapZeroAt(address: number, length: number): void {
  const flags = c.MAP_PRIVATE | c.MAP_ANONYMOUS | c.MAP_NORESERVE | c.MAP_FIXED;
  map(address, length, flags, -1, 0, 'anonymous pages');
}

function map(address: number, length: number, flags: number, fd: number, fileOffset: number, target: string): void {
  const lowerHalf = native.mmap(address, length, c.PROT_READ | c.PROT_WRITE, flags, fd, fileOffset);
  if (lowerHalf === -1) throw systemError('mmap', target);
}
