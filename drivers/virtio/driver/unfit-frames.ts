/** Why a used receive buffer is no frame for the caller: decided and counted here, whatever the ring's layout. */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { NET_HEADER_BYTES } from '../net-header.js';

/** What a receive queue keeps of the frames that it drops. */
export interface UnfitFrames {
  /** Dropped: no free buffer to put in the packet's place, so the packet's own went back into the ring. */
  droppedNoBuffer: number;
  /** Dropped: the device wrote less than a header and a frame's head, or more than the buffer holds. */
  droppedBadLength: number;
  /** Dropped: the packet was spread over several buffers (MRG_RXBUF) and is longer than one buffer. */
  droppedTooLong: number;
  /** Buffers still to come of a merged packet that is being dropped. */
  skipping: number;
}

/** Bytes that the device writes for the shortest frame. */
export const SHORTEST_WRITTEN = NET_HEADER_BYTES + ETHERNET_HEADER_BYTES;

/**
 * Counts a buffer that is not handed on.
 * @param written bytes, as the device says; `longest` is what the buffer holds
 * @param parts num_buffers, at least 1 where it counts; a queue of `size` entries has no more
 * @returns what is wrong with the ring, or an empty string
 */
export function countUnfit(
  queue: UnfitFrames & { readonly name: string },
  written: number,
  longest: number,
  parts: number,
  size: number,
): string {
  if (queue.skipping !== 0) {
    queue.skipping--;
  } else if (written < SHORTEST_WRITTEN || written > longest) {
    queue.droppedBadLength++;
  } else if (parts > size) {
    return `${queue.name}: a packet in ${parts} buffers, where the queue has ${size}`;
  } else if (parts > 1) {
    // A frame longer than a buffer; buffers are sized for the MTU, so nobody could use it.
    queue.skipping = parts - 1;
    queue.droppedTooLong++;
  } else {
    // There was none for the ring in its place: or the device has changed what it had written, and loses a packet by it.
    queue.droppedNoBuffer++;
  }
  return '';
}
