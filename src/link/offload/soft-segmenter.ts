/** Cuts a packet into TCP segments, when the device does not: each gets a buffer of its own, headers and checksum. */

import { type Copy, copierFor } from '../../../drivers/memory/copy.js';
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { L2 } from '../../counters.js';
import { writeU16 } from '../../wire/bytes.js';
import { TCP_CHECKSUM } from '../../wire/tcp.js';
import type { PacketBuffer } from '../packet-buffer.js';
import { writeSegmentHeaders } from './segment-headers.js';
import { checksumOf, sumOf } from './soft-checksum.js';

/** Where segments come from and go to. */
export interface SegmentOutlet {
  readonly memory: MemoryViews;
  /** The counters of the layer. */
  readonly values: Float64Array;
  /** A buffer, which is the caller's; null when there is none. */
  takeBuffer(): PacketBuffer | null;
  /** Gives back what {@link takeBuffer} gave. */
  putBuffer(handle: number): void;
  /** Queues, parks or drops a packet. False: the ring is full, and the buffer is still the caller's. */
  emit(handle: number, offset: number, length: number): boolean;
}

export class SoftSegmenter {
  private readonly copy: Copy;
  // Where the payload goes on that is to be copied next.
  private part: PacketBuffer | null = null;
  private at = 0;

  constructor(private readonly outlet: SegmentOutlet) {
    this.copy = copierFor(outlet.memory);
  }

  /**
   * Sends the segments of a packet. What finds no buffer, or no room in the ring, is dropped and counted.
   * @param ip where the IP header begins, in bytes from the beginning of the packet
   * @param headers bytes up to the payload, as `headerBytes` found them
   * @param total bytes of the packet
   * @returns false when the ring takes not even the first segment: nothing was sent. The packet stays the caller's in
   * either case
   */
  send(packet: PacketBuffer, ip: number, headers: number, total: number): boolean {
    const { outlet } = this;
    const { memory, values } = outlet;
    const { segmentSize, checksumStart: tcp } = packet;
    const payload = total - headers;
    const count = Math.ceil(payload / segmentSize);
    this.part = packet;
    this.at = headers;
    for (let index = 0; index < count; index++) {
      const segment = outlet.takeBuffer();
      if (segment === null) {
        values[L2.tx_drop_segments] += count - index;
        break;
      }
      const { handle, offset } = segment;
      const done = index * segmentSize;
      const bytes = headers + Math.min(segmentSize, payload - done);
      this.copy(offset, packet.offset, headers);
      this.copyPayload(offset + headers, bytes - headers);
      writeSegmentHeaders(memory, offset, ip, tcp, total, done, index, bytes, index + 1 === count);
      writeU16(memory.u8, offset + tcp + TCP_CHECKSUM, checksumOf(sumOf(memory, offset + tcp, bytes - tcp)));
      if (outlet.emit(handle, offset, bytes)) continue;
      outlet.putBuffer(handle);
      if (index === 0) return false;
      values[L2.tx_drop_segments] += count - index;
      break;
    }
    this.part = null;
    return true;
  }

  /** Copies the next `length` bytes of the payload. */
  private copyPayload(to: number, length: number): void {
    for (let done = 0; done < length && this.part !== null; ) {
      const { part } = this;
      const bytes = Math.min(part.length - this.at, length - done);
      this.copy(to + done, part.offset + this.at, bytes);
      done += bytes;
      this.at += bytes;
      if (this.at < part.length) continue;
      this.part = part.next;
      this.at = 0;
    }
  }
}
