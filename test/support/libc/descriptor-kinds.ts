/** Open descriptors of the kinds that a hostile peer can send (SCM_RIGHTS) where an eventfd or a file of memory is expected. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../../drivers/libc/ffi/native.js';
import {
  abi,
  acceptUnix,
  closeFile,
  connectUnix,
  emptyMemfd,
  eventfd,
  listenUnix,
  MessageSocket,
  memfd,
} from '../../../drivers/libc/index.js';
import { HOSTILE_NAME } from '../bess/refused-messages.js';
import { temporaryDirectory } from '../resources.js';

/** A memory table cannot be larger than some 4 GiB: one region of this file is most of it. */
export const BIG_BYTES = 3 * 2 ** 30;
const PAGE_BYTES = 4096;
const PIPE_CHUNK = Buffer.alloc(PAGE_BYTES);

export class DescriptorKinds {
  /** The descriptors by kind. They stay open until {@link close}. */
  readonly byKind: Readonly<Record<string, number>>;
  /** The two ends of a connection that are not kinds themselves. */
  private readonly helpers: number[] = [];
  private readonly directory = temporaryDirectory();

  constructor() {
    this.byKind = {
      sealed: memfd('sealed', PAGE_BYTES, false),
      unsealed: sized(emptyMemfd('unsealed'), PAGE_BYTES),
      'without pages': sized(emptyMemfd('big'), BIG_BYTES),
      'with a hostile name': emptyMemfd(HOSTILE_NAME),
      device: openSync('/dev/null', 'r+'),
      directory: openSync(this.directory.path, 'r'),
      'file of the kernel': openSync('/proc/self/stat', 'r'),
      'full pipe': this.fullPipe(),
      epoll: native.epollCreate(abi.EPOLL_CLOEXEC),
      'TCP socket': native.socket(abi.AF_INET, abi.SOCK_STREAM | abi.SOCK_CLOEXEC, 0),
      ...this.unixSockets(),
    };
  }

  get all(): number[] {
    return Object.values(this.byKind);
  }

  close(): void {
    for (const fd of [...this.all, ...this.helpers]) closeSync(fd);
    this.directory.remove();
  }

  /** A FIFO whose buffer is full; then it is made blocking, so that a write to it waits until somebody reads. */
  private fullPipe(): number {
    const path = join(this.directory.path, 'fifo');
    execFileSync('mkfifo', [path]);
    const fd = native.open(Buffer.from(`${path}\0`), abi.O_RDWR | abi.O_NONBLOCK | abi.O_CLOEXEC, 0);
    for (;;) {
      try {
        writeSync(fd, PIPE_CHUNK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        break;
      }
    }
    native.fcntl(fd, abi.F_SETFL, native.fcntl(fd, abi.F_GETFL, 0) & ~abi.O_NONBLOCK);
    return fd;
  }

  /** One that listens, and one in whose queue a descriptor waits that nobody has open any more. */
  private unixSockets(): Record<string, number> {
    const path = join(this.directory.path, 'socket');
    const listening = listenUnix(path);
    const client = connectUnix(path);
    const receiver = acceptUnix(listening, path)!;
    const carried = eventfd();
    new MessageSocket(client, path).send(Buffer.from(new ArrayBuffer(1)), [carried]);
    closeFile(carried);
    this.helpers.push(client);
    return { 'listening socket': listening, 'socket with a descriptor in its queue': receiver };
  }
}

function sized(fd: number, bytes: number): number {
  ftruncateSync(fd, bytes);
  return fd;
}
