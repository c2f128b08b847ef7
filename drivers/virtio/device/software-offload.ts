/**
 * Does for a driver what it does not take over itself: computes a checksum, and cuts a packet that stands for many TCP
 * segments.
 *
 * A packet is copied into memory of this class first, because its sender could change it while it is read. From then on
 * nothing of it is read twice from elsewhere. Each segment is made in place: its headers lie right before its payload,
 * over the end of the segment before, which was delivered. So a segment must be delivered before the next is made.
 *
 * Sources: virtio 1.2, 5.1.6.2 and 5.1.6.4; what differs from segment to segment: Linux, tcp_gso_segment.
 */
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../rings/packet-table.js';
import {
  type Copy,
  copierFor,
  copyBetween,
  finishSum,
  foldSum,
  type MemoryViews,
  partialSum,
  partialSumOfWords,
  type WindowAllocator,
  type WindowRange,
} from '../../memory/index.js';
import * as fields from '../header-fields.js';
import { ethernetTypeAt } from './ether-type.js';
import { MAX_GSO_SEGMENTS } from './offload-reader.js';
import { PacketBurst } from './packet-burst.js';

/** Room for the longest frame, 65553 bytes, whose beginning is at the same place modulo 8 as the original's. */
const ROOM_BYTES = 66048;
/** Without these bits of the offset, the fragment field of a packet that is no fragment is 0 (RFC 791). */
const DONT_FRAGMENT = 0x4000;

export class SoftwareOffload {
  /** The packet that {@link sum} or {@link next} has made: one packet in one piece, valid until the next call. */
  readonly burst: PacketBurst;
  private base = -1;
  private copyInside: Copy;
  private range: WindowRange | null = null;

  // The packet that is cut: places in the memory, and lengths in bytes.
  /** The current segment. Its headers lie here. */
  private frame = 0;
  private headerBytes = 0;
  private ip = 0;
  private tcp = 0;
  private isIpv4 = false;
  private gsoSize = 0;
  /** Payload that is not cut yet. */
  private left = 0;
  private isFirst = true;
  /** The sum of the pseudo header without a length. */
  private pseudoSum = 0;
  /** FIN and PSH of the packet, which the last segment has. */
  private lastFlags = 0;
  private isPartial = false;

  /**
   * @param windows provides the memory, so that copies from and to peers in the same window are fast. It is taken when it
   *   is needed first. Default: memory of its own
   */
  constructor(private readonly windows: WindowAllocator | null = null) {
    this.burst = new PacketBurst({ u8: new Uint8Array(0), u16: new Uint16Array(0), u32: new Uint32Array(0) });
    this.copyInside = copierFor(this.burst.memory);
  }

  /** Copies the packet, whose checksum is partial, and completes the checksum. */
  sum(from: PacketBurst, packet: number): void {
    this.copy(from, packet);
    const start = from.csumStart[packet];
    this.complete(this.frame, start, from.csumOffset[packet], from.length[packet] - start);
    this.burst.clear();
    this.burst.push(this.frame, from.length[packet]);
  }

  /**
   * Copies a GSO packet, to be cut by {@link next}. Returns false when its headers do not fit what is to be done.
   * @param isPartial whether the segments get a partial checksum, too
   */
  begin(from: PacketBurst, packet: number, isPartial: boolean): boolean {
    this.copy(from, packet);
    const { u8 } = this.burst.memory;
    const length = from.length[packet];
    const start = from.csumStart[packet];
    this.burst.clear();
    this.burst.push(this.frame, length);
    this.ip = this.frame + ethernetTypeAt(this.burst, 0) + 2;
    this.tcp = this.frame + start;
    this.isIpv4 = (from.flags[packet] & GSO_TCP4) !== 0;
    this.gsoSize = from.gsoSize[packet];
    this.headerBytes = start + (u8[this.tcp + fields.TCP_DATA_OFFSET] >>> 4) * 4;
    this.left = length - this.headerBytes;
    if (this.headerBytes < start + fields.TCP_HEADER_BYTES || this.left <= 0) return false;
    if (this.left > MAX_GSO_SEGMENTS * this.gsoSize) return false;
    if (!(this.isIpv4 ? this.isTcpOverIpv4() : this.isTcpOverIpv6())) return false;
    this.isFirst = true;
    this.isPartial = isPartial;
    this.lastFlags = u8[this.tcp + fields.TCP_FLAGS] & (fields.TCP_FIN | fields.TCP_PSH);
    this.pseudoSum = foldSum(this.u16(this.tcp + fields.TCP_CHECKSUM) + (~(length - start) & 0xffff));
    return true;
  }

  /** Makes the next segment, in {@link burst}. Returns false when there is none. */
  next(): boolean {
    if (this.left === 0) return false;
    const { u8 } = this.burst.memory;
    const payload = this.left < this.gsoSize ? this.left : this.gsoSize;
    if (this.isFirst) this.isFirst = false;
    else this.moveHeaders();
    this.left -= payload;
    const flags = this.tcp + fields.TCP_FLAGS;
    const last = fields.TCP_FIN | fields.TCP_PSH;
    u8[flags] = (u8[flags] & ~last) | (this.left === 0 ? this.lastFlags : 0);
    this.setLengths(payload);
    const start = this.tcp - this.frame;
    const bytes = this.headerBytes + payload;
    this.setU16(this.tcp + fields.TCP_CHECKSUM, foldSum(this.pseudoSum + bytes - start));
    const { burst } = this;
    burst.clear();
    burst.push(this.frame, bytes);
    if (this.isPartial) {
      burst.offloaded = 1;
      burst.flags[0] = CHECKSUM_PARTIAL;
      burst.csumStart[0] = start;
      burst.csumOffset[0] = fields.TCP_CHECKSUM;
    } else {
      this.complete(this.frame, start, fields.TCP_CHECKSUM, bytes - start);
    }
    return true;
  }

