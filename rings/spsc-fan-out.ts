/**
 * The producer's side of many rings, for a thread that spreads packets over them: each packet is written into its ring
 * at once, and published with others later, when they are worth it.
 *
 * An {@link SpscRing} a consumer does the same with more memory: an object, two views and what is collected for it, each on
 * lines of its own. For 64 rings that is more than a first-level cache holds, and the lines are fetched anew for each
 * handful of packets. Here what the producer remembers of a ring is a word in each of a few arrays, which stay in the
 * cache, and of the shared memory it touches the line that it writes, and the tail.
 */
import { CONTROL_BYTES, HEAD, LENGTH_SHIFT, type SpscRing, TAIL } from './spsc-ring.js';

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const LENGTH_AT = LENGTH_SHIFT;
/** Words from a ring's beginning to its packets. */
const PACKETS = CONTROL_BYTES / 4;
const TAIL_FROM_PACKETS = TAIL - PACKETS;
const HEAD_FROM_PACKETS = HEAD - PACKETS;

export class SpscFanOut {
  private readonly words: Int32Array;
  private readonly capacity: number;
  private readonly mask: number;
  /** Of each ring: where its packets begin in the words. */
  private readonly packets: Int32Array;
  /** Its tail, as consumers see it. */
  private readonly tails: Int32Array;
  /** Its tail with what is written and not published. */
  private readonly staged: Int32Array;
  /** How far that may go. */
  private readonly limits: Int32Array;

  /**
   * @param rings in one buffer and of one capacity, of which this is the only producer from now on: their own
   * indexes are out of date with the first packet. None takes anything before {@link allow}
   * @throws RangeError where they do not lie in one buffer, or differ in capacity
   */
  constructor(rings: readonly SpscRing[]) {
    const [first] = rings;
    if (
      first === undefined ||
      !rings.every((ring) => ring.buffer === first.buffer && ring.capacity === first.capacity)
    ) {
      throw new RangeError(`${rings.length} rings: they must be some, in one buffer and of one capacity`);
    }
    this.words = new Int32Array(first.buffer);
    this.capacity = first.capacity;
    this.mask = first.capacity - 1;
    this.packets = Int32Array.from(rings, ({ byteOffset }) => byteOffset / 4 + PACKETS);
    this.tails = this.packets.map((packets) => Atomics.load(this.words, packets + TAIL_FROM_PACKETS));
    this.staged = this.tails.slice();
    this.limits = this.tails.slice();
  }

  /** Packets of `ring` that are staged and not published. */
  waiting(ring: number): number {
    return (this.staged[ring] - this.tails[ring]) | 0;
  }

  /** The index of the next packet that will be staged for `ring`. */
  produced(ring: number): number {
    return this.staged[ring];
  }

  /** Packets that are published and not taken, as of now. */
  count(ring: number): number {
    return (this.tails[ring] - Atomics.load(this.words, this.packets[ring] + HEAD_FROM_PACKETS)) | 0;
  }

  /**
   * Lets `ring` take more packets: `most`, or as many as it has places free.
   * @returns how many that is
   */
  allow(ring: number, most: number): number {
    const staged = this.staged[ring];
    const head = Atomics.load(this.words, this.packets[ring] + HEAD_FROM_PACKETS);
    const room = Math.max(0, Math.min(most, this.capacity - ((staged - head) | 0)));
    this.limits[ring] = staged + room;
    return room;
  }

  /**
   * Writes a packet into `ring`; its consumer gets it with the next {@link publish}. Both numbers must be below
   * {@link VALUE_LIMIT}: that is not checked.
   * @returns how many wait to be published, this one included; 0 where no more is allowed: the packet is still the caller's
   */
  stage(ring: number, handle: number, length: number): number {
    const { staged } = this;
    const at = staged[ring];
    if (at === this.limits[ring]) return 0;
    this.words[this.packets[ring] + (at & this.mask)] = handle | (length << LENGTH_AT);
    staged[ring] = at + 1;
    return (at + 1 - this.tails[ring]) | 0;
  }

  /** Hands over what is staged. @returns how many packets that was */
  publish(ring: number): number {
    const { tails } = this;
    const staged = this.staged[ring];
    const count = (staged - tails[ring]) | 0;
    if (count === 0) return 0;
    tails[ring] = staged;
    // Atomics not only to publish: whoever asks next whether the consumer sleeps must not do so before this store, see
    // SpscRing.armConsumer.
    Atomics.store(this.words, this.packets[ring] + TAIL_FROM_PACKETS, staged);
    return count;
  }
}
