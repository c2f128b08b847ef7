/**
 * Watches file descriptors that libuv does not know (eventfds, sockets with SCM_RIGHTS, tap devices) in Node's event
 * loop: an epoll set, one wait for it at a time (`waiter.ts`), and dispatch of its events on this thread.
 *
 * epoll allows changes of the set during a wait, so `watch` and `unwatch` need no wake-up. All reactors of a JavaScript
 * thread share one epoll instance: with koffi a wait occupies one of the four threads of libuv's pool, and with one
 * wait per device no thread would be left for file and name look-ups.
 */
import * as c from '../constants.js';
import { check } from '../errors.js';
import { native } from '../ffi/native.js';
import { closeFile, eventfd } from '../files.js';
import { createWaiter } from './waiter.js';

/** Called with the EPOLL* bits of what is ready. */
export type ReadyHandler = (events: number) => void;

// struct epoll_event is packed on x86-64 only.
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = EVENT_BYTES - 8;
const MAX_EVENTS = 64;

interface Watch {
  readonly handler: ReadyHandler;
  /**
   * Is stored in the event, so that an event from before `unwatch` is not given to the next owner of the file
   * descriptor number.
   */
  readonly generation: number;
}

class Poller {
  private readonly epfd = check(native.epollCreate(c.EPOLL_CLOEXEC), 'epoll_create1', 'reactor');
  private readonly wakeFd = eventfd();
  private readonly watches = new Map<number, Watch>();
  private readonly events = Buffer.from(new ArrayBuffer(MAX_EVENTS * EVENT_BYTES));
  private readonly waiter = createWaiter(this.epfd, this.events, MAX_EVENTS);
  private readonly change = Buffer.from(new ArrayBuffer(EVENT_BYTES));
  private generation = 0;
  private waiting = false;
  private closed = false;
  /** At exit, a thread of the pool that sleeps in epoll_wait would delay the end of the process. */
  private readonly onExit = (): void => this.interrupt();

  constructor() {
    this.control(c.EPOLL_CTL_ADD, this.wakeFd, c.EPOLLIN | c.EPOLLET, 0);
    process.on('exit', this.onExit);
  }

  add(fd: number, events: number, handler: ReadyHandler): void {
    this.generation = (this.generation + 1) >>> 0;
    this.control(c.EPOLL_CTL_ADD, fd, events, this.generation);
    this.watches.set(fd, { handler, generation: this.generation });
    this.wait();
  }

  remove(fd: number): void {
    this.watches.delete(fd);
    if (this.watches.size === 0) this.interrupt();
    this.control(c.EPOLL_CTL_DEL, fd, 0, 0);
  }

  close(): void {
    this.closed = true;
    process.off('exit', this.onExit);
    if (this.waiting) this.interrupt();
    else this.free();
  }

  /** Ends the wait. No other process has this eventfd, so writing to it cannot block. */
  private interrupt(): void {
    native.eventfdWrite(this.wakeFd, 1);
  }

  private free(): void {
    this.waiter.close();
    closeFile(this.epfd);
    closeFile(this.wakeFd);
  }

  private control(operation: number, fd: number, events: number, generation: number): void {
    this.change.writeUInt32LE(events >>> 0, 0);
    this.change.writeInt32LE(fd, DATA_OFFSET);
    this.change.writeUInt32LE(generation, DATA_OFFSET + 4);
    check(native.epollControl(this.epfd, operation, fd, this.change), 'epoll_ctl', `descriptor ${fd}`);
  }

  private wait(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.waiter.start((error, count) => {
      if (!this.closed && !error) this.dispatch(count);
      this.waiting = false;
      if (this.closed) this.free();
      else if (error) throw error;
      else if (this.watches.size > 0) this.wait();
    });
  }

  private dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_BYTES;
      const watch = this.watches.get(this.events.readInt32LE(at + DATA_OFFSET));
      // An earlier handler of this batch may have unwatched this file descriptor, or watched another file under the
      // same number.
      if (watch === undefined || watch.generation !== this.events.readUInt32LE(at + DATA_OFFSET + 4)) continue;
      try {
        watch.handler(this.events.readUInt32LE(at));
      } catch (error) {
        // The other file descriptors must still get their event, because an edge is reported once. The error becomes
        // uncaught.
        queueMicrotask(() => {
          throw error;
        });
      }
      if (this.closed) return;
    }
  }
}

/** The poller of this thread; it exists while a reactor uses it. */
let poller: Poller | null = null;
let users = 0;

export class Reactor {
  private readonly poller: Poller;
  private readonly fds = new Set<number>();
  private closed = false;

  constructor() {
    poller ??= new Poller();
    this.poller = poller;
    users++;
  }

  /** Number of watched file descriptors. While it is not 0, the event loop stays alive. */
  get size(): number {
    return this.fds.size;
  }

  /**
   * Calls `handler` whenever one of `events` (EPOLLIN…) is ready on `fd`. Use EPOLLET for eventfds: then each signal is
   * one call, and the counter need not be read. A file descriptor can be watched once per thread.
   */
  watch(fd: number, events: number, handler: ReadyHandler): void {
    if (this.closed) throw new Error('reactor: already closed');
    this.poller.add(fd, events, handler);
    this.fds.add(fd);
  }

  /** Stops watching `fd`. Call it before the file descriptor is closed. */
  unwatch(fd: number): void {
    if (this.fds.delete(fd)) this.poller.remove(fd);
  }

  /** Ends all watches. The watched file descriptors stay open, because they belong to their owners. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const fd of this.fds) {
      try {
        this.poller.remove(fd);
      } catch {
        // The owner has closed the file descriptor already, and so the kernel has removed it from the set.
      }
    }
    this.fds.clear();
    if (--users > 0) return;
    this.poller.close();
    poller = null;
  }
}
