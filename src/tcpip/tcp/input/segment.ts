/**
 * A received segment, read and checked: header, options, data (RFC 9293, 3.1 and 3.2). One object serves all segments.
 *
 * A malformed option ends the reading of options: what was read before it counts, as in Linux. No option is obeyed in
 * part.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import type { PacketBuffer } from '../../../link/packet-buffer.js';
import { readI32, readU16 } from '../../../wire/bytes.js';
import { finishSum, partialSumOfWords } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP, ipv4Ecn, ipv4PseudoHeaderSum, ipv4Source } from '../../../wire/ipv4.js';
import { TCP_FIN, TCP_HEADER_BYTES, TCP_SYN, tcpHeaderLength } from '../../../wire/tcp.js';
import { isChecksumGood, partialSumOfParts } from '../../packet-data.js';
import {
  MSS_BYTES,
  OPTION_END,
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK,
  OPTION_SACK_PERMITTED,
  OPTION_SCALE,
  OPTION_TIMESTAMPS,
  SACK_BLOCK_BYTES,
  SACK_PERMITTED_BYTES,
  SCALE_BYTES,
  TIMESTAMPS_BYTES,
} from '../output/write-options.js';
import { MAX_SACK_BLOCKS, SackBlocks } from '../state/sack-blocks.js';

/** What {@link Segment.read} returns. */
export const SEGMENT_INTACT = 0;
export const SEGMENT_BAD_LENGTH = 1;
export const SEGMENT_BAD_CHECKSUM = 2;

/** No option of that kind. */
export const NO_OPTION = -1;
/** RFC 7323, 2.3: a larger shift counts as this. */
const MAX_SCALE = 14;
/** Both ECN bits set: congestion experienced (RFC 3168, 5). */
const CONGESTION_EXPERIENCED = 3;
/** The first word of a timestamps option as most stacks pad it: NOP, NOP, kind, length. */
const PADDED_TIMESTAMPS = 0x0101080a;

export class Segment {
  /** The sender's address, signed. */
  remote = 0;
  /** Our port in the high half, the sender's in the low half. */
  ports = 0;
  seq = 0;
  ack = 0;
  /** All eight flags. */
  flags = 0;
  /** As the field has it, not scaled. */
  window = 0;
  /** Whether the window is to be scaled: never that of a segment with SYN (RFC 7323, 2.2). */
  isScaled = false;
  urgent = 0;
  /** The memory that the segment lies in. */
  bytes: Uint8Array;
  /** Offset of the data in {@link bytes}; {@link skip} moves it. */
  data = 0;
  /** Bytes of data. */
  length = 0;
  /** How many bytes lie at {@link data}. The others lie in {@link next} and the parts behind it. */
  room = 0;
  /** The part of the packet behind the one with {@link data}; null: there is none. */
  next: PacketBuffer | null = null;
  /** Bytes of data in each segment that a GSO packet stands for, except the last. Otherwise {@link length}. */
  size = 0;
  /** Sequence number behind the segment: SYN and FIN count. */
  end = 0;
  /** Whether a router has marked the packet (RFC 3168). */
  isMarked = false;
  mss = NO_OPTION;
  scale = NO_OPTION;
  sackPermitted = false;
  hasTimestamps = false;
  tsValue = 0;
  tsEcho = 0;
  /** Whether an option was malformed. */
  hasBadOptions = false;
  readonly sacks = new SackBlocks();

