/**
 * Signals the eventfds of one peer, at a pace at which the peer cannot make them harmful.
 *
 * A signal wakes everything that waits on the eventfd, and does so in the thread that signals. A peer can have millions
 * of epoll sets wait on it. Then one signal takes up to a second, in which no other port is served. Therefore a signal
 * that took `t` is followed by a pause of 20 `t`. Signals that fall into the pause are sent after it, so that no
 * wake-up is lost.
 */
import { signalEventfd, threadCpuMs } from '../../libc/index.js';

/**
 * After a signal that took longer than this, in ms, the next one is measured in CPU time. Elapsed time alone would
 * blame the peer for what other processes do: often the woken process runs first, on the same CPU.
 */
const SUSPECT_MS = 0.1;
/** A signal that takes more CPU time than this, in ms, is followed by a pause. Waking one thread takes about 5 us. */
const SLOW_MS = 0.2;
/** Length of the pause, in multiples of the signal's own length. */
const PAUSE = 20;
/** Number of slow signals in a row after which {@link SignalPacer.onSlow} is called. */
const TELL_AFTER = 3;

export class SignalPacer {
  /** Called once, with a line, when the peer has made several signals in a row slow. */
  onSlow: ((line: string) => void) | null = null;
  private isSuspect = false;
  private quietUntil = 0;
  /** Eventfds to signal after the pause. */
  private readonly due = new Set<number>();
  private timer: NodeJS.Timeout | null = null;
  private slowInARow = 0;
  private isTold = false;

  /**
   * @param send signals an eventfd
   * @param cpuMs returns the CPU time of this thread so far, in ms
   */
  constructor(
    private readonly send: (fd: number) => void = signalEventfd,
    private readonly cpuMs: () => number = threadCpuMs,
  ) {}

  /** Adds 1 to the eventfd, or does so after the pause if there is one. Several signals in a pause become one. */
  signal(fd: number): void {
    const start = performance.now();
    if (start < this.quietUntil) this.defer(fd, start);
    else if (this.isSuspect) this.measure(fd);
    else {
      this.send(fd);
      if (performance.now() - start > SUSPECT_MS) this.isSuspect = true;
    }
  }

  /** Call it before the descriptor is closed: it is not signalled any more. */
  forget(fd: number): void {
    this.due.delete(fd);
  }

  /** Drops the signals that are waiting for the end of the pause. */
  close(): void {
    this.due.clear();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private measure(fd: number): void {
    const start = this.cpuMs();
    this.send(fd);
    const took = this.cpuMs() - start;
    if (took <= SLOW_MS) {
      this.isSuspect = false;
      this.slowInARow = 0;
      return;
    }
    this.quietUntil = performance.now() + PAUSE * took;
    if (++this.slowInARow < TELL_AFTER || this.isTold) return;
    this.isTold = true;
    const [each, pause] = [took.toFixed(1), (PAUSE * took).toFixed(0)];
    this.onSlow?.(
      `a signal to the peer takes ${each} ms, because very many threads or epoll sets wait for its eventfd: it is signalled about every ${pause} ms at most`,
    );
  }

  private defer(fd: number, now: number): void {
    this.due.add(fd);
    this.timer ??= setTimeout(this.signalDue, Math.ceil(this.quietUntil - now)).unref();
  }

  private readonly signalDue = (): void => {
    this.timer = null;
    for (const fd of this.due) {
      const now = performance.now();
      // One of the eventfds was slow again.
      if (now < this.quietUntil) {
        this.defer(fd, now);
        return;
      }
      this.due.delete(fd);
      this.measure(fd);
    }
  };
}
