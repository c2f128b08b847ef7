/**
 * Closes what another process sent, or shares with us, on threads of its own: such a close(2) can wait for as long as that process likes, and
 * must not hold the event loop.
 *
 * What waits in the kernel, by kind: a TCP socket with SO_LINGER for its unsent data (net/ipv4/tcp.c, tcp_close); a FUSE file
 * for its server (fs/fuse/file.c, fuse_flush); a memfd for the freeing of its pages; an eventfd, or anything that can be
 * polled, for the mutex of every epoll instance that watches it (fs/eventpoll.c, eventpoll_release_file), which its owner can
 * hold while a page of its event buffer is faulted in; a unix socket for all of these, as messages that were not read carry them.
 * So no kind is closed in place.
 *
 * The threads are not those of libuv's pool: the reactor waits there, and an outsider could fill it.
 */
import { isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';
import { native } from './ffi.js';
import { closeFile } from './files.js';

/** Where descriptors that came from outside go to be closed. */
export interface Closer {
  /** Takes the descriptor over. Nobody may use, watch or close it from now on. */
  close(fd: number): void;
  /** More wait to be closed than a peer may have; the caller is to take no further one from it. */
  readonly isFull: boolean;
}

/** Closes in place: for descriptors that nobody else has, and for tests. */
export const closeInPlace: Closer = { close: closeFile, isFull: false };

/** All rings of a backend with 128 queue pairs have 768 descriptors, which go at once when their session ends. */
const MAX_PENDING = 1024;
/** Descriptors given to a thread at a time. Those behind one that hangs stay open. */
const MAX_BATCH = 64;
/** As many owners can hang a thread each before no descriptor of anybody is closed any more. */
const MAX_THREADS = 8;
/** When all threads have been busy for so long, another one is started. */
const PATIENCE_MS = 250;
/** What a close that is under way may take when the process ends. */
const EXIT_MS = 200;

/** The thread's program. `left` counts what it has yet to close. What close(2) fails with changes nothing: the number is free. */
const PROGRAM = `
const { closeSync } = require('node:fs');
const { parentPort, workerData: left } = require('node:worker_threads');
parentPort.on('message', (fds) => {
  for (const fd of fds) {
    try { closeSync(fd); } catch {}
    Atomics.sub(left, 0, 1);
    Atomics.notify(left, 0);
  }
  parentPort.postMessage(null);
});`;

class ClosingThread {
  /** Whose descriptors it closes; null while it waits. */
  owner: FileCloser | null = null;
  private readonly left = new Int32Array(new SharedArrayBuffer(4));
  private readonly worker: Worker;
  private batch: number[] = [];
  private isOnline = false;

  constructor(private readonly pool: ClosingPool) {
    // No flags of this process: a loader, say, would only slow its start. The descriptors are not the worker's own.
    const options: WorkerOptions = { eval: true, name: 'tspmd-close', execArgv: [], env: {}, trackUnmanagedFds: false };
    this.worker = new Worker(PROGRAM, { ...options, workerData: this.left });
    this.worker.on('online', () => {
      this.isOnline = true;
    });
    this.worker.on('message', () => this.pool.freed(this, []));
    // It did not start: no memory, or no thread, is left.
    this.worker.on('error', () => this.pool.ended(this, this.isOnline ? [] : this.batch));
    this.worker.unref();
  }

  /** How many of its batch it has not closed. */
  get pending(): number {
    return Atomics.load(this.left, 0);
  }

  close(owner: FileCloser, fds: number[]): void {
    this.owner = owner;
    this.batch = fds;
    Atomics.store(this.left, 0, fds.length);
    this.worker.postMessage(fds);
  }

  /** Waits for the rest of the batch. False when it takes longer than `milliseconds`. */
  finish(milliseconds: number): boolean {
    const end = performance.now() + milliseconds;
    for (let left = this.pending; left > 0; left = this.pending) {
      const patience = end - performance.now();
      if (patience <= 0) return false;
      Atomics.wait(this.left, 0, left, patience);
    }
    return true;
  }
}

/** The threads, and whose descriptors are next. One batch of an owner is under way at a time: it can hang one thread, no more. */
class ClosingPool {
  private readonly threads: ClosingThread[] = [];
  private readonly queue: FileCloser[] = [];
  private timer: NodeJS.Timeout | null = null;

  constructor() {
    // Node waits for its threads when it exits, which one that hangs would make it do for ever.
    if (isMainThread) process.on('exit', (code) => this.leave(code));
  }

  start(): void {
    if (this.threads.length === 0) this.threads.push(new ClosingThread(this));
  }

  add(owner: FileCloser): void {
    this.queue.push(owner);
    this.dispatch();
  }

  /** A thread has done its batch. */
  freed(thread: ClosingThread, rest: number[]): void {
    const { owner } = thread;
    thread.owner = null;
    owner?.done(rest);
    this.dispatch();
  }

  ended(thread: ClosingThread, rest: number[]): void {
    this.threads.splice(this.threads.indexOf(thread), 1);
    const { owner } = thread;
    thread.owner = null;
    owner?.done(rest);
    this.growLater();
  }

  private dispatch(): void {
    this.start();
    while (this.queue.length > 0) {
      const thread = this.threads.find(({ owner }) => owner === null);
      if (thread === undefined) {
        this.growLater();
        return;
      }
      this.queue.shift()?.begin(thread, MAX_BATCH);
    }
  }

  private growLater(): void {
    if (this.timer !== null || this.threads.length >= MAX_THREADS) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.queue.length === 0) return;
      if (this.threads.every(({ owner }) => owner !== null)) this.threads.push(new ClosingThread(this));
      this.dispatch();
    }, PATIENCE_MS);
    this.timer.unref();
  }

  private leave(code: number): void {
    if (this.threads.some((thread) => !thread.finish(EXIT_MS))) native.exitNow(code);
  }
}

/** The pool of this thread of JavaScript. */
let pool: ClosingPool | null = null;

/** Closes the descriptors of one owner, such as a port: what another owner's descriptors do does not hold them back. */
export class FileCloser implements Closer {
  private waiting: number[] = [];
  private thread: ClosingThread | null = null;
  private isQueued = false;

  constructor() {
    pool ??= new ClosingPool();
  }

  /**
   * Starts a thread now, so that the first close need not. A thread runs on the cores of the one that starts it: start it
   * before that one is pinned.
   */
  start(): void {
    pool?.start();
  }

  /** How many descriptors have not been closed yet. */
  get pending(): number {
    return this.waiting.length + (this.thread?.pending ?? 0);
  }

  get isFull(): boolean {
    return this.pending >= MAX_PENDING;
  }

  close(fd: number): void {
    this.waiting.push(fd);
    if (this.isQueued || this.thread !== null) return;
    this.isQueued = true;
    // What else is closed in this turn goes in the same batch.
    queueMicrotask(() => pool?.add(this));
  }

  /** For the pool: `thread` closes the next batch. */
  begin(thread: ClosingThread, most: number): void {
    this.isQueued = false;
    this.thread = thread;
    thread.close(this, this.waiting.splice(0, most));
  }

  /** For the pool: the batch is closed but for `rest`. */
  done(rest: number[]): void {
    this.thread = null;
    this.waiting.unshift(...rest);
    if (this.waiting.length === 0) return;
    this.isQueued = true;
    pool?.add(this);
  }
}
