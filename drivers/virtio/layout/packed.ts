/**
 * The packed virtqueue as it lies in memory (virtio 1.2, 2.8): one ring of descriptors that both sides write, and for
 * each side four bytes in which it says whether it wants to be notified. All fields are little-endian.
 *
 * A descriptor is four words: address low, address high, length, and `id | flags << 16`. Id and flags travel in one
 * aligned 32-bit access, so whoever sees the flags of a descriptor has seen its id. The words are read and written through
 * an Int32Array: a flag in bit 31 then stays a small integer, where `Atomics.load` of a Uint32Array would allocate.
 */

/** Words of a descriptor. */
export const PACKED_DESC_WORDS = 4;
export const PACKED_DESC_BYTES = 16;
/** Indexes of a descriptor's words. */
export const WORD_LENGTH = 2;
export const WORD_ID_FLAGS = 3;

/** The flags in the last word: its lower half is the buffer id. */
export const ID_MASK = 0xffff;
export const PACKED_F_NEXT = 1 << 16;
export const PACKED_F_WRITE = 2 << 16;
export const PACKED_F_INDIRECT = 4 << 16;
const AVAIL = 1 << 23;
const USED = 1 << 31;
/** Both bits that wrap counters are compared with (2.8.1). */
export const AVAIL_USED = AVAIL | USED;
/** How a descriptor is marked available in a round whose wrap counter is 1. In the other round: `^ AVAIL_USED`. */
export const FIRST_AVAILABLE = AVAIL;
/** How a descriptor is marked used in a round whose wrap counter is 1. In the other round: `^ AVAIL_USED`. */
export const FIRST_USED = AVAIL_USED;

/** struct pvirtq_event_suppress as one word: `offset | wrap << 15 | flags << 16` (2.8.14). */
export const EVENT_BYTES = 4;
export const EVENT_ENABLE = 0 << 16;
export const EVENT_DISABLE = 1 << 16;
/** Only with EVENT_IDX: when the descriptor at the offset, in the round of the wrap bit, is made available or used. */
export const EVENT_DESC = 2 << 16;
const EVENT_FLAGS = 3 << 16;
const EVENT_WRAP = 1 << 15;

/** Alignments of the three areas (2.8.10.1). */
export const PACKED_DESC_ALIGN = 16;
export const EVENT_ALIGN = 4;

/** The largest queue (2.8). Any size up to it is allowed, not only powers of two (2.8.10.1). */
export const MAX_PACKED_QUEUE_SIZE = 32768;

/** The wish to be notified when descriptor `position`, in a round whose wrap counter is `wrap`, is passed. */
export function eventAt(position: number, wrap: boolean): number {
  return EVENT_DESC | position | (wrap ? EVENT_WRAP : 0);
}

/**
 * Whether the other side, whose event suppression is `event`, is to be notified of the `count` descriptors before
 * `position` (2.8.10). `wrap` is the wrap counter at `position`. A flag that is reserved is taken for a wish.
 */
export function wantsEvent(
  event: number,
  eventIdx: boolean,
  position: number,
  wrap: boolean,
  count: number,
  size: number,
): boolean {
  const flags = event & EVENT_FLAGS;
  if (flags !== EVENT_DESC || !eventIdx) return flags !== EVENT_DISABLE;
  let at = event & (EVENT_WRAP - 1);
  // Of the round before: `position` has wrapped since.
  if (((event & EVENT_WRAP) !== 0) !== wrap) at -= size;
  return at < position && at >= position - count;
}

/**
 * A used or available mark guards the descriptor's other words. x86 loads in order; elsewhere the loads after
 * {@link orderLoads} must not overtake those before it.
 */
export const LOADS_IN_ORDER = process.arch === 'x64' || process.arch === 'ia32';

const fence = new Int32Array(new SharedArrayBuffer(4));

/**
 * Orders all loads before it before all loads after it. Everything comes before a store that is a release, that comes
 * before the load that is an acquire, and that before everything after it: the two cost less than an Atomics.load for
 * each descriptor.
 */
export function orderLoads(): void {
  Atomics.store(fence, 0, 0);
  Atomics.load(fence, 0);
}
