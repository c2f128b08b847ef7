/**
 * The time of one stack, read once per poll. Both values are signed 32-bit numbers that wrap, because V8 keeps such
 * numbers out of the heap: compare them by `(a - b) | 0`.
 */

/** Microseconds in a millisecond. */
const US_PER_MS = 1000;

/** The time of one stack. */
export class Clock {
  /** Whole milliseconds. Two values may lie up to 24 days apart. */
  ms = 0;
  /** Microseconds. Two values may lie up to 35 minutes apart. */
  us = 0;

  /** @param now returns milliseconds, monotonic, with a fraction: `core.now` */
  constructor(private readonly now: () => number) {
    this.read();
  }

  /** Brings {@link ms} and {@link us} up to date. */
  read(): void {
    const now = this.now();
    this.ms = now | 0;
    // Modulo 2^32, which `| 0` does for doubles below 2^53.
    this.us = (now * US_PER_MS) | 0;
  }
}