  /** @param bytes memory that most segments lie in */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /**
   * Reads the segment of `length` bytes at `tcp`, whose IP header is at `ip`.
   * @param packet that it came in; null: it lies whole in `memory`, and nothing is known of its checksum
   * @returns one of the SEGMENT_ numbers
   */
  read(memory: MemoryViews, ip: number, tcp: number, length: number, packet: PacketBuffer | null): number {
    const { u8 } = memory;
    const next = packet === null ? null : packet.next;
    const room = packet === null || next === null ? length : Math.min(length, packet.length - (tcp - ip));
    // The whole header lies in the first part.
    if (room < TCP_HEADER_BYTES) return SEGMENT_BAD_LENGTH;
    const header = tcpHeaderLength(u8, tcp);
    if (header < TCP_HEADER_BYTES || header > room) return SEGMENT_BAD_LENGTH;
    if (!isChecksumGood(packet)) {
      const pseudo = ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_TCP, length);
      const sum =
        next === null
          ? partialSumOfWords(memory, tcp, length, pseudo)
          : partialSumOfParts(memory, tcp, room, next, length, pseudo);
      if (finishSum(sum) !== 0) return SEGMENT_BAD_CHECKSUM;
    }
    const ports = readI32(u8, tcp);
    const flags = u8[tcp + 13];
    this.bytes = u8;
    this.remote = ipv4Source(u8, ip);
    this.ports = (ports << 16) | (ports >>> 16);
    this.seq = readI32(u8, tcp + 4);
    this.ack = readI32(u8, tcp + 8);
    this.flags = flags;
    this.window = readU16(u8, tcp + 14);
    this.isScaled = (flags & TCP_SYN) === 0;
    this.urgent = readU16(u8, tcp + 18);
    this.data = tcp + header;
    this.length = length - header;
    this.room = room - header;
    this.next = next;
    const size = packet === null ? 0 : packet.segmentSize;
    this.size = size > 0 && size < length - header ? size : length - header;
    this.end = (this.seq + this.length + (flags & TCP_FIN) + ((flags & TCP_SYN) >>> 1)) | 0;
    this.isMarked = ipv4Ecn(u8, ip) === CONGESTION_EXPERIENCED;
    this.hasTimestamps = false;
    this.sacks.count = 0;
    const options = tcp + TCP_HEADER_BYTES;
    if (header === TCP_HEADER_BYTES + 12 && readI32(u8, options) === PADDED_TIMESTAMPS) {
      this.hasTimestamps = true;
      this.tsValue = readI32(u8, options + 4);
      this.tsEcho = readI32(u8, options + 8);
      this.mss = NO_OPTION;
      this.scale = NO_OPTION;
      this.sackPermitted = false;
      this.hasBadOptions = false;
    } else {
      this.readOptions(u8, options, tcp + header);
    }
    return SEGMENT_INTACT;
  }

  /** Moves {@link data} on by `bytes`, into later parts of the packet where there are some. */
  skip(bytes: number): void {
    this.data += bytes;
    this.room -= bytes;
    for (let part = this.next; this.room <= 0 && part !== null; part = part.next) {
      this.data = part.offset - this.room;
      this.room += part.length;
      this.next = part.next;
    }
  }

  private readOptions(u8: Uint8Array, from: number, end: number): void {
    this.mss = NO_OPTION;
    this.scale = NO_OPTION;
    this.sackPermitted = false;
    this.hasBadOptions = false;
    let at = from;
    while (at < end) {
      const kind = u8[at];
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? u8[at + 1] : 0;
      if (length < 2 || at + length > end) {
        this.hasBadOptions = true;
        return;
      }
      this.readOption(u8, at, kind, length);
      at += length;
    }
  }

  /** Options of unknown kinds are skipped (MUST-6); a known one of a wrong length is ignored. */
  private readOption(u8: Uint8Array, at: number, kind: number, length: number): void {
    if (kind === OPTION_MSS && length === MSS_BYTES) {
      this.mss = readU16(u8, at + 2);
    } else if (kind === OPTION_SCALE && length === SCALE_BYTES) {
      this.scale = Math.min(u8[at + 2], MAX_SCALE);
    } else if (kind === OPTION_SACK_PERMITTED && length === SACK_PERMITTED_BYTES) {
      this.sackPermitted = true;
    } else if (kind === OPTION_TIMESTAMPS && length === TIMESTAMPS_BYTES) {
      this.hasTimestamps = true;
      this.tsValue = readI32(u8, at + 2);
      this.tsEcho = readI32(u8, at + 6);
    } else if (kind === OPTION_SACK && length > 2 && (length - 2) % SACK_BLOCK_BYTES === 0) {
      const { sacks } = this;
      sacks.count = Math.min((length - 2) / SACK_BLOCK_BYTES, MAX_SACK_BLOCKS);
      for (let i = 0; i < sacks.count; i++) {
        sacks.start[i] = readI32(u8, at + 2 + i * SACK_BLOCK_BYTES);
        sacks.end[i] = readI32(u8, at + 6 + i * SACK_BLOCK_BYTES);
      }
    } else if (kind <= OPTION_SACK || kind === OPTION_TIMESTAMPS) {
      this.hasBadOptions = true;
    }
  }
}
