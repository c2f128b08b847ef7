/**
 * Packets to send with offloads, in either layout of the ring: what their entries in the packet table ask for is checked
 * and becomes their virtio-net header (virtio 1.2, 5.1.6.2); and what becomes of the buffers of a chain.
 */
import { type BufferPool, ETHERNET_HEADER_BYTES, FRAME_OFFSET, frameCapacity } from '../../../../rings/buffer-pool.js';
import * as table from '../../../../rings/packet-table.js';
import type { MemoryViews } from '../../../memory/index.js';
import * as offload from '../../../offloads.js';
import * as header from '../../net-header.js';
import { forgetFrame } from '../queue-buffers.js';
import { QueueCount } from '../queue-counts.js';
import { SLOT_FREE } from '../queue-tables.js';
import { MAX_PARTS } from './indirect-tables.js';
import { CUT_OFF, TCP_CHECKSUM_OFFSET, TCP_OVER_IP4, TCP_OVER_IP6, tcpHeaderEnd, transportOf } from './ip-headers.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const { CHAIN, CHECKSUM_PARTIAL, CSUM_OFFSET, CSUM_START, ENTRY_SHIFT, GSO, GSO_ECN, GSO_SIZE, GSO_TCP4, LAST } = table;
const { LENGTH, NEXT, START, TOTAL } = table;
const { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } = offload;
const NEEDS_CSUM = header.VIRTIO_NET_HDR_F_NEEDS_CSUM;
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - header.NET_HEADER_BYTES;
const { droppedBadLength, droppedBadOffload } = QueueCount;
const FREE = SLOT_FREE;
/** Stands for "the packet can be sent", where otherwise there is the index of a count. */
const NO_FAULT = -1;

// What a queue with offloads keeps in its table of slots: the handle of a packet in one buffer, SLOT_FREE, or:
/** The descriptor belongs to a chain, and is not its first. */
export const SLOT_PART = -2;
/** Minus the handle of the first buffer: a packet in several buffers. */
export const SLOT_CHAIN = -3;

export class TxPackets {
  /** Bytes of the whole frame of the packet that {@link prepare} has prepared. */
  total = 0;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly table: table.PacketTable;
  private readonly capacity: number;
  private features = 0;
  private longest = 0;
  private mostParts = 1;

  /**
   * @param pool where the buffers go
   * @param words of the packet table
   */
  constructor(
    memory: MemoryViews,
    private readonly pool: BufferPool,
    private readonly words: Int32Array,
    private readonly counts: Float64Array,
  ) {
    const { count, shift } = pool.geometry;
    this.u8 = memory.u8;
    this.u16 = memory.u16;
    this.table = new table.PacketTable(count, words);
    this.capacity = frameCapacity(shift);
  }

  /**
   * @param entries of the ring: no chain may be longer (2.7.5.3.1)
   * @param longestFrame that the device forwards, in bytes; of a GSO packet each segment
   * @param features what was negotiated: bits of `offload-bits.ts`
   */
  start(entries: number, longestFrame: number, features: number): void {
    this.mostParts = Math.min(entries, MAX_PARTS);
    this.longest = longestFrame;
    this.features = features;
  }

  /**
   * Checks the packet in buffer `handle`, and writes its virtio-net header. A packet that cannot be sent is dropped: its
   * buffers are freed, and it is counted.
   * @param length bytes of the frame in that buffer
   * @returns number of buffers that the packet lies in, or 0 when it was dropped
   */
  prepare(handle: number, length: number): number {
    const { words } = this;
    const entry = handle << ENTRY_SHIFT;
    const flags = words[entry];
    let parts = 1;
    this.total = length;
    if (length < ETHERNET_BYTES || length > this.capacity) return this.drop(handle, droppedBadLength);
    if ((flags & CHAIN) !== 0) {
      parts = this.measure(entry, length);
      if (parts === 0) return this.drop(handle, droppedBadOffload);
      this.total = words[entry + TOTAL];
    }
    if (this.total > ((flags & GSO) === 0 ? this.longest : offload.MAX_GSO_FRAME_BYTES)) {
      return this.drop(handle, droppedBadLength);
    }
    const buffer = this.pool.offsetOf(handle);
    const fault = this.writeHeader(buffer, entry, flags, length);
    return fault === NO_FAULT ? parts : this.drop(handle, fault);
  }

  /** Number of buffers of the chain whose first entry this is, or 0 if it is none that can be sent. */
  private measure(entry: number, length: number): number {
    const { words, mostParts } = this;
    const { count } = this.pool.geometry;
    const room = this.capacity + FRAME_OFFSET;
    let total = length;
    let parts = 1;
    let at = entry;
    for (;;) {
      const part = words[at + NEXT];
      if (part === LAST) return total === words[entry + TOTAL] ? parts : 0;
      if (part < 0 || part >= count) {
        // No buffer: the chain ends before it, so that what is there can be freed.
        words[at + NEXT] = LAST;
        return 0;
      }
      at = part << ENTRY_SHIFT;
      const start = words[at + START];
      const bytes = words[at + LENGTH];
      // A descriptor of no bytes breaks some devices.
      if (++parts > mostParts || start < 0 || bytes < 1 || start + bytes > room) return 0;
      total += bytes;
    }
  }

