/**
 * The consumer's side of many rings, for a thread that goes round all of them, most of them empty. It tells an empty one
 * by a line of shared memory and a word in each of two arrays; to ask each {@link SpscRing} takes its object and its view as
 * well. For 64 rings that is the difference between what stays in a first-level cache and what does not.
 */
import { type SpscRing, TAIL } from './spsc-ring.js';

export class SpscFanIn {
  private readonly words: Int32Array;
  /** Of each ring: where its tail lies in the words, and its head. */
  private readonly tailsAt: Int32Array;
  private readonly heads: Int32Array;

  /**
   * @param rings in one buffer, of which this is the only consumer from now on: nothing else may dequeue, not they either
   * @throws RangeError where they do not lie in one buffer
   */
  constructor(private readonly rings: readonly SpscRing[]) {
    const [first] = rings;
    if (first === undefined || !rings.every(({ buffer }) => buffer === first.buffer)) {
      throw new RangeError(`${rings.length} rings: they must be some, in one buffer`);
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
