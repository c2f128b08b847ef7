/** Random bytes that follow from a seed, for tests and simulations that must be repeatable. Not for anything else. */
export class RandomBytes {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** Returns the next bytes. */
  readonly take = (count: number): Uint8Array => {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.next();
    return bytes;
  };

  /** Mulberry32: one step, its highest byte. */
  private next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 24;
  }
}
