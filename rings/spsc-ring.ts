/**
 * A ring of packets, a handle and a length each, from one producer to one consumer, in a region of a SharedArrayBuffer.
 *
 * Producer and consumer construct an instance each, on their own threads, over the same region. Each index has a single
 * writer, so there is no lock and no compare-and-swap. Indexes run freely through 32 bits and wrap; `tail - head` in
 * 32-bit arithmetic is always the number of packets in the ring.
 *
 * What makes it fast (the ideas of MCRingBuffer and the LMAX Disruptor, for V8):
 * - head, tail and wake word lie 128 bytes apart (two cache lines, since x86-64 prefetches lines in pairs), so that the
 *   two sides do not take each other's line away;
 * - each side keeps its own index, and the last it saw of the other's, in plain fields, and loads the other's again only
 *   when the ring looks too empty or too full: an Atomics call costs ~10 ns in V8, a plain access ~1 ns;
 * - a burst is one Atomics.store of the own index. It publishes the plain stores (or ends the plain loads) before it;
 * - a packet is one word, 16 bits of handle and 16 of length: half as many cache lines go from one core to the other as
 *   with a word each, and one access less (a fifth faster, alone and between threads);
 * - signed 32-bit words, which V8 keeps as small integers; a Uint32Array load may become a double.
 */

/** Distance of words that different threads write, in bytes; the region must be aligned to it. */
const LINE_BYTES = 128;
/** Words from a ring's beginning to its head. */
export const HEAD = 0;
/** Words from a ring's beginning to its tail. */
export const TAIL = LINE_BYTES / 4;
const ASLEEP = (2 * LINE_BYTES) / 4;
/** What comes before a ring's packets. */
export const CONTROL_BYTES = 3 * LINE_BYTES;
const MAX_CAPACITY = 2 ** 24;
/** A packet is its handle and, so many bits further up, its length. */
export const LENGTH_SHIFT = 16;
const HANDLE_MASK = 0xffff;

/** Handles and lengths that a ring carries are below it: buffers are no more, and no longer. */
export const VALUE_LIMIT = 2 ** LENGTH_SHIFT;

export class SpscRing {
  /** Most packets that the ring holds; a power of two. */
  readonly capacity: number;
  private readonly control: Int32Array;
  private readonly packets: Int32Array;
  private readonly mask: number;
  /** Producer: its own index, and the consumer's as last seen. */
  private tail: number;
  private headSeen: number;
  /** Consumer: its own index, and the producer's as last seen. */
  private head: number;
  private tailSeen: number;

