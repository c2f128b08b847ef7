/**
 * So many per second on average, all at once or spread. How many exactly is chance, so that somebody who uses them up
 * cannot count how many others have used (CVE-2016-5696; Linux does the same).
 */
import type { FastRandom } from '../../ip/random.js';

/** A window begins with the first one that is taken. */
const WINDOW_MS = 1000;

export class RateLimit {
  private left: number;
  private since = 0;

  constructor(
    private readonly perSecond: number,
    private readonly random: FastRandom,
  ) {
    this.left = this.budget();
  }

  /** Whether one more is allowed at `ms`. It counts then. */
  take(ms: number): boolean {
    const age = (ms - this.since) | 0;
    if (age >= WINDOW_MS || age < 0) {
      this.since = ms;
      this.left = this.budget();
    }
    if (this.left === 0) return false;
    this.left--;
    return true;
  }

  /** From one half to one and a half of `perSecond`. */
  private budget(): number {
    return (this.perSecond >>> 1) + ((this.random.next() >>> 1) % this.perSecond);
  }
}
