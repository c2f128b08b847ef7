/** What the driver keeps of a queue for itself: in no memory of the device's, but where another thread can find it. */

/** No buffer is posted in this descriptor. */
export const SLOT_FREE = -1;

/** Structured-cloneable; the same tables on all threads when they were made to be shared. */
export interface QueueTables {
  /** Handle of the buffer that descriptor i refers to, or {@link SLOT_FREE}. The device cannot change this one. */
  readonly slotHandle: Int32Array;
  /** Device address of buffer h (its virtio-net header), as two words: computed once, so a packet costs two stores. */
  readonly addressLow: Uint32Array;
  readonly addressHigh: Uint32Array;
}

/** Tables of a queue of `entries` entries for `buffers` buffers: no buffer posted, no address known. */
export function makeQueueTables(entries: number, buffers: number, shared: boolean): QueueTables {
  const words = (count: number): ArrayBuffer | SharedArrayBuffer =>
    shared ? new SharedArrayBuffer(4 * count) : new ArrayBuffer(4 * count);
  return {
    slotHandle: new Int32Array(words(entries)).fill(SLOT_FREE),
    addressLow: new Uint32Array(words(buffers)),
    addressHigh: new Uint32Array(words(buffers)),
  };
}
