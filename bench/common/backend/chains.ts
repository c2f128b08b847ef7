/**
 * The backend's packets with offloads: they cross the link whole, in both directions, and lie in several buffers here.
 *
 * A received packet is copied piece by piece, so that each piece keeps its place modulo 8 (`drivers/memory/copy.ts`). What
 * the peer has left to its receivers is checked as a driver checks it.
 */

import { type Copy, copierFor, copyBetween, type MemoryViews } from '../../../drivers/memory/index.js';
import type { DeviceCounters } from '../../../drivers/net-device.js';
import { MAX_GSO_FRAME_BYTES, PORT_OFFLOADS } from '../../../drivers/offloads.js';
import { writeOffloads } from '../../../drivers/virtio/device/offload-header.js';
import { OffloadReader } from '../../../drivers/virtio/device/offload-reader.js';
import { MAX_SEGMENTS_PER_PACKET, type PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { MAX_PARTS } from '../../../drivers/virtio/driver/chains/indirect-tables.js';
import { hasHeaders } from '../../../drivers/virtio/driver/chains/ip-headers.js';
import { BAD, RxHeaderReader } from '../../../drivers/virtio/driver/chains/rx-header.js';
import { TxPackets } from '../../../drivers/virtio/driver/chains/tx-packets.js';
import { GUEST_CSUM, GUEST_ECN, GUEST_TSO4, GUEST_TSO6 } from '../../../drivers/virtio/driver/offload-bits.js';
import { makeQueueCounts, QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';
import { NET_HEADER_BYTES } from '../../../drivers/virtio/net-header.js';
import { type BufferPool, FRAME_OFFSET, frameCapacity } from '../../../rings/buffer-pool.js';
import * as table from '../../../rings/packet-table.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const { CHAIN, CHECKSUM_VERIFIED, ENTRY_SHIFT, FLAGS, GSO, LAST, LENGTH, NEXT, START, TOTAL } = table;
const FRAME = FRAME_OFFSET;
const HEADER = NET_HEADER_BYTES;
const { droppedBadOffload, droppedTooLong } = QueueCount;

const FEATURES = PORT_OFFLOADS | GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN;
/** The first buffer of a chain has at least so many bytes of the frame: more than all headers that are looked at. */
const HEADERS_BYTES = 256;
/** Where a later part begins, in bytes from the beginning of its buffer, less its place modulo 8. */
const PART_OFFSET = 64;
const NOT_WHOLE_WORDS = 7;

/** {@link BackendChains.receive}: the packet was dropped, and counted. */
export const DROPPED = -1;

export class BackendChains {
  /** Bytes of the first buffer of the packet that was received last. */
  length = 0;
  /** Buffers that the longest packet may take. */
  readonly mostParts: number;
  // Only the drops are counted here.
  private readonly rxCounts = makeQueueCounts();
  private readonly txCounts = makeQueueCounts();
  private readonly words: Int32Array;
  private readonly headers: RxHeaderReader;
  private readonly packets: TxPackets;
  private readonly reader = new OffloadReader(PORT_OFFLOADS);
  private readonly copy: Copy;
  private readonly firstRoom: number;
  private readonly partRoom: number;

  /** @param longestFrame bytes of the longest frame that is no GSO packet */
  constructor(
    private readonly memory: MemoryViews,
    private readonly pool: BufferPool,
    private readonly table: table.PacketTable,
    private readonly longestFrame: number,
  ) {
    this.words = table.words;
    this.headers = new RxHeaderReader(memory, table.words);
    this.headers.features = FEATURES;
    this.packets = new TxPackets(memory, pool, table.words, this.txCounts);
    this.packets.start(MAX_PARTS, longestFrame, FEATURES);
    this.copy = copierFor(memory);
    this.firstRoom = frameCapacity(pool.geometry.shift);
    this.partRoom = this.firstRoom + FRAME - PART_OFFSET - NOT_WHOLE_WORDS;
    // Each piece of the peer's begins a buffer, and may go on in others.
    this.mostParts = MAX_SEGMENTS_PER_PACKET + Math.ceil(MAX_GSO_FRAME_BYTES / this.partRoom);
  }

  /**
   * Copies packet `i` of a burst. The pool must have {@link mostParts} buffers.
   * @returns the handle of its first buffer, or {@link DROPPED}
   */
  receive(burst: PacketBurst, i: number): number {
    const { pool, words, rxCounts, memory } = this;
    const total = burst.length[i];
    const flags = burst.offloaded === 0 ? 0 : burst.flags[i];
    if (total > ((flags & GSO) === 0 ? this.longestFrame : MAX_GSO_FRAME_BYTES)) {
      rxCounts[droppedTooLong]++;
      return DROPPED;
    }
    const handle = pool.get();
    const entry = handle << ENTRY_SHIFT;
    const buffer = pool.offsetOf(handle);
    const isChain = this.copyPacket(burst, i, entry, buffer);
    if (flags !== 0 || isChain) {
      const header = buffer + FRAME - HEADER;
      memory.u8.fill(0, header, header + HEADER);
      writeOffloads(memory.u8, header, burst, i, flags);
      const found = this.headers.read(buffer, entry, this.length, isChain);
      const isWhole = !isChain || hasHeaders(memory.u8, buffer + FRAME, this.length);
      words[entry + FLAGS] = (found === BAD ? 0 : found) | (isChain ? CHAIN : 0);
      if (found === BAD || !isWhole) {
        this.table.free(handle, pool);
        rxCounts[droppedBadOffload]++;
        return DROPPED;
      }
    }
    return handle;
  }

  /** Copies the bytes. Returns whether the packet lies in several buffers; then they are linked. */
  private copyPacket(burst: PacketBurst, i: number, entry: number, buffer: number): boolean {
    const { pool, words } = this;
    const end = burst.firstSegment[i + 1];
    let entryOfPart = entry;
    let to = buffer + FRAME;
    let room = this.firstRoom;
    let done = 0;
    let isFirst = true;
    for (let s = burst.firstSegment[i]; s < end; s++) {
      let from = burst.segmentOffset[s];
      let left = burst.segmentLength[s];
      while (left > 0) {
        if (room === 0 || (done >= HEADERS_BYTES && from === burst.segmentOffset[s])) {
          if (isFirst) this.length = done;
          else words[entryOfPart + LENGTH] = done;
          isFirst = false;
          const part = pool.get();
          words[entryOfPart + NEXT] = part;
          entryOfPart = part << ENTRY_SHIFT;
          const start = PART_OFFSET + (from & NOT_WHOLE_WORDS);
          words[entryOfPart + START] = start;
          to = pool.offsetOf(part) + start;
          room = this.partRoom;
          done = 0;
        }
        const bytes = left < room ? left : room;
        this.copyBytes(burst, to, from, bytes);
        to += bytes;
        from += bytes;
        done += bytes;
        room -= bytes;
        left -= bytes;
      }
    }
    words[entryOfPart + NEXT] = LAST;
    if (isFirst) {
      this.length = done;
      return false;
    }
    words[entryOfPart + LENGTH] = done;
    words[entry + LENGTH] = this.length;
    words[entry + START] = FRAME;
    words[entry + TOTAL] = burst.length[i];
    return true;
  }

  private copyBytes(burst: PacketBurst, to: number, from: number, bytes: number): void {
    if (burst.memory === this.memory) this.copy(to, from, bytes);
    else copyBetween(this.memory, to, burst.memory, from, bytes);
  }

  /**
   * Appends a packet to a burst.
   * @param length bytes of the frame in its first buffer
   * @returns false when it was dropped and counted; then its buffers are free
   */
  append(handle: number, length: number, out: PacketBurst): boolean {
    const { pool, words, memory } = this;
    const entry = handle << ENTRY_SHIFT;
    const buffer = pool.offsetOf(handle);
    if ((words[entry] & ~CHECKSUM_VERIFIED) === 0) {
      out.flags[out.count] = 0;
      out.push(buffer + FRAME, length);
      return true;
    }
    const parts = this.packets.prepare(handle, length);
    if (parts === 0) return false;
    const i = out.count;
    out.push(buffer + FRAME, length);
    let part = entry;
    for (let s = 1; s < parts; s++) {
      const next = words[part + NEXT];
      part = next << ENTRY_SHIFT;
      out.segmentOffset[out.segments] = pool.offsetOf(next) + words[part + START];
      out.segmentLength[out.segments++] = words[part + LENGTH];
    }
    out.length[i] = this.packets.total;
    out.firstSegment[i + 1] = out.segments;
    if (this.reader.read(memory.u8, buffer + FRAME - HEADER, out)) return true;
    out.retract();
    this.table.free(handle, pool);
    this.txCounts[droppedBadOffload]++;
    return false;
  }

  /**
   * How many of the peer's buffers a packet takes.
   * @param length bytes of the frame in its first buffer
   * @param bytes of each of the peer's buffers, with the virtio-net header
   */
  buffersFor(handle: number, length: number, bytes: number): number {
    const entry = handle << ENTRY_SHIFT;
    const total = (this.words[entry] & CHAIN) === 0 ? length : this.words[entry + TOTAL];
    return Math.ceil((HEADER + total) / bytes);
  }

  /** What was dropped, and why. */
  counters(): DeviceCounters {
    const { rxCounts, txCounts } = this;
    return {
      rx_dropped_too_long: rxCounts[droppedTooLong],
      rx_dropped_bad_offload: rxCounts[droppedBadOffload],
      tx_dropped_bad_length: txCounts[QueueCount.droppedBadLength],
      tx_dropped_bad_offload: txCounts[droppedBadOffload],
    };
  }
}
