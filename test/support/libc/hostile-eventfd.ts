/** What a hostile process does to an eventfd that it shares: it clears O_NONBLOCK, and fills the counter. */
import { readFileSync, readSync, writeSync } from 'node:fs';
import { native } from '../../../drivers/libc/ffi/native.js';
import { abi, closeFile, duplicateFile } from '../../../drivers/libc/index.js';

/** The counter after the kernel has signalled an eventfd whose counter was at its maximum (eventfd(2)). */
export const OVERFLOWN = 0xffff_ffff_ffff_ffffn;

/** For every process that has the file open. */
export function makeBlocking(fd: number): void {
  const flags = native.fcntl(fd, abi.F_GETFL, 0);
  if (flags < 0 || native.fcntl(fd, abi.F_SETFL, flags & ~abi.O_NONBLOCK) < 0) throw new Error(`fcntl ${fd} failed`);
}

/** Whether a read or a write of the file may wait. */
export function isBlocking(fd: number): boolean {
  return (native.fcntl(fd, abi.F_GETFL, 0) & abi.O_NONBLOCK) === 0;
}

/** Raises the counter to the highest value that write(2) can reach; makes the eventfd non-blocking. */
export function fillCounter(fd: number): void {
  const most = Buffer.from(new BigUint64Array([OVERFLOWN - 1n]).buffer);
  for (;;) {
    counterOf(fd);
    try {
      writeSync(fd, most);
      return;
    } catch (error) {
      // The other side has signalled in between.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** The counter of an eventfd, which is 0 afterwards; makes the eventfd non-blocking. */
export function counterOf(fd: number): bigint {
  native.fcntl(fd, abi.F_SETFL, native.fcntl(fd, abi.F_GETFL, 0) | abi.O_NONBLOCK);
  const counter = Buffer.alloc(8);
  try {
    readSync(fd, counter);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return 0n;
  }
  return counter.readBigUInt64LE();
}

/** Whether it was signalled while its counter was full. The counter stays as it is, so that this can be asked again. */
export function isOverflown(fd: number): boolean {
  return /^eventfd-count:\s+f{16}$/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
}

/** Duplicates of a descriptor that each epoll set of {@link Waiters} watches. */
const DUPLICATES = 500;

/**
 * Very many waiters for one eventfd: epoll sets that watch duplicates of its descriptor. Each takes about 200 bytes.
 */
export class Waiters {
  private readonly fds: number[] = [];

  constructor(fd: number, count: number) {
    const duplicates = Array.from({ length: DUPLICATES }, () => duplicateFile(fd, 'an eventfd'));
    this.fds.push(...duplicates);
    // struct epoll_event: the events come first.
    const readable = new Uint8Array(new ArrayBuffer(16));
    readable[0] = abi.EPOLLIN;
    for (let n = 0; n < count; n += DUPLICATES) {
      const epfd = native.epollCreate(abi.EPOLL_CLOEXEC);
      this.fds.push(epfd);
      for (const duplicate of duplicates) native.epollControl(epfd, abi.EPOLL_CTL_ADD, duplicate, readable);
    }
  }

  close(): void {
    for (const fd of this.fds.reverse()) closeFile(fd);
  }
}