  /** Writes the header that these flags ask for. Returns {@link NO_FAULT}, or the count of the fault. */
  private writeHeader(buffer: number, entry: number, flags: number, length: number): number {
    const { u16, words, features } = this;
    const at = (buffer + HEADER_OFFSET) >> 1;
    let kind = 0;
    let headers = 0;
    let size = 0;
    let start = 0;
    let offset = 0;
    if ((flags & CHECKSUM_PARTIAL) !== 0) {
      start = words[entry + CSUM_START];
      offset = words[entry + CSUM_OFFSET];
      if ((features & OFFLOAD_CSUM) === 0 || start < ETHERNET_BYTES || offset < 0) return droppedBadOffload;
      if (start + offset + 2 > length) return droppedBadOffload;
      kind = NEEDS_CSUM;
    }
    if ((flags & GSO) !== 0) {
      const type = this.gsoType(flags);
      size = words[entry + GSO_SIZE];
      if (type === 0 || kind === 0 || offset !== TCP_CHECKSUM_OFFSET) return droppedBadOffload;
      const frame = buffer + FRAME_OFFSET;
      const tcp = ((flags & GSO_TCP4) !== 0 ? TCP_OVER_IP4 : TCP_OVER_IP6) | start;
      if (transportOf(this.u8, frame, length) !== tcp) return droppedBadOffload;
      headers = tcpHeaderEnd(this.u8, frame, start, length);
      const payload = this.total - headers;
      if (headers === CUT_OFF || size < 1 || payload < 1) return droppedBadOffload;
      if (headers + (size < payload ? size : payload) > this.longest) return droppedBadLength;
      if (payload > size) {
        kind |= type << 8;
      } else {
        // One segment is no GSO packet to some devices: they refuse a gso_size beyond the payload.
        headers = 0;
        size = 0;
      }
    }
    // All twelve bytes: an earlier frame may have left others here.
    u16[at] = kind;
    u16[at + (header.NET_HEADER_HDR_LEN >> 1)] = headers;
    u16[at + (header.NET_HEADER_GSO_SIZE >> 1)] = size;
    u16[at + (header.NET_HEADER_CSUM_START >> 1)] = start;
    u16[at + (header.NET_HEADER_CSUM_OFFSET >> 1)] = offset;
    u16[at + (header.NET_HEADER_NUM_BUFFERS >> 1)] = 0;
    return NO_FAULT;
  }

  /** The field gso_type for these flags, or 0 if the device does not segment such packets. */
  private gsoType(flags: number): number {
    const { features } = this;
    const ecn = (flags & GSO_ECN) !== 0 ? header.VIRTIO_NET_HDR_GSO_ECN : 0;
    if ((flags & GSO) === GSO || (ecn !== 0 && (features & OFFLOAD_ECN) === 0)) return 0;
    if ((flags & GSO_TCP4) !== 0) {
      return (features & OFFLOAD_TSO4) !== 0 ? header.VIRTIO_NET_HDR_GSO_TCPV4 | ecn : 0;
    }
    return (features & OFFLOAD_TSO6) !== 0 ? header.VIRTIO_NET_HDR_GSO_TCPV6 | ecn : 0;
  }

  private drop(handle: number, reason: number): number {
    this.table.free(handle, this.pool);
    this.counts[reason]++;
    return 0;
  }

  /**
   * Frees the buffers of a sent chain.
   * @param slot what the table of slots has for it
   * @returns how many they were
   */
  freeChain(slot: number): number {
    const handle = SLOT_CHAIN - slot;
    // Its entry said 0 while the device had it; its links stayed.
    this.words[handle << ENTRY_SHIFT] = CHAIN;
    return this.table.free(handle, this.pool);
  }

  /** Frees all that is in the slots: `QueueBuffers.takeBack` for chains. Returns how many packets they were. */
  takeBack(slotHandle: Int32Array): number {
    const { pool } = this;
    let packets = 0;
    for (let slot = 0; slot < slotHandle.length; slot++) {
      const what = slotHandle[slot];
      slotHandle[slot] = FREE;
      if (what === FREE || what === SLOT_PART) continue;
      const handle = what >= 0 ? what : SLOT_CHAIN - what;
      forgetFrame(this.u16, pool, handle);
      if (what >= 0) pool.put(what);
      else this.freeChain(what);
      packets++;
    }
    return packets;
  }
}
