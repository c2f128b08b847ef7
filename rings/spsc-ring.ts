/**
 * A ring of packets, each a handle and a length, from one producer to one consumer, in a region of a SharedArrayBuffer.
 *
 * Producer and consumer each make an instance over the same region, on their own threads. Each index has a single
 * writer, so there is no lock and no compare-and-swap. Indexes run freely through 32 bits and wrap; `tail - head` in
 * 32-bit arithmetic is always the number of packets in the ring.
 *
 * What makes it fast (ideas of MCRingBuffer and the LMAX Disruptor, for V8):
 * - head and tail lie 128 bytes apart (two cache lines, because x86-64 prefetches lines in pairs), so that the two
 *   threads do not take each other's line away;
 * - each side keeps its own index and its last view of the other index in plain fields. It loads the other index again
 *   only when the ring looks too empty or too full: an Atomics call costs about 10 ns in V8, a plain access about 1 ns;
 * - a burst is one Atomics.store of the side's own index, which publishes the plain stores (or ends the plain loads)
 *   before it;
 * - a packet is one word, 16 bits of handle and 16 bits of length. Compared with two words, half as many cache lines go
 *   from one core to the other, and there is one access less: a fifth faster, on one thread and between two;
 * - words are signed: docs/v8.md, "Typed arrays".
 */

/** Distance in bytes between words that different threads write. The region must be aligned to it. */
const LINE_BYTES = 128;
/** Index of the head, in words from the start of the ring. */
export const HEAD = 0;
/** Index of the tail, in words from the start of the ring. */
export const TAIL = LINE_BYTES / 4;
/** Bytes from the start of the ring to its packets. */
export const CONTROL_BYTES = 2 * LINE_BYTES;
const MAX_CAPACITY = 2 ** 24;
/** A packet is `handle | length << LENGTH_SHIFT`. */
export const LENGTH_SHIFT = 16;
const HANDLE_MASK = 0xffff;

/** Handles and lengths must be below this. Buffer counts and buffer sizes are limited accordingly. */
export const VALUE_LIMIT = 2 ** LENGTH_SHIFT;

export class SpscRing {
  /** Largest number of packets in the ring; a power of two. */
  readonly capacity: number;
  private readonly control: Int32Array;
  private readonly packets: Int32Array;
  private readonly mask: number;
  /** Producer: its own index, and its last view of the consumer's. */
  private tail: number;
  private headSeen: number;
  /** Consumer: its own index, and its last view of the producer's. */
  private head: number;
  private tailSeen: number;

  /**
   * Attaches to the ring at `byteOffset` of `buffer`. A region of zeros is an empty ring.
   * @param byteOffset a multiple of 128
   * @param capacity in packets, a power of two; the same on both sides
   * @throws RangeError when the ring does not fit there
   */
  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly byteOffset: number,
    capacity: number,
  ) {
    const bytes = SpscRing.bytesFor(capacity);
    if (!(byteOffset >= 0 && byteOffset % LINE_BYTES === 0 && byteOffset + bytes <= buffer.byteLength)) {
      throw new RangeError(
        `ring of ${bytes} bytes at offset ${byteOffset}: the offset must be a multiple of ${LINE_BYTES}, and the ring must lie inside the memory of ${buffer.byteLength} bytes`,
      );
    }
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.control = new Int32Array(buffer, byteOffset, CONTROL_BYTES / 4);
    this.packets = new Int32Array(buffer, byteOffset + CONTROL_BYTES, capacity);
    this.head = this.headSeen = Atomics.load(this.control, HEAD);
    this.tail = this.tailSeen = Atomics.load(this.control, TAIL);
  }

  /** Bytes that a ring of `capacity` packets takes: a multiple of 128, so that rings can follow each other. */
  static bytesFor(capacity: number): number {
    if (!(capacity >= 2 && capacity <= MAX_CAPACITY && Number.isInteger(Math.log2(capacity)))) {
      throw new RangeError(`ring capacity ${capacity}: it must be a power of two from 2 to ${MAX_CAPACITY}`);
    }
    return CONTROL_BYTES + Math.ceil((capacity * 4) / LINE_BYTES) * LINE_BYTES;
  }

  /**
   * Makes the region an empty ring whose indexes begin at `firstIndex` (any 32-bit number). For memory that is not
   * zeroed. No instance may be attached.
   */
  static reset(buffer: SharedArrayBuffer, byteOffset: number, firstIndex = 0): void {
    const control = new Int32Array(buffer, byteOffset, CONTROL_BYTES / 4);
    Atomics.store(control, HEAD, firstIndex | 0);
    Atomics.store(control, TAIL, firstIndex | 0);
  }

  /** Number of packets in the ring. From any thread; may be outdated by the time the caller reads it. */
  get count(): number {
    // Head first: it only grows, so the difference is never negative.
    const head = Atomics.load(this.control, HEAD);
    return Math.min((Atomics.load(this.control, TAIL) - head) | 0, this.capacity);
  }

  /**
   * The index of the next packet that the consumer takes, as of now. Any thread can see by it whether the consumer
   * works.
   */
  get headNow(): number {
    return Atomics.load(this.control, HEAD);
  }

  // Producer

  /** The index of the next packet to be appended. */
  get produced(): number {
    return this.tail;
  }

  /**
   * Appends `count` packets in order, from index `from` of both arrays. Handles and lengths must be below
   * {@link VALUE_LIMIT}; that is not checked.
   * @returns how many fitted; the rest stay the caller's
   */
  enqueueBurst(handles: Uint32Array, lengths: Uint32Array, from: number, count: number): number {
    const tail = this.tail;
    const mask = this.mask;
    let free = this.capacity - ((tail - this.headSeen) | 0);
    if (free < count) {
      this.headSeen = Atomics.load(this.control, HEAD);
      free = this.capacity - ((tail - this.headSeen) | 0);
    }
    const n = Math.min(count, free);
    if (n <= 0) return 0;
    const packets = this.packets;
    for (let i = 0; i < n; i++) packets[(tail + i) & mask] = handles[from + i] | (lengths[from + i] << LENGTH_SHIFT);
    this.tail = (tail + n) | 0;
    Atomics.store(this.control, TAIL, this.tail);
    return n;
  }

  // Consumer

  /** The index of the next packet to be taken. */
  get consumed(): number {
    return this.head;
  }

  /**
   * Whether the ring seems empty, by a plain load: for a thread that polls many rings, most of them empty. A packet
   * that was enqueued just now may be seen a little later. Before it sleeps, a consumer must ask {@link count}.
   */
  get looksEmpty(): boolean {
    return this.control[TAIL] === this.head;
  }

  /**
   * Takes up to `max` packets in order and stores them into both arrays, from index `at` on. The arrays must have room.
   * @returns how many packets were taken
   */
  dequeueBurst(handles: Uint32Array, lengths: Uint32Array, max: number, at = 0): number {
    const head = this.head;
    const mask = this.mask;
    let ready = (this.tailSeen - head) | 0;
    if (ready < max) {
      this.tailSeen = Atomics.load(this.control, TAIL);
      ready = (this.tailSeen - head) | 0;
    }
    const n = Math.min(max, ready);
    if (n <= 0) return 0;
    const packets = this.packets;
    for (let i = 0; i < n; i++) {
      const packet = packets[(head + i) & mask];
      handles[at + i] = packet & HANDLE_MASK;
      lengths[at + i] = packet >>> LENGTH_SHIFT;
    }
    this.head = (head + n) | 0;
    Atomics.store(this.control, HEAD, this.head);
    return n;
  }
}
