/** Outputs that nobody reads: a pipe that is full, a socket, a terminal. The test reads them when it wants to. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ioctl } from '../../../drivers/libc/index.js';

/** ioctl(2) requests of a terminal's master (asm-generic/ioctls.h). */
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const FILLING = '#'.repeat(4096);

export interface UnreadOutput {
  /** For the stdio of a program. */
  readonly fd: number;
  /** Everything that waits to be read by now. */
  read(): string;
  close(): void;
}

function readAll(fd: number): string {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(1 << 16);
    try {
      const bytes = readSync(fd, part);
      if (bytes === 0) break;
      parts.push(part.subarray(0, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') break;
      throw error;
    }
  }
  return Buffer.concat(parts).toString();
}

/** A pipe, made in `directory`. */
export function unreadPipe(directory: string, isFull: boolean): UnreadOutput {
  const path = join(directory, 'unread');
  spawnSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  if (isFull) {
    try {
      for (;;) writeSync(reader, FILLING);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
  const fd = openSync(path, constants.O_WRONLY);
  return {
    fd,
    read: () => readAll(reader).replaceAll(FILLING, ''),
    close: () => [fd, reader].forEach(closeSync),
  };
}

/** A terminal. Its buffer holds a few thousand bytes. */
export function unreadTerminal(): UnreadOutput {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const number = Buffer.from(new ArrayBuffer(4));
  ioctl(master, TIOCSPTLCK, number, 'TIOCSPTLCK', '/dev/ptmx');
  ioctl(master, TIOCGPTN, number, 'TIOCGPTN', '/dev/ptmx');
  const fd = openSync(`/dev/pts/${number.readUInt32LE()}`, constants.O_RDWR | constants.O_NOCTTY);
  return { fd, read: () => readAll(master), close: () => [fd, master].forEach(closeSync) };
}
