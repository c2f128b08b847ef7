/**
 * Waits for an epoll set, so that the event loop goes on meanwhile. koffi calls epoll_wait(2) on a thread of libuv's pool.
 * `node:ffi` makes calls on the calling thread only; there Node's event loop watches the set (`loop-socket.ts`).
 */
import { native } from './ffi.js';
import type { AsyncEpollWait } from './functions.js';
import { LoopSocket } from './loop-socket.js';

/** A worker that is terminated runs no exit handler, and its end waits for the pool's thread: no wait there is for ever. */
const POOL_WAIT_MS = 500;

/** `count` events are in the memory that was given to {@link createWaiter}; maybe none. */
export type Done = (error: unknown, count: number) => void;

/** One wait at a time. The event loop stays alive for it. */
export interface Waiter {
  /** Calls `done` on this thread, later, when descriptors of the set are ready. */
  start(done: Done): void;
  /** Frees what the waiter has. Only while it does not wait. */
  close(): void;
}

/** A waiter for the set `epfd`. `events` has room for `maxEvents`, and is memory that V8 does not move. */
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

  /** While nobody waits the set has no descriptors but the one that ends waits, whose event nobody misses. */
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
