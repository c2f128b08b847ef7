/**
 * Fixed packet buffers in a shared memory, and the stack of those that are free.
 *
 * A buffer is an integer handle, 0 to count - 1; buffer h begins at `base + (h << shift)`. Buffers are a power of two in
 * size, so that a handle becomes an offset with one shift. LIFO: the buffer freed last is the one still in the cache.
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
  /** log2 of a buffer's size in bytes (11: 2 KiB). */
  readonly shift: number;
  /** Offset of buffer 0 in the memory, in bytes. */
  readonly base: number;
}

/** The longest frame (without virtio header) that a buffer of 2^shift bytes holds. */
export function frameCapacity(shift: number): number {
  return (1 << shift) - FRAME_OFFSET;
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
    return this.geometry.base + (handle << this.geometry.shift);
  }
}
