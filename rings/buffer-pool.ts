/**
 * Fixed packet buffers in a shared memory, and the stack of those that are free.
 *
 * A buffer is an integer handle, 0 to count - 1; buffer h begins in slot h, at `base + (h << shift)` and a little after, see
 * {@link bufferStart}. Slots are a power of two in size, so that a handle becomes an offset without a multiplication, and
 * none lies across the end of a page. LIFO: the buffer freed last is the one still in the cache.
 */

/** No buffer: what {@link BufferPool.get} returns when none is free. */
export const NO_BUFFER = -1;

/**
 * Where a frame begins in its buffer. The 12-byte virtio-net header lies right before it; 62 = 2 mod 4 puts the IP
 * header, 14 bytes on, at a multiple of 4, and header and a 64-byte frame on the same two cache lines.
 */
export const FRAME_OFFSET = 62;

/** Shape of the buffers; plain numbers, so that a worker can be sent them. */
export interface BufferGeometry {
  /** How many buffers. */
  readonly count: number;
  /** log2 of a slot's size in bytes (11: 2 KiB). */
  readonly shift: number;
  /** Offset of the first slot in the memory, in bytes: a multiple of a slot's size. */
  readonly base: number;
}

/**
 * Buffers begin at one of four places in their slots, 128 bytes apart: two cache lines, as header and a short frame lie on
 * one such pair, which x86-64 prefetches together. With slots a power of two in size, the first lines of all frames would
 * else share two of the 64 sets of a first-level cache, with room for 24 lines, fewer than a burst has. The lowest bit of
 * the handle chooses between those two by itself.
 */
const COLOURS = 0x180;

/** Where buffer `handle` begins, in bytes from buffer 0's slot on. */
export function bufferStart(handle: number, shift: number): number {
  return (handle << shift) + ((handle << 6) & COLOURS);
}

/** The longest frame (without virtio header) that a buffer in a slot of 2^shift bytes holds. */
export function frameCapacity(shift: number): number {
  return (1 << shift) - COLOURS - FRAME_OFFSET;
}

/** The free buffers of one owner. Not shared: what crosses threads travels in a ring. */
export class BufferPool {
  /**
   * The free buffers, the next one at {@link available} - 1. For loops that take or give a burst: they keep the count in a
   * register, and write it back at their end. Signed: V8 has to check whether an unsigned word is a small integer.
   */
  readonly stack: Int32Array;
  /** How many buffers are free. */
  available = 0;

  /** Owns all buffers of `geometry`, or those from `first` to `end` (exclusive). All are free at first. */
  constructor(
    readonly geometry: BufferGeometry,
    first = 0,
    end = geometry.count,
  ) {
    if (!(geometry.count > 0 && first >= 0 && first <= end && end <= geometry.count)) {
      throw new RangeError(`buffer pool: handles ${first} to ${end} of ${geometry.count} buffers`);
    }
    this.stack = new Int32Array(geometry.count);
    // Lowest handle on top.
    for (let handle = end - 1; handle >= first; handle--) this.stack[this.available++] = handle;
  }

  /** Takes a free buffer, or {@link NO_BUFFER}. */
  get(): number {
    if (this.available === 0) return NO_BUFFER;
    return this.stack[--this.available];
  }

  /** Gives a buffer back. The caller must own it: a buffer given back twice would have two owners. */
  put(handle: number): void {
    this.stack[this.available++] = handle;
  }

  /** Offset in the memory of the first byte of buffer `handle`. */
  offsetOf(handle: number): number {
    // bufferStart written out: one call more, and V8 no longer inlines all that the receiving loop calls (a third slower).
    return this.geometry.base + (handle << this.geometry.shift) + ((handle << 6) & COLOURS);
  }
}
