/**
 * Waits for an epoll set on a thread of libuv's pool, so that the event loop goes on meanwhile.
 *
 * koffi makes the call itself on such a thread. `node:ffi` makes calls on the calling thread only; there the kernel is asked
 * by Linux AIO (IOCB_CMD_POLL, io_submit(2)) to add 1 to an eventfd when the set is ready, and the thread of the pool reads
 * that eventfd by Node's own `fs.read`. A handle in Node's event loop (`uv_poll_t`) would need no thread, but one that is open
 * when a worker is terminated aborts the process.
 */
import { read } from 'node:fs';
import { AioContext, AioRequest } from './aio.js';
import * as c from './constants.js';
import { controlEpoll, EVENT_BYTES } from './epoll.js';
import { check, systemError } from './errors.js';
import { native } from './ffi.js';
import type { AsyncEpollWait } from './functions.js';

/** A worker that is terminated runs no exit handler, and its end waits for the pool's thread: no wait is for ever. */
const WAIT_MS = 500;

/** One wait at a time. */
export interface Waiter {
  /**
   * Calls `done` on this thread when descriptors of the set are ready, and after half a second at the latest. `count` of their
   * events are then in the memory given to `createWaiter`. Throws what the kernel says if it cannot wait.
   */
  start(done: (error: unknown, count: number) => void): void;
  /** Frees what the waiter has. Only while it does not wait. */
  close(): void;
}

/** A waiter for the set `epfd`. Events go to `events`: as many as fit. */
export function createWaiter(epfd: number, events: Uint8Array): Waiter {
  return native.epollWaitAsync === null
    ? new AioWaiter(epfd, events)
    : new PoolWaiter(native.epollWaitAsync, epfd, events);
}

class PoolWaiter implements Waiter {
  constructor(
    private readonly epollWaitAsync: AsyncEpollWait,
    private readonly epfd: number,
    private readonly events: Uint8Array,
  ) {}

  start(done: (error: unknown, count: number) => void): void {
    this.epollWaitAsync(this.epfd, this.events, Math.floor(this.events.length / EVENT_BYTES), WAIT_MS, done);
  }

  close(): void {}
}

/** Requests of one thread that are under way at once: one for each of its waiters, also of those that are being closed. */
const MAX_REQUESTS = 64;

/** The AIO context of this thread's waiters, made when it is needed. It ends with the process: io_destroy(2) takes long. */
let context: AioContext | null = null;

function waitersContext(): AioContext {
  context ??= new AioContext(MAX_REQUESTS, 'the reactor');
  return context;
}

class AioWaiter implements Waiter {
  private readonly context = waitersContext();
  /** The kernel adds 1 when the set is ready. Blocking: reading it is the wait. */
  private readonly readyFd = check(native.eventfd(0, c.EFD_CLOEXEC), 'eventfd', 'reactor');
  /** Is ready once in {@link WAIT_MS}. */
  private readonly timerFd = startTimer();
  private readonly request = new AioRequest(c.IOCB_CMD_POLL, c.EPOLLIN);
  private readonly counter = new Uint8Array(new ArrayBuffer(8));

  constructor(
    private readonly epfd: number,
    private readonly events: Uint8Array,
  ) {
    controlEpoll(epfd, c.EPOLL_CTL_ADD, this.timerFd, c.EPOLLIN | c.EPOLLET, 0);
    this.request.aim(epfd, this.readyFd);
  }

  start(done: (error: unknown, count: number) => void): void {
    const submitted = this.context.submit(this.request);
    if (submitted < 0) throw systemError('io_submit', 'of the reactor', -submitted);
    read(this.readyFd, this.counter, 0, this.counter.length, null, (error) => {
      if (error) return done(error, 0);
      // The context has room for few events that nobody took.
      this.context.takeEvents();
      done(null, native.epollWait(this.epfd, this.events, Math.floor(this.events.length / EVENT_BYTES), 0));
    });
  }

  close(): void {
    native.close(this.readyFd);
    native.close(this.timerFd);
  }
}

function startTimer(): number {
  const flags = c.TFD_NONBLOCK | c.TFD_CLOEXEC;
  const fd = check(native.timerfdCreate(c.CLOCK_MONOTONIC, flags), 'timerfd_create', 'reactor');
  // struct itimerspec: the interval and the first expiry, in seconds and nanoseconds.
  const nanoseconds = BigInt(WAIT_MS) * 1_000_000n;
  const times = new Uint8Array(new BigInt64Array([0n, nanoseconds, 0n, nanoseconds]).buffer);
  native.timerfdSettime(fd, 0, times, null);
  return fd;
}
