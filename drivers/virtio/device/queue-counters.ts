/** What the device's side counts per queue. Kept in a Float64Array: exact to 2^53, and incrementing never allocates. */

/** Index of each counter. The keys are the names that users see. */
export const QueueCounter = {
  /** Frames that passed. */
  packets: 0,
  /** Their bytes, without virtio-net header. */
  bytes: 1,
  /** Signals sent to the driver (writes to the call eventfd). */
  signals: 2,
  /** Avail entries that name a descriptor beyond the table. */
  badHead: 3,
  /**
   * Chains that loop, are longer than the queue (virtio 1.2, 2.7.5.3.1), or have more descriptors than are looked at.
   */
  badLength: 4,
  /** A `next` beyond its table. */
  badNext: 5,
  /** Device-writable descriptors in a transmit queue, or device-readable ones in a receive queue (2.7.4.2). */
  badDirection: 6,
  /** Indirect tables that were not negotiated, are nested, chained on, empty or of a wrong length (2.7.5.3). */
  badIndirect: 7,
  /** Addresses outside the driver's memory. */
  badAddress: 8,
  /** Chains with more segments than are handled. */
  badSegments: 9,
  /** Frames shorter than an Ethernet header. */
  tooShort: 10,
  /** Frames longer than the largest that is handled. */
  tooLong: 11,
  /** Frames for which the driver had posted no buffer. */
  noBuffer: 12,
  /** Frames longer than the buffer that was next for them. */
  noRoom: 13,
  /** Receive buffers too small for the header: returned empty (5.1.6.3.2). */
  smallBuffer: 14,
  /** Frames that came while there was no driver, or its ring was stopped. */
  noDriver: 15,
  /** Packets whose virtio-net header asks for something impossible, or that cannot be segmented as it says (5.1.6.2). */
  badOffload: 16,
  /** Packets whose checksum was computed here, because the driver does not take a partial one. */
  softwareChecksums: 17,
  /** Frames that were made of larger packets here, because the driver does not take these. */
  softwareSegments: 18,
} as const;

const names = Object.entries(QueueCounter);

export function makeQueueCounters(): Float64Array {
  return new Float64Array(names.length);
}

/** Adds all counters to `into`, zeros included, as users see them: each name after `prefix`. */
export function namedCounters(counts: Float64Array, prefix: string, into: Record<string, number>): void {
  for (const [name, index] of names) into[`${prefix}_${name}`] = counts[index];
}
