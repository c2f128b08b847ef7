/** Why the driver does not hand on a used receive buffer: decided and counted here for both layouts. */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { NET_HEADER_BYTES } from '../net-header.js';
import { QueueCount } from './queue-counts.js';

/** What a receive queue keeps of the frames that it drops. */
export interface UnfitFrames {
  readonly name: string;
  readonly counts: Float64Array;
  /** Number of buffers still to come of a merged packet that is being dropped. */
  skipping: number;
}

/** Bytes that the device writes for the shortest frame. */
export const SHORTEST_WRITTEN = NET_HEADER_BYTES + ETHERNET_HEADER_BYTES;

/**
 * Counts a buffer that is not handed on.
 * @param written bytes that the device says it wrote; `longest` is what the buffer holds
 * @param parts num_buffers, or 1 without MRG_RXBUF; a queue of `size` entries cannot have more
 * @returns what is wrong with the ring, or an empty string
 */
export function countUnfit(queue: UnfitFrames, written: number, longest: number, parts: number, size: number): string {
  const { counts } = queue;
  if (queue.skipping !== 0) {
    queue.skipping--;
  } else if (written < SHORTEST_WRITTEN || written > longest) {
    counts[QueueCount.droppedBadLength]++;
  } else if (parts > size) {
    return `${queue.name}: a packet in ${parts} buffers, but the queue has only ${size}`;
  } else if (parts > 1) {
    // The frame is longer than a buffer. Buffers are sized for the MTU, so nobody could use it.
    queue.skipping = parts - 1;
    counts[QueueCount.droppedTooLong]++;
  } else {
    // No free buffer could replace this one in the ring. (Or the device has changed what it wrote, and so loses a
    // packet.)
    counts[QueueCount.droppedNoBuffer]++;
  }
  return '';
}
