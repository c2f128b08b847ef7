/**
 * What is known of the packet in each buffer beyond its length: its checksum, whether it is segmented, and the other
 * buffers that it lies in. A ring carries a packet as the handle and the length of its first buffer; the rest is here,
 * for all threads of a port.
 *
 * The table lies beside the packet memory and not in it, because a device writes packet memory, and a device that
 * changed the links of a chain could make two packets of one buffer.
 *
 * **Who writes.** The owner of a buffer writes its entry; entries change hands with the buffers, through the rings.
 * A buffer in a pool has 0 in {@link FLAGS}: whoever gives a packet back clears it ({@link PacketTable.clear}). So a
 * sender that knows nothing of offloads takes a buffer and sends it, and its entry says that there is nothing to do.
 */

/** log2 of the words of an entry: 32 bytes, which never cross a cache line. */
export const ENTRY_SHIFT = 3;

// The words of an entry. Of the first buffer of a packet:

/** What follows from a flag that is not set is not valid. 0: a plain packet in one buffer, whose checksum is unknown. */
export const FLAGS = 0;
/** With a GSO flag: bytes of TCP payload in each segment of the packet (virtio: gso_size). */
export const GSO_SIZE = 1;
/** With {@link CHECKSUM_PARTIAL}: where the sum begins, in bytes from the beginning of the frame (virtio: csum_start). */
export const CSUM_START = 2;
/** With {@link CHECKSUM_PARTIAL}: where the sum goes, in bytes from {@link CSUM_START} (virtio: csum_offset). */
export const CSUM_OFFSET = 3;
/** With {@link CHAIN}: bytes of the whole frame. */
export const TOTAL = 4;
// Of each buffer of a packet with CHAIN:
/** Handle of the next buffer of the packet, or {@link LAST}. */
export const NEXT = 5;
/** Where this buffer's part of the frame begins, in bytes from the beginning of the buffer. */
export const START = 6;
/** Bytes of this buffer's part of the frame. */
export const LENGTH = 7;

/** {@link NEXT} of the last buffer of a packet. */
export const LAST = -1;

// Flags.
/**
 * The checksum field holds the sum of the pseudo header; the sum over the bytes is still to be added (virtio:
 * NEEDS_CSUM). Received: the packet comes from this host, and its bytes are right. To send: somebody must do it.
 */
export const CHECKSUM_PARTIAL = 1;
/** Received: the device has checked the checksum (virtio: DATA_VALID). To send: means nothing. */
export const CHECKSUM_VERIFIED = 2;
/** The packet lies in several buffers. */
export const CHAIN = 4;
/** The packet stands for many TCP segments over IPv4, which differ as TSO says. With CHECKSUM_PARTIAL. */
export const GSO_TCP4 = 8;
/** As {@link GSO_TCP4}, over IPv6. */
export const GSO_TCP6 = 16;
/** A GSO packet whose first segment alone carries CWR (RFC 3168). */
export const GSO_ECN = 32;
/** Either kind of GSO packet. */
export const GSO = GSO_TCP4 | GSO_TCP6;

const ENTRY_WORDS = 1 << ENTRY_SHIFT;

/** Where the buffers of a packet go back to. */
export interface HandleReturn {
  put(handle: number): void;
}

export class PacketTable {
  /** The entries: that of buffer h begins at `h << ENTRY_SHIFT`. */
  readonly words: Int32Array;

  /** @param words of another thread's table; by default a new table for `buffers` buffers, all 0 */
  constructor(buffers: number, words?: Int32Array) {
    this.words = words ?? new Int32Array(new SharedArrayBuffer(buffers * ENTRY_WORDS * Int32Array.BYTES_PER_ELEMENT));
  }

  /** Says that there is a plain packet, or none, in the buffer `handle`. */
  clear(handle: number): void {
    this.words[handle << ENTRY_SHIFT] = 0;
  }

  /** Gives back all buffers of the packet whose first buffer is `handle`. Returns how many they were. */
  free(handle: number, pool: HandleReturn): number {
    const { words } = this;
    const at = handle << ENTRY_SHIFT;
    const flags = words[at];
    words[at] = 0;
    if ((flags & CHAIN) === 0) {
      pool.put(handle);
      return 1;
    }
    let count = 0;
    // The owner has written the links; a buffer is in at most one chain.
    for (let part = handle; part !== LAST; count++) {
      const next = words[(part << ENTRY_SHIFT) + NEXT];
      pool.put(part);
      part = next;
    }
    return count;
  }

  /** How many buffers the packets from place `from` to `end` (exclusive) of a list of first buffers have. */
  partsOf(handles: Uint32Array, from: number, end: number): number {
    let count = 0;
    for (let i = from; i < end; i++) count += this.parts(handles[i]);
    return count;
  }

  /** How many buffers the packet has whose first buffer is `handle`. */
  parts(handle: number): number {
    const { words } = this;
    if ((words[handle << ENTRY_SHIFT] & CHAIN) === 0) return 1;
    let count = 0;
    for (let part = handle; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]) count++;
    return count;
  }
}
