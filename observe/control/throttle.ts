/**
 * Slows requests down to a rate, so that whoever asks without a pause costs the process a bounded share of a CPU. Who waits has a place
 * in a queue; a place that is given up costs the others nothing.
 */

/** A place in the queue. */
export interface Turn {
  /** Resolves when the request may pass; never after {@link Turn.giveUp}. */
  readonly comes: Promise<void>;
  /** The request will not be made: its connection is closed. */
  giveUp(): void;
}

export class Throttle {
  /** When the next request is due if all come at the highest rate, in ms of `performance.now()`. */
  private due = 0;
  private readonly intervalMs: number;
  private readonly queue = new Set<() => void>();
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param perSecond how many requests pass per second
   * @param burst how many requests pass at once after a pause
   */
  constructor(
    perSecond: number,
    private readonly burst: number,
  ) {
    this.intervalMs = 1000 / perSecond;
  }

  /** Takes a place behind all others. */
  turn(): Turn {
    let pass = (): void => {};
    const comes = new Promise<void>((resolve) => {
      pass = resolve;
    });
    this.queue.add(pass);
    this.next();
    return { comes, giveUp: () => void this.queue.delete(pass) };
  }

  /** Lets pass who may, and looks again when the next one may. */
  private next(): void {
    if (this.timer !== null) return;
    for (const pass of this.queue) {
      const now = performance.now();
      const due = Math.max(this.due + this.intervalMs, now - this.burst * this.intervalMs);
      if (due > now) {
        this.timer = setTimeout(() => {
          this.timer = null;
          this.next();
        }, due - now);
        return;
      }
      this.due = due;
      this.queue.delete(pass);
      pass();
    }
  }
}
