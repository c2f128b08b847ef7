/**
 * Makes packets of the buffers that a device has used: of one, or with MRG_RXBUF of as many as the header in the first
 * one says (virtio 1.2, 5.1.6.4). A packet whose buffers have not all been used yet waits here, for as long as the device
 * lets it wait. It holds fewer buffers than the ring has entries.
 */
import { type BufferPool, FRAME_OFFSET, frameCapacity } from '../../../../rings/buffer-pool.js';
import * as table from '../../../../rings/packet-table.js';
import type { MemoryViews } from '../../../memory/index.js';
import { MAX_GSO_FRAME_BYTES } from '../../../offloads.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../../net-header.js';
import { forgetFrame } from '../queue-buffers.js';
import { QueueCount } from '../queue-counts.js';
import { SHORTEST_WRITTEN } from '../unfit-frames.js';
import { hasHeaders, TCP_BYTES } from './ip-headers.js';
import { BAD, RxHeaderReader } from './rx-header.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const { CHAIN, CSUM_START, ENTRY_SHIFT, FLAGS, GSO, GSO_SIZE, LAST, LENGTH, NEXT, START, TOTAL } = table;
const HEADER_BYTES = NET_HEADER_BYTES;
const FRAME = FRAME_OFFSET;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const NUM_BUFFERS_OFFSET = HEADER_OFFSET + NET_HEADER_NUM_BUFFERS;
const SHORTEST = SHORTEST_WRITTEN;
const { droppedBadLength, droppedBadOffload, droppedNoBuffer, droppedTooLong } = QueueCount;

/** No packet is waiting, or what is still to come belongs to a packet that is dropped. */
const NONE = -1;

/** What {@link RxAssembly.take} returns. */
export const BROKEN = -1;
export const NOTHING = 0;
export const PACKET = 1;

/**
 * The most bytes of a receive buffer, counted from the header on, that the device may write. With MRG_RXBUF a multiple
 * of 8: so each part of a chain begins at the same place modulo 8 as it would in one piece, and a device that copies
 * words copies aligned.
 */
export function postedBytes(shift: number, mergeable: boolean): number {
  const bytes = NET_HEADER_BYTES + frameCapacity(shift);
  return mergeable ? bytes & ~7 : bytes;
}

export class RxAssembly {
  /** Of the last packet that was whole: its first buffer, the bytes of the frame in that one, and in all of them. */
  handle = NONE;
  length = 0;
  total = 0;
  /** Number of buffers still to come of the packet that has begun. */
  left = 0;
  /** What is wrong with the ring, after {@link BROKEN}. */
  fault = '';

  private readonly u16: Uint16Array;
  private readonly u8: Uint8Array;
  private readonly headers: RxHeaderReader;
  private mergeable = false;
  private longest = 0;
  private size = 0;
  // The packet that has begun.
  private first = NONE;
  private last = NONE;
  private flags = 0;
  private bytes = 0;

  /** @param words of the packet table */
  constructor(
    private readonly name: string,
    memory: MemoryViews,
    private readonly pool: BufferPool,
    private readonly words: Int32Array,
    private readonly counts: Float64Array,
  ) {
    this.u8 = memory.u8;
    this.u16 = memory.u16;
    this.headers = new RxHeaderReader(memory, words);
  }

  /**
   * Prepares for a ring that begins anew, with `size` entries.
   * @param features what was negotiated: bits of `offload-bits.ts`
   */
  start(size: number, mergeable: boolean, features: number): void {
    this.size = size;
    this.mergeable = mergeable;
    this.longest = postedBytes(this.pool.geometry.shift, mergeable);
    this.headers.features = features;
  }

  /** Gives back what waits for the rest of a packet: the ring is reset. Returns how many packets that loses. */
  abandon(): number {
    this.left = 0;
    if (this.first === NONE) return 0;
    this.forget();
    return 1;
  }

  /**
   * Takes a used buffer out of the ring. The caller has checked that it was in the ring, and refills its place from the
   * pool, which has at least one buffer afterwards.
   * @param written bytes that the device says it wrote
   * @returns {@link PACKET}: a packet is whole; {@link NOTHING} for the caller; {@link BROKEN}: the buffer is still the
   * ring's
   */
  take(handle: number, written: number): number {
    if (this.left !== 0) return this.add(handle, written);
    if (written < HEADER_BYTES || written > this.longest) return this.drop(handle, droppedBadLength);
    const buffer = this.pool.offsetOf(handle);
    const parts = this.partsFrom(buffer);
    if (parts > 1) return this.begin(handle, buffer, written, parts);
    if (written < SHORTEST) return this.drop(handle, droppedBadLength);
    const { words } = this;
    const entry = handle << ENTRY_SHIFT;
    const length = written - HEADER_BYTES;
    const flags = this.headers.read(buffer, entry, length, false);
    if (flags === BAD) return this.drop(handle, droppedBadOffload);
    if (this.pool.available === 0) return this.drop(handle, droppedNoBuffer);
    if ((flags & GSO) !== 0) this.limitGsoSize(entry, length);
    words[entry + FLAGS] = flags;
    this.handle = handle;
    this.length = length;
    this.total = length;
    return PACKET;
  }

