/**
 * The producer's side of many rings, for a thread that spreads packets over them. A packet is written into its ring at
 * once and published later, together with others.
 *
 * One {@link SpscRing} per consumer would do the same with more memory: an object, two views and a list of waiting
 * packets, each on cache lines of its own. For 64 rings this does not fit into a first-level cache, and the lines are
 * fetched again for every few packets. Here the producer's state for a ring is one word in each of a few arrays, which
 * stay in the cache. In shared memory the producer touches only the line that it writes, and the tail.
 */
import { CONTROL_BYTES, HEAD, LENGTH_SHIFT, type SpscRing, TAIL } from './spsc-ring.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const LENGTH_AT = LENGTH_SHIFT;
/** Words from a ring's beginning to its packets. */
const PACKETS = CONTROL_BYTES / 4;
const TAIL_FROM_PACKETS = TAIL - PACKETS;
const HEAD_FROM_PACKETS = HEAD - PACKETS;

export class SpscFanOut {
  private readonly words: Int32Array;
  private readonly capacity: number;
  private readonly mask: number;
  /** For each ring: where its packets begin in `words`. */
  private readonly packets: Int32Array;
  /** For each ring: its tail, as the consumer sees it. */
  private readonly tails: Int32Array;
  /** For each ring: its tail, including packets that are written but not yet published. */
  private readonly staged: Int32Array;
  /** For each ring: how far `staged` may go. */
  private readonly limits: Int32Array;

  /**
   * @param rings one or more, all in one buffer and of one capacity. From now on this object is their only producer:
   * the rings' own indexes are out of date after the first packet. No ring takes packets before {@link allow}
   * @throws RangeError when there is no ring, or the rings differ in buffer or capacity
   */
  constructor(rings: readonly SpscRing[]) {
    const [first] = rings;
    if (
      first === undefined ||
      !rings.every((ring) => ring.buffer === first.buffer && ring.capacity === first.capacity)
    ) {
      throw new RangeError(
        `${rings.length} rings: at least one is needed, and all must lie in one buffer and have one capacity`,
      );
    }
    this.words = new Int32Array(first.buffer);
    this.capacity = first.capacity;
    this.mask = first.capacity - 1;
    this.packets = Int32Array.from(rings, ({ byteOffset }) => byteOffset / 4 + PACKETS);
    this.tails = this.packets.map((packets) => Atomics.load(this.words, packets + TAIL_FROM_PACKETS));
    this.staged = this.tails.slice();
    this.limits = this.tails.slice();
  }

  /** Number of packets of `ring` that are staged but not published. */
  waiting(ring: number): number {
    return (this.staged[ring] - this.tails[ring]) | 0;
  }

  /** The index of the next packet that will be staged for `ring`. */
  produced(ring: number): number {
    return this.staged[ring];
  }

  /** Number of packets that are published and that the consumer has not taken, as of now. */
  count(ring: number): number {
    return (this.tails[ring] - Atomics.load(this.words, this.packets[ring] + HEAD_FROM_PACKETS)) | 0;
  }

  /**
   * Lets `ring` take more packets: `most` of them, or fewer when the ring has less room.
   * @returns the number of packets that it may take
   */
  allow(ring: number, most: number): number {
    const staged = this.staged[ring];
    const head = Atomics.load(this.words, this.packets[ring] + HEAD_FROM_PACKETS);
    const room = Math.max(0, Math.min(most, this.capacity - ((staged - head) | 0)));
    this.limits[ring] = staged + room;
    return room;
  }

  /**
   * Writes a packet into `ring`. The consumer gets it with the next {@link publish}. Both numbers must be below
   * {@link VALUE_LIMIT}; that is not checked.
   * @returns the number of packets waiting to be published, this one included; 0 when `ring` may take no more: then the
   * packet stays the caller's
   */
  stage(ring: number, handle: number, length: number): number {
    const { staged } = this;
    const at = staged[ring];
    if (at === this.limits[ring]) return 0;
    this.words[this.packets[ring] + (at & this.mask)] = handle | (length << LENGTH_AT);
    staged[ring] = at + 1;
    return (at + 1 - this.tails[ring]) | 0;
  }

  /** Publishes what is staged for `ring`. @returns the number of packets */
  publish(ring: number): number {
    const { tails } = this;
    const staged = this.staged[ring];
    const count = (staged - tails[ring]) | 0;
    if (count === 0) return 0;
    tails[ring] = staged;
    // Atomics also because the caller next asks whether the consumer sleeps: that load must not overtake this store
    // (the doorbell in src/threads).
    Atomics.store(this.words, this.packets[ring] + TAIL_FROM_PACKETS, staged);
    return count;
  }
}
