/**
 * What the driver keeps for itself about a queue: not in memory that the device writes, but shareable between threads.
 */

/** No buffer is posted in this descriptor. */
export const SLOT_FREE = -1;

/** What the queues of a device with offloads have in common. Structured-cloneable. */
export interface ChainMemory {
  /** The words of the device's packet table. */
  readonly words: Int32Array;
  /** Where the indirect tables of the transmit queue begin in the packet memory, in bytes: `chains/indirect-tables.ts`. */
  readonly indirect: number;
}

/** Structured-cloneable. If the tables were made to be shared, all threads see the same tables. */
export interface QueueTables {
  /** Handle of the buffer that descriptor i refers to, or {@link SLOT_FREE}. The device cannot change this table. */
  readonly slotHandle: Int32Array;
  /**
   * Device address of buffer h (of its virtio-net header), as two words. Computed once, so a packet costs two stores.
   */
  readonly addressLow: Uint32Array;
  readonly addressHigh: Uint32Array;
  /** For a device with offloads; otherwise null. */
  readonly chains: ChainTables | null;
}

export interface ChainTables extends ChainMemory {
  /** Device address of each indirect table, as two words. */
  readonly indirectLow: Uint32Array;
  readonly indirectHigh: Uint32Array;
}

/** Makes tables for a queue of `entries` entries and `buffers` buffers: no buffer posted, no address known. */
export function makeQueueTables(
  entries: number,
  buffers: number,
  shared: boolean,
  chains: ChainMemory | null = null,
): QueueTables {
  const words = (count: number): ArrayBuffer | SharedArrayBuffer =>
    shared ? new SharedArrayBuffer(4 * count) : new ArrayBuffer(4 * count);
  return {
    slotHandle: new Int32Array(words(entries)).fill(SLOT_FREE),
    addressLow: new Uint32Array(words(buffers)),
    addressHigh: new Uint32Array(words(buffers)),
    chains: chains && {
      ...chains,
      indirectLow: new Uint32Array(words(entries)),
      indirectHigh: new Uint32Array(words(entries)),
    },
  };
}