  /** Number of buffers of the packet that begins in this one, which the device has used. */
  partsOf(handle: number): number {
    return this.partsFrom(this.pool.offsetOf(handle));
  }

  private partsFrom(buffer: number): number {
    // 0 would be a fault of the device and means 1 (5.1.6.3.1).
    return this.mergeable ? this.u16[(buffer + NUM_BUFFERS_OFFSET) >> 1] || 1 : 1;
  }

  /** The first of `parts` buffers. */
  private begin(handle: number, buffer: number, written: number, parts: number): number {
    if (parts > this.size) {
      this.fault = `${this.name}: a packet in ${parts} buffers, but the queue has only ${this.size}`;
      return BROKEN;
    }
    this.left = parts - 1;
    const { words } = this;
    const entry = handle << ENTRY_SHIFT;
    const length = written - HEADER_BYTES;
    if (!hasHeaders(this.u8, buffer + FRAME, length)) return this.drop(handle, droppedBadOffload);
    const flags = this.headers.read(buffer, entry, length, true);
    if (flags === BAD) return this.drop(handle, droppedBadOffload);
    if (this.pool.available === 0) return this.drop(handle, droppedNoBuffer);
    words[entry + NEXT] = LAST;
    words[entry + START] = FRAME;
    words[entry + LENGTH] = length;
    this.first = handle;
    this.last = handle;
    this.flags = flags | CHAIN;
    this.bytes = length;
    return NOTHING;
  }

  /** A further buffer of the packet that has begun. */
  private add(handle: number, written: number): number {
    this.left--;
    const { first, words, pool } = this;
    if (first === NONE) {
      this.giveBack(handle);
      return NOTHING;
    }
    if (written < 1 || written > this.longest) return this.dropBegun(handle, droppedBadLength);
    const bytes = this.bytes + written;
    if (bytes > MAX_GSO_FRAME_BYTES) return this.dropBegun(handle, droppedTooLong);
    if (pool.available === 0) return this.dropBegun(handle, droppedNoBuffer);
    const entry = handle << ENTRY_SHIFT;
    words[entry + NEXT] = LAST;
    words[entry + START] = HEADER_OFFSET;
    words[entry + LENGTH] = written;
    words[(this.last << ENTRY_SHIFT) + NEXT] = handle;
    this.last = handle;
    this.bytes = bytes;
    if (this.left !== 0) return NOTHING;

    const firstEntry = first << ENTRY_SHIFT;
    this.first = NONE;
    if ((this.flags & GSO) !== 0) this.limitGsoSize(firstEntry, bytes);
    words[firstEntry + FLAGS] = this.flags;
    words[firstEntry + TOTAL] = bytes;
    this.handle = first;
    this.length = words[firstEntry + LENGTH];
    this.total = bytes;
    return PACKET;
  }

  /**
   * A segment size beyond the packet means one segment. OVS 3.1 sends such: its segment size follows from the receiver's
   * MTU, whatever that of the packet was. It stays a GSO packet, because its pseudo header's sum may lack the length, as
   * DPDK writes it: only a segment gets a new one.
   */
  private limitGsoSize(entry: number, bytes: number): void {
    const { words } = this;
    const most = bytes - words[entry + CSUM_START] - TCP_BYTES;
    if (words[entry + GSO_SIZE] > most) words[entry + GSO_SIZE] = most;
  }

  /** Drops the packet that begins with this buffer. */
  private drop(handle: number, reason: number): number {
    this.counts[reason]++;
    this.giveBack(handle);
    return NOTHING;
  }

  /** Drops the packet that has begun, and this further buffer of it. */
  private dropBegun(handle: number, reason: number): number {
    this.forget();
    return this.drop(handle, reason);
  }

  private forget(): void {
    const { first } = this;
    this.first = NONE;
    for (let part = first; part !== LAST; ) {
      const next = this.words[(part << ENTRY_SHIFT) + NEXT];
      this.giveBack(part);
      part = next;
    }
  }

  private giveBack(handle: number): void {
    forgetFrame(this.u16, this.pool, handle);
    this.pool.put(handle);
  }
}
