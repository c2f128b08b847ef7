/** Sends the same frames again and again, from buffers that it has filled before. */
import type { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  CSUM_OFFSET,
  CSUM_START,
  ENTRY_SHIFT,
  FLAGS,
  GSO_SIZE,
  GSO_TCP4,
  LAST,
  LENGTH,
  NEXT,
  START,
  TOTAL,
} from '../../rings/packet-table.js';
import { TCP_CHECKSUM } from '../../src/wire/tcp.js';
import { PATTERN_BYTES, patternAt, SEGMENT_BYTES, TCP_AT, tcpFrame } from './frames.js';

/** Buffers for frames to send. */
export const OWN_BUFFERS = 512;
/** GSO packets under way: as many as testpmd has. */
export const PACKETS_UNDER_WAY = 24;
const BURST = 32;

export class BulkSender {
  /** Handles of the packets' first buffers, which are free. */
  private readonly free: number[] = [];
  /** For each handle, whether it is the first buffer of a packet. */
  private readonly isFirst: Uint8Array;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);
  /** Bytes of a frame in its first buffer, and of each later part but the last. */
  private readonly firstBytes: number;
  private readonly partBytes: number;
  private readonly parts: number;

  /**
   * @param first the first of {@link OWN_BUFFERS} buffers that are the sender's
   * @param bytes of each frame
   */
  constructor(
    private readonly device: VirtioNetDevice,
    first: number,
    private readonly bytes: number,
  ) {
    const { geometry } = device.pool;
    this.isFirst = new Uint8Array(geometry.count);
    const room = frameCapacity(geometry.shift);
    // A multiple of the pattern, so that the same bytes are right for every later part.
    this.partBytes = room - (room % PATTERN_BYTES);
    this.firstBytes = Math.min(bytes, this.partBytes);
    this.parts = Math.ceil((bytes - this.firstBytes) / this.partBytes) + 1;
    const count = Math.min(Math.floor(OWN_BUFFERS / this.parts), this.parts === 1 ? OWN_BUFFERS : PACKETS_UNDER_WAY);
    const frame = tcpFrame(bytes);
    for (let i = 0; i < count; i++) this.fill(first + i * this.parts, frame);
  }

  /** Where a later part begins in its buffer: as far from a multiple of 8 as its place in the frame. */
  private get partStart(): number {
    return (FRAME_OFFSET + this.firstBytes) & 7;
  }

  /** Fills the buffers of one packet, which follow each other. */
  private fill(handle: number, frame: Uint8Array): void {
    const { pool, memory } = this.device;
    this.free.push(handle);
    this.isFirst[handle] = 1;
    memory.u8.set(frame.subarray(0, this.firstBytes), pool.offsetOf(handle) + FRAME_OFFSET);
    for (let part = 1; part < this.parts; part++) {
      const at = pool.offsetOf(handle + part) + this.partStart;
      for (let i = 0; i < this.partBytes; i++) memory.u8[at + i] = patternAt(this.firstBytes + i);
    }
  }

  /** Takes back what was sent, and sends as much as there is. */
  poll(): void {
    const { device, free, handles, lengths } = this;
    device.reclaimTx();
    const { sent } = device;
    while (sent.available > 0) {
      const handle = sent.get();
      if (this.isFirst[handle] === 1) free.push(handle);
    }
    const count = Math.min(free.length, BURST);
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      const handle = free[free.length - 1 - i];
      handles[i] = handle;
      lengths[i] = this.firstBytes;
      if (this.parts > 1) this.describe(handle);
    }
    // What was not taken stays where it was in the list.
    free.length -= device.txBurst(handles, lengths, count);
  }

  /** Writes the entries of a GSO packet, as a stack does for each packet. */
  private describe(handle: number): void {
    const { words } = this.device.table;
    const { parts, partBytes, partStart } = this;
    let at = handle << ENTRY_SHIFT;
    words[at + FLAGS] = CHAIN | CHECKSUM_PARTIAL | GSO_TCP4;
    words[at + GSO_SIZE] = SEGMENT_BYTES;
    words[at + CSUM_START] = TCP_AT;
    words[at + CSUM_OFFSET] = TCP_CHECKSUM;
    words[at + TOTAL] = this.bytes;
    words[at + START] = FRAME_OFFSET;
    words[at + LENGTH] = this.firstBytes;
    let left = this.bytes - this.firstBytes;
    for (let part = 1; part < parts; part++) {
      words[at + NEXT] = handle + part;
      at = (handle + part) << ENTRY_SHIFT;
      words[at + START] = partStart;
      words[at + LENGTH] = left < partBytes ? left : partBytes;
      left -= partBytes;
    }
    words[at + NEXT] = LAST;
  }
}
