/**
 * What the driver keeps for itself about a queue: not in memory that the device writes, but shareable between threads.
 */

/** No buffer is posted in this descriptor. */
export const SLOT_FREE = -1;

/** Structured-cloneable. If the tables were made to be shared, all threads see the same tables. */
export interface QueueTables {
  /** Handle of the buffer that descriptor i refers to, or {@link SLOT_FREE}. The device cannot change this table. */
  readonly slotHandle: Int32Array;
  /**
   * Device address of buffer h (of its virtio-net header), as two words. Computed once, so a packet costs two stores.
   */
  readonly addressLow: Uint32Array;
  readonly addressHigh: Uint32Array;
}

/** Makes tables for a queue of `entries` entries and `buffers` buffers: no buffer posted, no address known. */
export function makeQueueTables(entries: number, buffers: number, shared: boolean): QueueTables {
  const words = (count: number): ArrayBuffer | SharedArrayBuffer =>
    shared ? new SharedArrayBuffer(4 * count) : new ArrayBuffer(4 * count);
  return {
    slotHandle: new Int32Array(words(entries)).fill(SLOT_FREE),
    addressLow: new Uint32Array(words(buffers)),
    addressHigh: new Uint32Array(words(buffers)),
  };
}
