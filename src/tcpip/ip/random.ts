/** Random numbers: unpredictable ones to begin with, cheap ones per packet. */
import { randomBytes } from 'node:crypto';

/** Returns 32 random bits, signed. */
export type RandomSource = () => number;

/** The default source: that of the operating system. */
export const systemRandom: RandomSource = () => randomBytes(4).readInt32LE();

/** Xorshift32 (Marsaglia, 2003): fast, without allocation. Somebody who sees its numbers can predict the next. */
export class FastRandom {
  private state: number;

  constructor(source: RandomSource) {
    // 0 would stay 0.
    this.state = source() | 1;
  }

  /** Returns 32 bits, signed. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x;
  }
}
