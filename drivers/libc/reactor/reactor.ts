/**
 * Watches file descriptors that libuv does not know (eventfds, sockets with SCM_RIGHTS, tap devices) in Node's event
 * loop: an epoll set, which Node's event loop watches (`loop-socket.ts`), and dispatch of its events.
 *
 * epoll allows changes of the set at any time. All reactors of a JavaScript thread share one epoll instance, so that
 * one wake-up brings the events of all devices.
 */
import * as c from '../constants.js';
import { check } from '../errors.js';
import { native } from '../ffi/native.js';
import { closeFile } from '../files.js';
import { LoopSocket } from './loop-socket.js';

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
  private readonly socket = this.openSocket();
  private readonly watches = new Map<number, Watch>();
  private readonly events = Buffer.from(new ArrayBuffer(MAX_EVENTS * EVENT_BYTES));
  private readonly change = Buffer.from(new ArrayBuffer(EVENT_BYTES));
  private generation = 0;
  /** How many watches keep the event loop alive. */
  private referenced = 0;
  private closed = false;

  add(fd: number, events: number, handler: ReadyHandler): void {
    this.generation = (this.generation + 1) >>> 0;
    this.control(c.EPOLL_CTL_ADD, fd, events, this.generation);
    this.watches.set(fd, { handler, generation: this.generation });
  }

  remove(fd: number): void {
    this.watches.delete(fd);
    this.control(c.EPOLL_CTL_DEL, fd, 0, 0);
  }

  /** `change` watches more, or fewer when it is negative, keep the event loop alive. */
  reference(change: number): void {
    const before = this.referenced;
    this.referenced += change;
    if (before === 0 && this.referenced > 0) this.socket.ref();
    else if (before > 0 && this.referenced === 0) this.socket.unref();
  }

  close(): void {
    this.closed = true;
    this.socket.destroy();
    closeFile(this.epfd);
  }

  private openSocket(): LoopSocket {
    try {
      const socket = LoopSocket.over(this.epfd, () => this.ready());
      socket.unref();
      return socket;
    } catch (error) {
      closeFile(this.epfd);
      throw error;
    }
  }

  private control(operation: number, fd: number, events: number, generation: number): void {
    this.change.writeUInt32LE(events >>> 0, 0);
    this.change.writeInt32LE(fd, DATA_OFFSET);
    this.change.writeUInt32LE(generation, DATA_OFFSET + 4);
    check(native.epollControl(this.epfd, operation, fd, this.change), 'epoll_ctl', `descriptor ${fd}`);
  }

  private ready(): void {
    if (this.closed) return;
    this.dispatch(check(native.epollWait(this.epfd, this.events, MAX_EVENTS, 0), 'epoll_wait', 'reactor'));
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
  private keepsAlive = true;
  private closed = false;

  constructor() {
    poller ??= new Poller();
    this.poller = poller;
    users++;
  }

  /** Number of watched file descriptors. While it is not 0, the event loop stays alive unless {@link keepAlive} says no. */
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
    if (this.keepsAlive) this.poller.reference(1);
  }

  /** Stops watching `fd`. Call it before the file descriptor is closed. */
  unwatch(fd: number): void {
    if (!this.fds.delete(fd)) return;
    if (this.keepsAlive) this.poller.reference(-1);
    this.poller.remove(fd);
  }

  /** Says whether the watches of this reactor keep the event loop alive. They do at first. */
  keepAlive(on: boolean): void {
    if (on === this.keepsAlive) return;
    this.keepsAlive = on;
    this.poller.reference(on ? this.fds.size : -this.fds.size);
  }

  /** Ends all watches. The watched file descriptors stay open, because they belong to their owners. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.keepsAlive) this.poller.reference(-this.fds.size);
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
