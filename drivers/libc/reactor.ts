/**
 * Readiness of descriptors that libuv does not know (eventfds, sockets with SCM_RIGHTS, tap devices) in Node's event
 * loop: one `epoll_wait` at a time on libuv's thread pool, its events dispatched on this thread.
 *
 * epoll lets the set change while a wait is under way, so `watch` and `unwatch` need no wake-up.
 */
import * as c from './constants.js';
import { check } from './errors.js';
import { native } from './ffi.js';
import { closeFile, eventfd, signalEventfd } from './files.js';

/** Called with the EPOLL* bits that are ready. */
export type ReadyHandler = (events: number) => void;

// struct epoll_event is packed on x86-64 only.
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = EVENT_BYTES - 8;
const MAX_EVENTS = 64;

export class Reactor {
  private readonly epfd = check(native.epollCreate(c.EPOLL_CLOEXEC), 'epoll_create1', 'reactor');
  private readonly wakeFd = eventfd();
  private readonly handlers = new Map<number, ReadyHandler>();
  private readonly events = Buffer.from(new ArrayBuffer(MAX_EVENTS * EVENT_BYTES));
  private readonly change = Buffer.from(new ArrayBuffer(EVENT_BYTES));
  private waiting = false;
  private closed = false;
  /** At exit a thread of the pool that sleeps in epoll_wait would never be joined. */
  private readonly onExit = (): void => signalEventfd(this.wakeFd);

  constructor() {
    this.control(c.EPOLL_CTL_ADD, this.wakeFd, c.EPOLLIN | c.EPOLLET);
    process.on('exit', this.onExit);
  }

  /** How many descriptors are watched. While there is one, the event loop stays alive. */
  get size(): number {
    return this.handlers.size;
  }

  /**
   * Calls `handler` whenever one of `events` (EPOLLIN…) is ready on `fd`. Use EPOLLET on eventfds: each signal is then
   * one call and the counter need not be read.
   */
  watch(fd: number, events: number, handler: ReadyHandler): void {
    if (this.closed) throw new Error('reactor: already closed');
    this.control(c.EPOLL_CTL_ADD, fd, events);
    this.handlers.set(fd, handler);
    this.wait();
  }

  /** Stops watching. Must come before the descriptor is closed. */
  unwatch(fd: number): void {
    if (!this.handlers.delete(fd)) return;
    this.control(c.EPOLL_CTL_DEL, fd, 0);
    if (this.handlers.size === 0) signalEventfd(this.wakeFd);
  }

  /** Ends the wait and frees the descriptors. The watched ones stay open: they belong to their owners. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers.clear();
    process.off('exit', this.onExit);
    if (this.waiting) signalEventfd(this.wakeFd);
    else this.free();
  }

  private free(): void {
    closeFile(this.epfd);
    closeFile(this.wakeFd);
  }

  private control(operation: number, fd: number, events: number): void {
    this.change.writeUInt32LE(events >>> 0, 0);
    this.change.writeInt32LE(fd, DATA_OFFSET);
    this.change.writeInt32LE(0, DATA_OFFSET + 4);
    check(native.epollControl(this.epfd, operation, fd, this.change), 'epoll_ctl', `descriptor ${fd}`);
  }

  private wait(): void {
    if (this.waiting) return;
    this.waiting = true;
    native.epollWaitAsync(this.epfd, this.events, MAX_EVENTS, -1, (error, count) => {
      this.waiting = false;
      if (this.closed) {
        this.free();
        return;
      }
      if (error) throw error;
      this.dispatch(count);
      if (this.closed) this.free();
      else if (this.handlers.size > 0) this.wait();
    });
  }

  private dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_BYTES;
      const handler = this.handlers.get(this.events.readInt32LE(at + DATA_OFFSET));
      // A handler may have unwatched a later one of the same batch.
      if (!handler) continue;
      try {
        handler(this.events.readUInt32LE(at));
      } catch (error) {
        // The other descriptors still get their event (an edge is told once); the error becomes an uncaught exception.
        queueMicrotask(() => {
          throw error;
        });
      }
      if (this.closed) return;
    }
  }
}
