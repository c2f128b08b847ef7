/**
 * Signals to the eventfds of one peer, at a pace that it cannot make harmful.
 *
 * A signal wakes everybody who waits on the eventfd, and it does so in the thread that signals. A peer can have millions of
 * epoll sets wait there, and a signal then takes up to a second, in which no other port is served. Therefore a signal that
 * took `t` is followed by a pause of 20 `t`. What is due in the pause is signalled after it, so that no wake-up is lost.
 */
import { signalEventfd, threadCpuMs } from '../../libc/index.js';

/**
 * A signal that seems to take longer makes the next one be measured in CPU time, in ms. The time that passes alone would blame a
 * peer for what other processes do: often the woken process runs first, on the same CPU.
 */
const SUSPECT_MS = 0.1;
/** A signal that takes more CPU time is followed by a pause, in ms. To wake one thread takes some 5 us. */
const SLOW_MS = 0.2;
/** The pause after a slow signal, in times of its length. */
const PAUSE = 20;
/** Slow signals in a row that are told of. */
const TELL_AFTER = 3;

export class SignalPacer {
  /** Called once, with a line, when the peer has made several signals in a row slow. */
  onSlow: ((line: string) => void) | null = null;
  private isSuspect = false;
  private quietUntil = 0;
  /** Eventfds that are to be signalled after the pause. */
  private readonly due = new Set<number>();
  private timer: NodeJS.Timeout | null = null;
  private slowInARow = 0;
  private isTold = false;

  /**
   * @param send signals an eventfd
   * @param cpuMs the CPU time of this thread so far, in ms
   */
  constructor(
    private readonly send: (fd: number) => void = signalEventfd,
    private readonly cpuMs: () => number = threadCpuMs,
  ) {}

  /** Adds 1 to the eventfd; in a pause, after it. Several signals in a pause become one. */
  signal(fd: number): void {
    const start = performance.now();
    if (start < this.quietUntil) this.defer(fd, start);
    else if (this.isSuspect) this.measure(fd);
    else {
      this.send(fd);
      if (performance.now() - start > SUSPECT_MS) this.isSuspect = true;
    }
  }

  /** The descriptor is about to be closed: it is not signalled any more. */
  forget(fd: number): void {
    this.due.delete(fd);
  }

  /** Signals nothing that is due any more. */
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
      `a signal to the peer takes ${each} ms, because very many wait for its eventfd: it is signalled at most every ${pause} ms or so`,
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
      // One of them was slow again.
      if (now < this.quietUntil) {
        this.defer(fd, now);
        return;
      }
      this.due.delete(fd);
      this.measure(fd);
    }
  };
}
