/**
 * Packet buffers of one fixed size in shared memory, and the stack of the free ones.
 *
 * A buffer is an integer handle from 0 to count - 1. Buffer h lies in slot h, which begins at `base + (h << shift)`;
 * {@link bufferStart} says how far into its slot a buffer begins. A slot is a power of two in size, so that an offset
 * is computed by a shift, and no slot crosses a page. The free buffers form a stack because the buffer that was freed
 * last is most likely still in the cache.
 */

/** What {@link BufferPool.get} returns when no buffer is free. */
export const NO_BUFFER = -1;

/**
 * Where a frame begins in its buffer, in bytes. The 12-byte virtio-net header lies right before the frame. 62 = 2 mod 4
 * aligns the IP header, 14 bytes further on, to 4 bytes, and header and a 64-byte frame share a pair of cache lines.
 */
export const FRAME_OFFSET = 62;
/**
 * Ethernet II header (IEEE 802.3, clause 3): two MAC addresses and the EtherType. The shortest frame that is accepted.
 */
export const ETHERNET_HEADER_BYTES = 14;

/** Shape of the buffers; plain numbers, so that a worker can be sent them. */
export interface BufferGeometry {
  /** Number of buffers. */
  readonly count: number;
  /** log2 of a slot's size in bytes (11: 2 KiB). */
  readonly shift: number;
  /** Offset of the first slot in the memory, in bytes: a multiple of a slot's size. */
  readonly base: number;
}

/**
 * A buffer begins 0, 128, 256 or 384 bytes into its slot, depending on two bits of its handle. 128 bytes are two cache
 * lines: header and a short frame fill such a pair, which x86-64 prefetches together. If all buffers began at the start
 * of their slots, the first lines of all frames would share two of the 64 sets of a first-level cache. These sets have
 * room for 24 lines, which is less than a burst needs. With four places they share eight sets.
 */
const COLOURS = 0x180;

/** Where buffer `handle` begins, in bytes from the start of buffer 0's slot. */
export function bufferStart(handle: number, shift: number): number {
  return (handle << shift) + ((handle << 6) & COLOURS);
}

/** The longest frame, in bytes without the virtio header, that a buffer in a slot of 2^shift bytes holds. */
export function frameCapacity(shift: number): number {
  return (1 << shift) - COLOURS - FRAME_OFFSET;
}

/** The free buffers of one owner. A pool is not shared: handles cross threads in rings. */
export class BufferPool {
  /**
   * The free buffers; the next one is at {@link available} - 1. Loops that take or give a burst use the stack directly:
   * they keep the count in a register and write it back at the end. Signed words: docs/v8.md, "Typed arrays".
   */
  readonly stack: Int32Array;
  /** Number of free buffers. */
  available = 0;

  /** Owns the buffers from `first` to `end` (exclusive), by default all of `geometry`. All are free at first. */
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

  /** Takes a free buffer; returns its handle, or {@link NO_BUFFER}. */
  get(): number {
    if (this.available === 0) return NO_BUFFER;
    return this.stack[--this.available];
  }

  /** Puts a buffer back. The caller must own the buffer: one that is put back twice would have two owners. */
  put(handle: number): void {
    this.stack[this.available++] = handle;
  }

  /** Offset in the memory, in bytes, of the first byte of buffer `handle`. */
  offsetOf(handle: number): number {
    // bufferStart written out: with one more call the receive loop takes a third longer (docs/v8.md, "Inlining
    // budget").
    return this.geometry.base + (handle << this.geometry.shift) + ((handle << 6) & COLOURS);
  }
}
