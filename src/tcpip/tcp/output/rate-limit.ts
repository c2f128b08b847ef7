/** So many per second, all at once or spread. A window begins with the first one that is taken. */
const WINDOW_MS = 1000;

export class RateLimit {
  private left: number;
  private since = 0;

  constructor(private readonly perSecond: number) {
    this.left = perSecond;
  }

  /** Whether one more is allowed at `ms`. It counts then. */
  take(ms: number): boolean {
    const age = (ms - this.since) | 0;
    if (age >= WINDOW_MS || age < 0) {
      this.since = ms;
      this.left = this.perSecond;
    }
    if (this.left === 0) return false;
    this.left--;
    return true;
  }
}
