/**
 * Waits for an epoll set while the event loop goes on. koffi calls epoll_wait(2) on a thread of libuv's pool.
 * `node:ffi` can call only on the calling thread; there Node's event loop watches the set (`loop-socket.ts`).
 */

import type { AsyncEpollWait } from '../ffi/functions.js';
import { native } from '../ffi/native.js';
import { LoopSocket } from './loop-socket.js';

/**
 * Longest wait of a thread of the pool, in ms. A worker that is terminated runs no exit handler, and its end waits for
 * it.
 */
const POOL_WAIT_MS = 500;

/** `count` events (perhaps 0) are in the memory that was given to {@link createWaiter}. */
type Done = (error: unknown, count: number) => void;

/** Waits once at a time. A wait keeps the event loop alive. */
export interface Waiter {
  /** Later calls `done` on this thread, when file descriptors of the set are ready. */
  start(done: Done): void;
  /** Frees the waiter's resources. It must not be waiting. */
  close(): void;
}

/** Makes a waiter for the set `epfd`. `events` has room for `maxEvents` events, in memory that V8 does not move. */
export function createWaiter(epfd: number, events: Uint8Array, maxEvents: number): Waiter {
  const { epollWaitAsync } = native;
  return epollWaitAsync === null
    ? new LoopWaiter(epfd, events, maxEvents)
    : new PoolWaiter(epollWaitAsync, epfd, events, maxEvents);
}

class PoolWaiter implements Waiter {
  constructor(
    private readonly epollWaitAsync: AsyncEpollWait,
    private readonly epfd: number,
    private readonly events: Uint8Array,
    private readonly maxEvents: number,
  ) {}

  start(done: Done): void {
    this.epollWaitAsync(this.epfd, this.events, this.maxEvents, POOL_WAIT_MS, done);
  }

  close(): void {}
}

class LoopWaiter implements Waiter {
  private readonly socket: LoopSocket;
  private done: Done | null = null;

  constructor(
    private readonly epfd: number,
    private readonly events: Uint8Array,
    private readonly maxEvents: number,
  ) {
    this.socket = LoopSocket.over(epfd, () => this.finish());
    this.socket.unref();
  }

  start(done: Done): void {
    this.done = done;
    this.socket.ref();
  }

  /** While there is no wait, the set has only the file descriptor that ends waits. Its event may be lost. */
  private finish(): void {
    const { done } = this;
    this.done = null;
    this.socket.unref();
    const count = native.epollWait(this.epfd, this.events, this.maxEvents, 0);
    done?.(null, count);
  }

  close(): void {
    this.socket.destroy();
  }
}
