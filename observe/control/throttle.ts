/** Slows requests down to a rate, so that whoever asks without a pause costs the process a bounded share of a CPU. */

export class Throttle {
  /** When the next request is due if all come at the highest rate, in ms of `performance.now()`. */
  private due = 0;
  private readonly intervalMs: number;

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

  /** Resolves when the next request may pass. Requests pass in the order of the calls. */
  async pass(): Promise<void> {
    const now = performance.now();
    this.due = Math.max(this.due + this.intervalMs, now - this.burst * this.intervalMs);
    const wait = this.due - now;
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
