/**
 * What the driver counts for a queue. The counts are an array of their own: it is handed on when the queue changes its
 * layout, and it lies in shared memory when another thread drives the queue.
 */

/** Names of a transmit queue's counts, in their order. */
export const TX_COUNTERS = [
  'tx_kicks',
  'tx_packets',
  'tx_bytes',
  'tx_dropped_bad_length',
  'tx_lost_on_reset',
  'tx_dropped_bad_offload',
] as const;
export type TxCounterName = (typeof TX_COUNTERS)[number];

/** Names of a receive queue's counts, in their order. */
export const RX_COUNTERS = [
  'rx_kicks',
  'rx_packets',
  'rx_bytes',
  'rx_dropped_bad_length',
  'rx_lost_on_reset',
  'rx_dropped_bad_offload',
  'rx_dropped_no_buffer',
  'rx_dropped_too_long',
] as const;

/** Index of each count; the first six are the same for both kinds of queue. */
export const QueueCount = {
  /** Doorbells rung. */
  kicks: 0,
  /** Packets handed to the caller, or given to the device. */
  packets: 1,
  /** Their bytes, without virtio-net header. */
  bytes: 2,
  /** Dropped: shorter than an Ethernet header, longer than a buffer, or longer than the device's MTU allows. */
  droppedBadLength: 3,
  /** In the ring when the device went away: received and not yet taken, or not known to be sent. */
  lostOnReset: 4,
  /**
   * Dropped. Received: the virtio-net header says what was not negotiated, or what cannot be of this frame. To send: the
   * packet asks for what the device does not do, or for what cannot be done with it.
   */
  droppedBadOffload: 5,
  /** Dropped: there was no free buffer to refill the ring with, so the packet's own buffer went back into it. */
  droppedNoBuffer: 6,
  /** Dropped: the packet was spread over several buffers (MRG_RXBUF) and is longer than one buffer. */
  droppedTooLong: 7,
} as const;

/** Counts of a queue of either kind, all 0. */
export function makeQueueCounts(): Float64Array {
  return new Float64Array(RX_COUNTERS.length);
}
