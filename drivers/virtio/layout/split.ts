/**
 * The split virtqueue in memory (virtio 1.2, 2.7): the descriptor table, and two areas with one writer each. Offsets
 * are in bytes from the start of their area. All fields are little-endian.
 */

/** struct virtq_desc { le64 addr; le32 len; le16 flags; le16 next; } (2.7.5). */
export const DESC_BYTES = 16;

export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;

/** struct virtq_avail { le16 flags; le16 idx; le16 ring[n]; le16 used_event; }, written by the driver (2.7.6). */
export const AVAIL_FLAGS = 0;
export const AVAIL_IDX = 2;
export const AVAIL_RING = 4;
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

/**
 * struct virtq_used { le16 flags; le16 idx; {le32 id; le32 len} ring[n]; le16 avail_event; }, by the device (2.7.8).
 */
export const USED_FLAGS = 0;
export const USED_IDX = 2;
export const USED_RING = 4;
const USED_ELEMENT_BYTES = 8;
export const VIRTQ_USED_F_NO_NOTIFY = 1;

/** Alignments of the three areas (2.7). */
export const DESC_ALIGN = 16;
export const AVAIL_ALIGN = 2;
export const USED_ALIGN = 4;

/** The largest queue: indexes are 16 bits wide (2.7). */
export const MAX_SPLIT_QUEUE_SIZE = 32768;

/** Bytes of the descriptor table of a queue of `size` descriptors. */
export function descTableBytes(size: number): number {
  return DESC_BYTES * size;
}

/** Bytes of the driver area, `used_event` included. */
export function availBytes(size: number): number {
  return AVAIL_RING + 2 * size + 2;
}

/** Bytes of the device area, `avail_event` included. */
export function usedBytes(size: number): number {
  return USED_RING + USED_ELEMENT_BYTES * size + 2;
}

/** Where the driver says, with EVENT_IDX, at which used index it wants an interrupt (2.7.7.1). */
export function usedEventOffset(size: number): number {
  return AVAIL_RING + 2 * size;
}

/** Where the device says, with EVENT_IDX, at which avail index it wants a notification (2.7.10). */
export function availEventOffset(size: number): number {
  return USED_RING + USED_ELEMENT_BYTES * size;
}

/** Whether moving an index from `from` to `to` passes `event`, so that the other side must be notified (2.7.7.1). */
export function passesEvent(event: number, to: number, from: number): boolean {
  return ((to - event - 1) & 0xffff) < ((to - from) & 0xffff);
}
