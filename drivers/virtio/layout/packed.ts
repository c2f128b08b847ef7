/**
 * The packed virtqueue in memory (virtio 1.2, 2.8): one ring of descriptors that both sides write, and for each side
 * four bytes in which it says whether it wants to be notified. All fields are little-endian.
 *
 * A descriptor is four words: address low, address high, length, and `id | flags << 16`. Id and flags are accessed
 * together as one aligned 32-bit word, so a side that sees a descriptor's flags also sees its id. The words are
 * accessed through an Int32Array (docs/v8.md, "Typed arrays"): `Atomics.load` of a Uint32Array would allocate for a
 * flag in bit 31.
 */

/** Words of a descriptor. */
export const PACKED_DESC_WORDS = 4;
export const PACKED_DESC_BYTES = 16;
/** Indexes of two of a descriptor's words. */
export const WORD_LENGTH = 2;
export const WORD_ID_FLAGS = 3;

/** The lower half of a descriptor's last word is the buffer id; the flags are in the upper half. */
export const ID_MASK = 0xffff;
export const PACKED_F_NEXT = 1 << 16;
export const PACKED_F_WRITE = 2 << 16;
export const PACKED_F_INDIRECT = 4 << 16;
const AVAIL = 1 << 23;
const USED = 1 << 31;
/** The two bits that are compared with the wrap counters (2.8.1). */
export const AVAIL_USED = AVAIL | USED;
/** The mark of an available descriptor in a round whose wrap counter is 1. In the other rounds: `^ AVAIL_USED`. */
export const FIRST_AVAILABLE = AVAIL;
/** The mark of a used descriptor in a round whose wrap counter is 1. In the other rounds: `^ AVAIL_USED`. */
export const FIRST_USED = AVAIL_USED;

/** struct pvirtq_event_suppress as one word: `offset | wrap << 15 | flags << 16` (2.8.14). */
export const EVENT_BYTES = 4;
export const EVENT_ENABLE = 0 << 16;
export const EVENT_DISABLE = 1 << 16;
/**
 * Only with EVENT_IDX: notify when the descriptor at the offset, in the round of the wrap bit, is made available or
 * used.
 */
const EVENT_DESC = 2 << 16;
const EVENT_FLAGS = 3 << 16;
const EVENT_WRAP = 1 << 15;

/** Alignments of the three areas (2.8.10.1). */
export const PACKED_DESC_ALIGN = 16;
export const EVENT_ALIGN = 4;

/** The largest queue (2.8). Any size up to it is allowed, not only powers of two (2.8.10.1). */
export const MAX_PACKED_QUEUE_SIZE = 32768;

/**
 * The event word that asks for a notification when descriptor `position` is passed in a round with wrap counter `wrap`.
 */
export function eventAt(position: number, wrap: boolean): number {
  return EVENT_DESC | position | (wrap ? EVENT_WRAP : 0);
}

/**
 * Whether the other side, whose event word is `event`, must be notified of the `count` descriptors before `position`
 * (2.8.10). `wrap` is the wrap counter at `position`. A reserved flag counts as a request.
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
  // The event is of the round before: `position` has wrapped since.
  if (((event & EVENT_WRAP) !== 0) !== wrap) at -= size;
  return at < position && at >= position - count;
}

/**
 * Whether the processor keeps loads in order, as x86 does. A used or available mark guards the other words of its
 * descriptor: on other processors their loads must come after {@link orderLoads}, or they could overtake the load of
 * the mark.
 */
export const LOADS_IN_ORDER = process.arch === 'x64' || process.arch === 'ia32';

const fence = new Int32Array(new SharedArrayBuffer(4));

/**
 * Makes all loads before it complete before all loads after it. Earlier loads come before the store, which is a
 * release; the store comes before the load, which is an acquire; and that comes before later loads. Both together cost
 * less than an Atomics.load per descriptor.
 */
export function orderLoads(): void {
  Atomics.store(fence, 0, 0);
  Atomics.load(fence, 0);
}
