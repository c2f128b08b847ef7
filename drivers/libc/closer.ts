/**
 * Closes what another process sent, or shares with us, on threads of its own: such a close(2) can wait for as long as that
 * process likes, and must not hold the event loop.
 *
 * What a close waits for, by kind: a TCP socket with SO_LINGER for its unsent data (net/ipv4/tcp.c, tcp_close); a FUSE file
 * for its server (fs/fuse/file.c, fuse_flush); a memfd for the freeing of its pages; an eventfd, or anything else that can be
 * polled, for the mutex of every epoll instance that watches it (fs/eventpoll.c, eventpoll_release_file), which the owner of
 * the instance can hold while a page of its event buffer is faulted in; a unix socket for all of these, because messages that
 * nobody has read carry them. So no kind is closed in place.
 *
 * The threads are plain threads that run close(2) and end (`native-thread.ts`): not those of libuv's pool, which an outsider
 * could fill while the reactor waits there, and not Workers, which have descriptors and an event loop of their own.
 */
import { isMainThread } from 'node:worker_threads';
import { closeFile } from './files.js';
import { NativeThread } from './native-thread.js';

/** How long an owner that closes waits for the descriptors of its peer. What hangs for longer is left behind. */
export const CLOSE_PATIENCE_MS = 1000;

/** Where descriptors that came from outside go to be closed. */
export interface Closer {
  /** Takes the descriptor over. Nobody may use, watch or close it from now on. */
  close(fd: number): void;
  /** Announces descriptors that come later: the closer is not settled until the function that this returns is called. */
  hold(): () => void;
  /** How many descriptors have not been closed yet; those that are held back by {@link hold} count as one. */
  readonly pending: number;
  /** True when more descriptors wait than a peer may have. The caller is to take no further one from that peer. */
  readonly isFull: boolean;
  /**
   * Resolves when everything is closed, or when no close has begun or ended for `milliseconds`, or after twice that time; to the
   * number of descriptors that are not closed then. The closing of those goes on.
   */
  settled(milliseconds: number): Promise<number>;
}

/** Closes in place: for descriptors that nobody else has, and for tests. */
export const closeInPlace: Closer = {
  close: closeFile,
  hold: () => () => {},
  pending: 0,
  isFull: false,
  settled: async () => 0,
};

/** All rings of a backend with 128 queue pairs have 768 descriptors, which go at once when their session ends. */
const MAX_PENDING = 1024;
/** Closes of an owner that are under way at a time. Those behind them stay open when all of them hang. */
const MAX_THREADS = 8;
/** So long after the last progress each turn of the event loop looks for more; most closes take some 50 us. After that a timer does. */
const QUICK_MS = 3;
const LOOK_MS = 5;

/** Those of this thread of JavaScript that have something to close. */
const busy = new Set<FileCloser>();
// The end of the process closes everything, but the end of another thread does not.
if (!isMainThread) {
  process.once('exit', () => {
    for (const closer of busy) closer.beginAll();
  });
}

/**
 * Closes the descriptors of one owner, such as a port, in the order in which they came. What hangs for one owner does not hold
 * back the descriptors of another, and a turn of the event loop starts one thread of an owner, whatever its peer sends.
 */
export class FileCloser implements Closer {
  private readonly waiting: number[] = [];
  private threads: NativeThread[] = [];
  /** When a close began or ended last. */
  private progressAt = 0;
  private isLooking = false;
  private held = 0;
  private readonly settling = new Set<() => void>();

  get pending(): number {
    return this.waiting.length + this.threads.length + this.held;
  }

  get isFull(): boolean {
    return this.pending >= MAX_PENDING;
  }

  close(fd: number): void {
    this.waiting.push(fd);
    busy.add(this);
    if (!this.isLooking) this.look();
  }

  hold(): () => void {
    this.held++;
    return () => {
      this.held--;
      if (!this.isLooking) this.look();
    };
  }

  settled(milliseconds: number): Promise<number> {
    if (this.pending === 0) return Promise.resolve(0);
    const end = performance.now() + 2 * milliseconds;
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.settling.delete(settle);
        resolve(this.pending);
      };
      const giveUp = (): void => {
        // Closes may have ended while this thread did something else.
        this.goOn();
        const now = performance.now();
        if (this.pending === 0 || now - this.progressAt >= milliseconds || now >= end) settle();
        else timer = setTimeout(giveUp, milliseconds);
      };
      let timer = setTimeout(giveUp, milliseconds);
      this.settling.add(settle);
    });
  }

  private readonly look = (): void => {
    this.goOn();
    this.isLooking = this.pending > 0;
    // A close that hangs keeps no process alive: the timer is not waited for, and the end of the process ends the thread.
    if (!this.isLooking) busy.delete(this);
    if (!this.isLooking) for (const settle of this.settling) settle();
    else if (performance.now() - this.progressAt < QUICK_MS) setImmediate(this.look);
    else setTimeout(this.look, LOOK_MS).unref();
  };

  /** Begins all closes at once: nobody looks after them any more. */
  beginAll(): void {
    for (const fd of this.waiting.splice(0)) NativeThread.start('close', fd);
  }

  /** Notes which closes have ended, and begins the next one. */
  private goOn(): void {
    const running = this.threads.filter((thread) => !thread.hasEnded());
    const hasProgress = running.length < this.threads.length;
    this.threads = running;
    if (this.begin() || hasProgress) this.progressAt = performance.now();
  }

  /** Begins the next close. False where none waits, or no thread can be had now: the next look tries again. */
  private begin(): boolean {
    if (this.waiting.length === 0 || this.threads.length === MAX_THREADS) return false;
    const thread = NativeThread.start('close', this.waiting[0] as number);
    if (thread === null) return false;
    this.threads.push(thread);
    this.waiting.shift();
    return true;
  }
}

/**
 * Waits for an owner's descriptors when the owner is closed, for {@link CLOSE_PATIENCE_MS} at most. A warning of the process
 * tells what is left behind then.
 * @param name of the owner
 */
export async function finishClosing(closer: Closer, name: string): Promise<void> {
  const left = await closer.settled(CLOSE_PATIENCE_MS);
  if (left === 0) return;
  process.emitWarning(`${name}: ${unclosed(left)}`, { code: 'TSPMD_CLOSE_HANGS' });
}

/** Says that closing hangs, for a line of the owner. */
export function unclosed(count: number): string {
  return `${count} descriptors that the peer sent or has are not closed: closing them hangs`;
}