  /**
   * Attaches to the ring at `byteOffset` of `buffer`. A region of zeros is an empty ring.
   * @param byteOffset a multiple of 128
   * @param capacity packets, a power of two; the same on both sides
   * @throws RangeError where the ring cannot lie there
   */
  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly byteOffset: number,
    capacity: number,
  ) {
    const bytes = SpscRing.bytesFor(capacity);
    if (!(byteOffset >= 0 && byteOffset % LINE_BYTES === 0 && byteOffset + bytes <= buffer.byteLength)) {
      throw new RangeError(
        `ring of ${bytes} bytes at offset ${byteOffset}: it must be a multiple of ${LINE_BYTES} and inside the memory of ${buffer.byteLength} bytes`,
      );
    }
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.control = new Int32Array(buffer, byteOffset, CONTROL_BYTES / 4);
    this.packets = new Int32Array(buffer, byteOffset + CONTROL_BYTES, capacity);
    this.head = this.headSeen = Atomics.load(this.control, HEAD);
    this.tail = this.tailSeen = Atomics.load(this.control, TAIL);
  }

  /** Bytes that a ring of `capacity` packets takes: a multiple of 128, so that rings can lie one after the other. */
  static bytesFor(capacity: number): number {
    if (!(capacity >= 2 && capacity <= MAX_CAPACITY && Number.isInteger(Math.log2(capacity)))) {
      throw new RangeError(`ring capacity ${capacity}: it must be a power of two from 2 to ${MAX_CAPACITY}`);
    }
    return CONTROL_BYTES + Math.ceil((capacity * 4) / LINE_BYTES) * LINE_BYTES;
  }

  /**
   * Makes the region an empty ring whose indexes begin at `firstIndex` (any 32-bit number). For memory that is not
   * zeroed; only while no instance is attached.
   */
  static reset(buffer: SharedArrayBuffer, byteOffset: number, firstIndex = 0): void {
    const control = new Int32Array(buffer, byteOffset, CONTROL_BYTES / 4);
    Atomics.store(control, HEAD, firstIndex | 0);
    Atomics.store(control, TAIL, firstIndex | 0);
    Atomics.store(control, ASLEEP, 0);
  }

  /** Packets in the ring: a bound that may be outdated by the time it is read. From any thread. */
  get count(): number {
    // Head first: it can only grow, so the difference is never negative.
    const head = Atomics.load(this.control, HEAD);
    return Math.min((Atomics.load(this.control, TAIL) - head) | 0, this.capacity);
  }

  /** The index of the next packet that will be taken, as of now. From any thread: whether the consumer takes anything. */
  get headNow(): number {
    return Atomics.load(this.control, HEAD);
  }

  // Producer

  /** The index of the next packet that will be appended. */
  get produced(): number {
    return this.tail;
  }

  /**
   * Appends the packets at `from` to `from + count - 1` of the arrays, which must hold that many, in order. Both numbers of
   * each must be below {@link VALUE_LIMIT}: that is not checked.
   * @returns how many fitted; the rest is still the caller's
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

  /** Whether the consumer must be woken. To be asked after each enqueue where the consumer may sleep. */
  consumerSleeps(): boolean {
    return Atomics.load(this.control, ASLEEP) !== 0;
  }

  /**
   * Wakes a consumer that blocks in {@link waitForItems}. One that sleeps on something else (an eventfd) must be woken
   * through that after this call. Any thread may call it, also to stop a consumer.
   */
  wakeConsumer(): void {
    Atomics.store(this.control, ASLEEP, 0);
    Atomics.notify(this.control, ASLEEP);
  }

  // Consumer

  /** The index of the next packet that will be taken. */
  get consumed(): number {
    return this.head;
  }

  /**
   * Whether there seems to be nothing to dequeue, by a plain load: for who goes round many rings, most of them empty. What
   * was enqueued just now may be seen a little later; who wants to sleep asks {@link count} or {@link armConsumer}.
   */
  get looksEmpty(): boolean {
    return this.control[TAIL] === this.head;
  }

  /**
   * Takes up to `max` packets into the arrays, from index `at` on, in order; the arrays must have room for them.
   * @returns how many there were
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

  /**
   * Says that the consumer is about to sleep; true when it may, false when the ring is not empty (the word is then off
   * again).
   *
   * Why no wake-up is lost: the consumer stores ASLEEP and then loads TAIL; the producer stores TAIL and then loads
   * ASLEEP. All four are Atomics, hence sequentially consistent: there is one order of them that both threads agree on,
   * and no load in it comes before the store that its thread made first (a plain store could still sit in the store
   * buffer). In that order either the consumer's load comes after the producer's store, and it sees the packets and stays
   * awake; or the producer's store, and so its load, comes after the consumer's load and store, and it sees the word and
   * wakes. Whoever wakes clears the word before it notifies, and Atomics.wait does not sleep on a cleared word: a wake-up
   * between arming and sleeping counts too. A late one, meant for a sleep that timed out, ends the next sleep early;
   * that is harmless.
   */
  armConsumer(): boolean {
    Atomics.store(this.control, ASLEEP, 1);
    this.tailSeen = Atomics.load(this.control, TAIL);
    if (this.tailSeen === this.head) return true;
    this.disarmConsumer();
    return false;
  }

  /** The consumer is awake: no wake-ups wanted. */
  disarmConsumer(): void {
    Atomics.store(this.control, ASLEEP, 0);
  }

  /**
   * Blocks the consumer's thread until there is something to dequeue, until {@link wakeConsumer}, or for `timeoutMs`
   * (Infinity allowed: then the producer must wake). A thread that is to be stopped by a flag should wait in slices.
   * @returns whether there is something to dequeue
   */
  waitForItems(timeoutMs: number): boolean {
    if (!this.armConsumer()) return true;
    Atomics.wait(this.control, ASLEEP, 1, timeoutMs);
    this.disarmConsumer();
    this.tailSeen = Atomics.load(this.control, TAIL);
    return this.tailSeen !== this.head;
  }
}
