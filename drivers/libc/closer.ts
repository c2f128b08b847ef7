/**
 * Closes file descriptors that another process sent, or shares with us, on threads of their own. Such a close(2) can
 * wait for as long as that process wants, and must not block the event loop.
 *
 * What a close waits for depends on the kind of file. A TCP socket with SO_LINGER waits for its unsent data
 * (net/ipv4/tcp.c, tcp_close). A FUSE file waits for its server (fs/fuse/file.c, fuse_flush). A memfd waits until its
 * pages are freed. An eventfd, or anything else that can be polled, waits for the mutex of every epoll instance that
 * watches it (fs/eventpoll.c, eventpoll_release_file); the owner of the instance can hold the mutex while a page of its
 * event buffer is faulted in. A unix socket waits for all of these, because unread messages carry them. So no kind of
 * file is closed in place.
 *
 * The threads only run close(2) and end (`native-thread.ts`). Threads of libuv's pool would not do, because an outsider
 * could fill the pool, which the program needs for files and names. Workers would not do, because they have file descriptors and an
 * event loop of their own.
 */
import { isMainThread } from 'node:worker_threads';
import { closeFile } from './files.js';
import { NativeThread } from './native-thread.js';

/**
 * How long, in ms, an owner that closes waits for its peer's file descriptors. What hangs for longer is left behind.
 */
export const CLOSE_PATIENCE_MS = 1000;

/** Closes file descriptors that came from outside. */
export interface Closer {
  /** Takes the file descriptor over. From now on the caller must not use, watch or close it. */
  close(fd: number): void;
  /** Announces file descriptors that come later: the closer is not settled until the returned function is called. */
  hold(): () => void;
  /** Number of file descriptors that are not closed yet. Each {@link hold} counts as one. */
  readonly pending: number;
  /**
   * True when more file descriptors wait than a peer may have, or when many wait and closing them hangs. Then the caller
   * should take no further one from that peer.
   */
  readonly isFull: boolean;
  /**
   * Resolves when everything is closed, or when no close has begun or ended for `milliseconds`, or after twice that
   * time. Resolves to the number of file descriptors that are not closed by then. Their closing goes on.
   */
  settled(milliseconds: number): Promise<number>;
}

/** Closes in place: for file descriptors that no other process has, and for tests. */
export const closeInPlace: Closer = {
  close: closeFile,
  hold: () => () => {},
  pending: 0,
  isFull: false,
  settled: async () => 0,
};

/**
 * All rings of a backend with 128 queue pairs have 768 file descriptors, which are closed together when their session
 * ends.
 */
const MAX_PENDING = 1024;
/** The closer is also full when this many wait and no close has begun or ended for {@link CLOSE_PATIENCE_MS}. */
const HANGING_PENDING = 256;
/** Largest number of an owner's closes at a time. If all of them hang, the file descriptors behind them stay open. */
const MAX_THREADS = 8;
/**
 * For this long after progress, in ms, each turn of the event loop looks for more; most closes take 50 us. Then a timer
 * does.
 */
const QUICK_MS = 3;
const LOOK_MS = 5;

/** The closers of this JavaScript thread that have something to close. */
const busy = new Set<FileCloser>();
// The end of the process closes everything, but the end of another thread does not.
if (!isMainThread) {
  process.once('exit', () => {
    for (const closer of busy) closer.beginAll();
  });
}

/**
 * Closes the file descriptors of one owner, such as a port, in the order in which they came. A close that hangs for one
 * owner does not hold back the file descriptors of another. A turn of the event loop starts at most one thread per
 * owner, whatever its peer sends.
 */
export class FileCloser implements Closer {
  private readonly waiting: number[] = [];
  private threads: NativeThread[] = [];
  /** When a close last began or ended. */
  private progressAt = 0;
  private isLooking = false;
  private held = 0;
  private readonly settling = new Set<() => void>();

  get pending(): number {
    return this.waiting.length + this.threads.length + this.held;
  }

  get isFull(): boolean {
    if (this.pending < HANGING_PENDING) return false;
    return this.pending >= MAX_PENDING || performance.now() - this.progressAt >= CLOSE_PATIENCE_MS;
  }

  close(fd: number): void {
    this.waiting.push(fd);
    busy.add(this);
    // A thread is free: the next turn begins a close, whatever hangs on the others.
    if (this.threads.length < MAX_THREADS) this.progressAt = performance.now();
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
    // A close that hangs keeps no process alive: the timer is unreferenced, and the end of the process ends the thread.
    if (!this.isLooking) busy.delete(this);
    if (!this.isLooking) for (const settle of this.settling) settle();
    else if (performance.now() - this.progressAt < QUICK_MS) setImmediate(this.look);
    else setTimeout(this.look, LOOK_MS).unref();
  };

  /** Begins all closes at once, because nothing will look after them any more. */
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

  /** Begins the next close. False when none is waiting, or no thread can be had now; the next look tries again. */
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
 * Waits for an owner's file descriptors when the owner is closed, for {@link CLOSE_PATIENCE_MS} at most unless closes
 * make progress. A warning of the process then says what is left behind.
 * @param name of the owner
 */
export async function finishClosing(closer: Closer, name: string): Promise<void> {
  const left = await closer.settled(CLOSE_PATIENCE_MS);
  if (left === 0) return;
  process.emitWarning(`${name}: ${unclosed(left)}`, { code: 'TSPMD_CLOSE_HANGS' });
}

/** The text that says that closes hang, for a line of the owner. */
export function unclosed(count: number): string {
  return `${count} file descriptors that the peer sent or has are not closed: closing them hangs`;
}
