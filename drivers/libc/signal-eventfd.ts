/**
 * Adds 1 to an eventfd that a hostile process has open, too.
 *
 * O_NONBLOCK belongs to the open file and not to a file descriptor, so every process that shares an eventfd may clear
 * the flag. It can then fill the counter, and the next write(2) waits for as long as that process wants. Therefore
 * nothing is written. Linux AIO makes the kernel add 1, which it does without waiting (eventfd_signal() in
 * fs/eventfd.c). The request itself reads 0 bytes from that eventfd. It fails at once in io_submit(2), before it could
 * wait, and a failed request counts as done.
 *
 * io_submit(2) refuses a file descriptor that is no eventfd, so nothing else can be signalled by mistake.
 */
import { isMainThread } from 'node:worker_threads';
import { AioContext, AioRequest } from './aio.js';
import * as c from './constants.js';
import { native } from './ffi/native.js';
import { eventfd } from './files.js';

/** On every machine the kernel has room for more events than this. When it has none left, it refuses requests. */
const MAX_UNTAKEN = 64;

interface Signaller {
  signal(fd: number): void;
}

/** Signals by Linux AIO. The constructor throws when that does not work. */
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

  /**
   * The ring of events is full, or a sandbox has meanwhile forbidden the call. In all other cases `fd` is no eventfd.
   */
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

  /**
   * Checks by a signal. Before Linux 5.8 an eventfd could not be read by AIO; other kernels and sandboxes may differ,
   * too.
   */
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
 * Signals by write(2), after checking whether the write could wait. A process that clears O_NONBLOCK and fills the
 * counter between the check and the write, within a microsecond, still stops the thread.
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
    // EAGAIN means that the counter is at its maximum. This keeps its reader awake, so it is no error.
    native.eventfdWrite(fd, 1);
  }

  /** Asks poll(2) without waiting. False when the counter is at its maximum. */
  private hasRoom(fd: number): boolean {
    this.poll32[0] = fd;
    this.poll32[1] = c.POLLOUT;
    return native.poll(this.poll, 1, 0) === 1 && ((this.poll32[1] >>> 16) & c.POLLOUT) !== 0;
  }
}

/** How this thread signals; null until it has signalled once. */
let signaller: Signaller | null = null;

/**
 * Adds 1 to an eventfd, which wakes what waits on it. If the kernel has AIO, it never waits, whatever the processes do
 * that share the eventfd. Does nothing when `fd` is no eventfd. It costs 0.36 us of CPU time (write(2): 0.18 us), so do
 * not call it per packet.
 */
export function signalEventfd(fd: number): void {
  signaller ??= openSignaller();
  signaller.signal(fd);
}

function openSignaller(): Signaller {
  try {
    const made = new AioSignaller();
    // The end of the process frees the main thread's context. The end of another thread does not free that thread's.
    if (!isMainThread) process.once('exit', () => made.destroy());
    return made;
  } catch (error) {
    const reason = (error as Error).message;
    process.emitWarning(
      `tspmd: Linux AIO does not work here, so notifications use write(2): ${reason}. A hostile vhost-user peer can stop this process`,
      { code: 'TSPMD_NO_AIO' },
    );
    return new CheckedWriter();
  }
}
