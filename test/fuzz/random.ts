/** The one source of chance: a small generator that a seed determines (xorshift128, Marsaglia 2003). */

export class Random {
  private a: number;
  private b: number;
  private c = 0x6c078965;
  private d = 0x9908b0df;

  constructor(seed: number) {
    this.a = seed | 0 || 1;
    this.b = Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995;
    // Seeds that are near each other begin alike.
    for (let i = 0; i < 16; i++) this.next();
  }

  /** 32 random bits, signed. */
  next(): number {
    let t = this.d;
    const s = this.a;
    this.d = this.c;
    this.c = this.b;
    this.b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    this.a = t ^ s ^ (s >>> 19);
    return this.a;
  }

  /** 0 to n - 1; n is at most 65536. */
  below(n: number): number {
    return ((this.next() >>> 16) * n) >>> 16;
  }

  /** A fraction from 0 up to, but not including, 1. */
  unit(): number {
    return (this.next() >>> 0) / 2 ** 32;
  }

  /** Whether something of this probability happens. Draws nothing when it cannot happen. */
  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }
}