  /** Gives the memory back. */
  close(): void {
    if (this.range !== null) this.windows?.release(this.range);
    this.range = null;
    this.base = -1;
  }

  private isTcpOverIpv4(): boolean {
    const { u8 } = this.burst.memory;
    const { ip } = this;
    const header = (u8[ip] & 15) * 4;
    return (
      this.u16(ip - 2) === fields.TYPE_IPV4 &&
      u8[ip] >>> 4 === 4 &&
      header >= fields.IPV4_BYTES &&
      ip + header === this.tcp &&
      u8[ip + fields.IPV4_PROTOCOL] === fields.PROTOCOL_TCP &&
      (this.u16(ip + fields.IPV4_FRAGMENT) & ~DONT_FRAGMENT) === 0
    );
  }

  private isTcpOverIpv6(): boolean {
    const { u8 } = this.burst.memory;
    const { ip, tcp } = this;
    const payload = ip + fields.IPV6_BYTES;
    return (
      this.u16(ip - 2) === fields.TYPE_IPV6 &&
      u8[ip] >>> 4 === 6 &&
      // Extension headers stay as they are: only the length before them changes.
      (payload < tcp || (payload === tcp && u8[ip + fields.IPV6_NEXT_HEADER] === fields.PROTOCOL_TCP))
    );
  }

  /** Makes the headers of the next segment of those of the last one, except what depends on its length. */
  private moveHeaders(): void {
    const { u8 } = this.burst.memory;
    const { gsoSize } = this;
    u8.copyWithin(this.frame + gsoSize, this.frame, this.frame + this.headerBytes);
    this.frame += gsoSize;
    this.ip += gsoSize;
    this.tcp += gsoSize;
    const at = this.tcp + fields.TCP_SEQUENCE;
    const sequence = ((this.u16(at) << 16) | this.u16(at + 2)) + gsoSize;
    this.setU16(at, sequence >>> 16);
    this.setU16(at + 2, sequence);
    u8[this.tcp + fields.TCP_FLAGS] &= ~fields.TCP_CWR;
    if (this.isIpv4) this.setU16(this.ip + fields.IPV4_ID, this.u16(this.ip + fields.IPV4_ID) + 1);
  }

  private setLengths(payload: number): void {
    const { ip } = this;
    const bytes = this.frame + this.headerBytes - ip + payload;
    if (!this.isIpv4) {
      this.setU16(ip + fields.IPV6_PAYLOAD_LENGTH, bytes - fields.IPV6_BYTES);
      return;
    }
    this.setU16(ip + fields.IPV4_TOTAL_LENGTH, bytes);
    this.setU16(ip + fields.IPV4_CHECKSUM, 0);
    this.setU16(ip + fields.IPV4_CHECKSUM, finishSum(this.sumOf(ip, this.tcp - ip)));
  }

  /** Completes a partial checksum: of `bytes` from `start` of the frame on, in the field `field` bytes after that. */
  private complete(frame: number, start: number, field: number, bytes: number): void {
    const sum = finishSum(this.sumOf(frame + start, bytes));
    // Of UDP, 0 says that there is no checksum (RFC 768). For all others, too, 0xffff is the same sum.
    this.setU16(frame + start + field, sum === 0 ? 0xffff : sum);
  }

  private sumOf(at: number, bytes: number): number {
    const { memory } = this.burst;
    if ((at & 3) === 0) return partialSumOfWords(memory, at, bytes);
    if ((at & 3) === 2 && bytes >= 2) return partialSumOfWords(memory, at + 2, bytes - 2, this.u16(at));
    return partialSum(memory, at, bytes);
  }

  /** Copies a packet into the room, at the same place modulo 8, and sets {@link frame}. */
  private copy(from: PacketBurst, packet: number): void {
    if (this.base < 0) this.open();
    const { memory } = this.burst;
    const first = from.firstSegment[packet];
    const isSame = from.memory === memory;
    this.frame = this.base + (from.segmentOffset[first] & 7);
    let at = this.frame;
    for (let s = first; s < from.firstSegment[packet + 1]; s++) {
      const bytes = from.segmentLength[s];
      if (isSame) this.copyInside(at, from.segmentOffset[s], bytes);
      else copyBetween(memory, at, from.memory, from.segmentOffset[s], bytes);
      at += bytes;
    }
  }

  private open(): void {
    this.range = this.windows === null ? null : allocated(this.windows);
    this.base = this.range?.offset ?? 0;
    this.burst.memory = this.range?.window ?? ownMemory();
    this.copyInside = copierFor(this.burst.memory);
  }

  private u16(at: number): number {
    const { u8 } = this.burst.memory;
    return (u8[at] << 8) | u8[at + 1];
  }

  private setU16(at: number, value: number): void {
    const { u8 } = this.burst.memory;
    u8[at] = value >>> 8;
    u8[at + 1] = value;
  }
}

/** Takes the room from the windows; null when they have none left, which must not end the switch. */
function allocated(windows: WindowAllocator): WindowRange | null {
  try {
    return windows.allocate(ROOM_BYTES);
  } catch {
    return null;
  }
}

function ownMemory(): MemoryViews {
  const buffer = new SharedArrayBuffer(ROOM_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}
