/**
 * Adds 1 to an eventfd that a hostile process has open, too.
 *
 * O_NONBLOCK belongs to the open file and not to a descriptor of it, so every process that shares an eventfd may clear the
 * flag. It can then fill the counter, and the next write(2) waits for as long as it likes. Therefore nothing is written:
 * the kernel is asked by Linux AIO to add 1, which it does without waiting (eventfd_signal() in fs/eventfd.c). The request
 * itself is a read of 0 bytes from that eventfd. It fails at once in io_submit(2), before it could wait, and a request that
 * has failed is done.
 *
 * io_submit(2) refuses a descriptor that is no eventfd, so that nothing else can be signalled by mistake.
 */
import { isMainThread } from 'node:worker_threads';
import { AioContext, AioRequest } from './aio.js';
import * as c from './constants.js';
import { native } from './ffi.js';
import { eventfd } from './files.js';

/** The kernel has room for more events than these on every machine; with none left it refuses requests. */
const MAX_UNTAKEN = 64;

export interface Signaller {
  signal(fd: number): void;
}

/** Signals by Linux AIO. Throws where that does not work. */
export class AioSignaller implements Signaller {
  private readonly context = new AioContext(1, 'notifications');
  private readonly request = new AioRequest(c.IOCB_CMD_PREAD);
  private untaken = 0;

  constructor() {
    if (!this.works()) {
      this.context.destroy();
      throw new Error('the kernel refuses requests on an eventfd');
    }
  }

  signal(fd: number): void {
    this.request.aim(fd, fd);
    const result = this.context.submit(this.request);
    if (result !== 1) this.retry(fd, result);
    else if (++this.untaken >= MAX_UNTAKEN) this.takeEvents();
  }

  destroy(): void {
    this.context.destroy();
  }

  /** The ring of events is full, or a sandbox has forbidden the call meanwhile. Otherwise `fd` is no eventfd (any more). */
  private retry(fd: number, result: number): void {
    let refusal = result;
    if (refusal === -c.EAGAIN) {
      this.takeEvents();
      refusal = this.context.submit(this.request);
    }
    if (refusal === -c.EAGAIN || refusal === -c.ENOSYS || refusal === -c.EPERM) new CheckedWriter().signal(fd);
  }

  private takeEvents(): void {
    this.context.takeEvents();
    this.untaken = 0;
  }

  /** Before Linux 5.8 an eventfd could not be read by AIO; other kernels and sandboxes may differ, too. */
  private works(): boolean {
    const fd = eventfd();
    const counter = new Uint8Array(new ArrayBuffer(8));
    this.signal(fd);
    const isSignalled = native.read(fd, native.address(counter), counter.length) === counter.length;
    native.close(fd);
    return isSignalled && counter[0] === 1;
  }
}

/**
 * Signals by write(2), after a look at whether it could wait. A process that clears O_NONBLOCK and fills the counter in the
 * microsecond between the look and the write still stops the thread.
 */
export class CheckedWriter implements Signaller {
  private readonly poll = new Uint8Array(new ArrayBuffer(8));
  private readonly poll32 = new Int32Array(this.poll.buffer);

  signal(fd: number): void {
    const flags = native.fcntl(fd, c.F_GETFL, 0);
    if (flags < 0) return;
    if ((flags & c.O_NONBLOCK) === 0) {
      native.fcntl(fd, c.F_SETFL, flags | c.O_NONBLOCK);
      if (!this.hasRoom(fd)) return;
    }
    // EAGAIN means that the counter is at its maximum, which keeps its reader awake: not an error.
    native.eventfdWrite(fd, 1);
  }

  /** poll(2) with no wait: false when the counter is at its maximum. */
  private hasRoom(fd: number): boolean {
    this.poll32[0] = fd;
    this.poll32[1] = c.POLLOUT;
    return native.poll(this.poll, 1, 0) === 1 && ((this.poll32[1] >>> 16) & c.POLLOUT) !== 0;
  }
}

/** How this thread signals, once it has had to. */
let signaller: Signaller | null = null;

/**
 * Adds 1 to an eventfd: wakes whoever waits on it. Never waits, whatever those do who share the eventfd, where the kernel has
 * AIO. Nothing happens where `fd` is no eventfd. Costs about a microsecond: not for each packet.
 */
export function signalEventfd(fd: number): void {
  signaller ??= openSignaller();
  signaller.signal(fd);
}

function openSignaller(): Signaller {
  try {
    const made = new AioSignaller();
    // The end of the process frees what the main thread has. The end of another thread does not.
    if (!isMainThread) process.once('exit', () => made.destroy());
    return made;
  } catch (error) {
    const reason = (error as Error).message;
    process.emitWarning(
      `tspmd: notifications are written, as Linux AIO does not work here: ${reason}. A vhost-user peer that is hostile can stop this process`,
      { code: 'TSPMD_NO_AIO' },
    );
    return new CheckedWriter();
  }
}
