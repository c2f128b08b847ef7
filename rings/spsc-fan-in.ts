/**
 * The consumer's side of many rings, for a thread that polls all of them while most are empty. To see that a ring is
 * empty it reads one word of shared memory and one word in each of two arrays. Asking each {@link SpscRing} would also
 * touch that ring's object and its view: for 64 rings this no longer fits into a first-level cache.
 */
import { type SpscRing, TAIL } from './spsc-ring.js';

export class SpscFanIn {
  private readonly words: Int32Array;
  /** For each ring: the index of its tail in `words`, and its head. */
  private readonly tailsAt: Int32Array;
  private readonly heads: Int32Array;

  /**
   * @param rings one or more, all in one buffer. From now on this object is their only consumer: the rings' own methods
   * must not dequeue either
   * @throws RangeError when there is no ring, or the rings lie in different buffers
   */
  constructor(private readonly rings: readonly SpscRing[]) {
    const [first] = rings;
    if (first === undefined || !rings.every(({ buffer }) => buffer === first.buffer)) {
      throw new RangeError(`${rings.length} rings: at least one is needed, and all must lie in one buffer`);
    }
    this.words = new Int32Array(first.buffer);
    this.tailsAt = Int32Array.from(rings, ({ byteOffset }) => byteOffset / 4 + TAIL);
    this.heads = Int32Array.from(rings, ({ consumed }) => consumed);
  }

  get length(): number {
    return this.rings.length;
  }

  /** As {@link SpscRing.looksEmpty}. */
  looksEmpty(ring: number): boolean {
    return this.words[this.tailsAt[ring]] === this.heads[ring];
  }

  /** As {@link SpscRing.count}. */
  count(ring: number): number {
    return this.rings[ring].count;
  }

  /** As {@link SpscRing.dequeueBurst}. */
  dequeueBurst(ring: number, handles: Uint32Array, lengths: Uint32Array, max: number, at = 0): number {
    const from = this.rings[ring];
    const count = from.dequeueBurst(handles, lengths, max, at);
    this.heads[ring] = from.consumed;
    return count;
  }
}
