/**
 * Makes segments and sends them: header, options, data from the send region, checksum (RFC 9293, 3.1). What to send is
 * decided elsewhere.
 */
import { type MemoryViews, signedWords } from '../../../../drivers/memory/index.js';
import { OFFLOAD_CSUM } from '../../../../drivers/offloads.js';
import type { PacketBuffer } from '../../../link/packet-buffer.js';
import { writeU16 } from '../../../wire/bytes.js';
import { finishSum, foldSum, partialSum } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES } from '../../../wire/ipv4.js';
import {
  TCP_ACK,
  TCP_CHECKSUM,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_HEADER_BYTES,
  TCP_PSH,
  TCP_SYN,
} from '../../../wire/tcp.js';
import type { OwnAddress } from '../../own-address.js';
import { TCP } from '../counters.js';
import type { Intervals } from '../receive/intervals.js';
import type { ReceiveWindow } from '../receive/window.js';
import { copyOut, copyOutAndSum } from '../state/region-copy.js';
import {
  DS_FIELD,
  DSACK_END,
  DSACK_START,
  FLAG_ACK_NOW,
  FLAG_CWR,
  FLAG_ECE,
  FLAG_ECN,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAG_WINDOW_UPDATE,
  FLAGS,
  INTERVALS,
  LAST_ACK_SENT,
  MSS,
  PORTS,
  QUICK_ACKS,
  RCV_NXT,
  REMOTE,
  ROW_SHIFT,
  SEND_BASE,
  SND_END,
  SND_NXT,
  TS_OFFSET,
  TS_RECENT,
  UNACKED_BYTES,
} from '../state/rows.js';
import { SackBlocks } from '../state/sack-blocks.js';
import { type Table, TIMER_DELAYED_ACK, timerId } from '../state/table.js';
import { IP_PAYLOAD, type IpOutput } from './ip-output.js';
import { pseudoHeaderSum, writeSegmentHeader } from './segment-header.js';
import {
  MAX_OPTIONS_BYTES,
  PADDED_SACK_BYTES,
  PADDED_TIMESTAMPS_BYTES,
  SACK_BLOCK_BYTES,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from './write-options.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const PAYLOAD = IP_PAYLOAD;
const HEADER = TCP_HEADER_BYTES;
const PROTOCOL = IP_PROTOCOL_TCP;
const SEGMENTS_OUT = TCP.tcp_segments_out;
const NO_BUFFER = TCP.tcp_send_no_buffer;
const SUM_BY_DEVICE = OFFLOAD_CSUM;
/** ECT(0) (RFC 3168, 5). */
const ECT0 = 2;

export class Transmit {
  private readonly i32: Int32Array;
  private readonly blocks = new SackBlocks();
  /**
   * No buffer was free, or the ring was full. Until the next poll clears it, no connection tries, so that hundreds that
   * have data do not fail one after the other.
   */
  isBlocked = false;
  /** What the device does for us in this poll: OFFLOAD_ bits. */
  offloads = 0;
  /** Of the header that {@link writeHeader} has written last: its flags, and whether it has SACK blocks. */
  private bits = 0;
  private hasBlocks = false;
  /** The field of differentiated services and ECN for the packet with that header. */
  tos = 0;
  private readonly words: Int32Array;

  /** @param local our address */
  constructor(
    private readonly table: Table,
    private readonly ip: IpOutput,
    private readonly memory: MemoryViews,
    private readonly intervals: Intervals,
    private readonly window: ReceiveWindow,
    private readonly local: OwnAddress,
  ) {
    this.i32 = table.i32;
    this.words = signedWords(memory);
  }

  /** A poll begins: there may be buffers and room again, and another device. */
  begin(): void {
    this.isBlocked = false;
    this.offloads = this.ip.offloads;
  }

  /** Nothing can be sent until the next poll: others have to take what was sent first. */
  block(): false {
    this.isBlocked = true;
    this.table.count[NO_BUFFER]++;
    return false;
  }

  /** Our timestamp (RFC 7323, 3) for a connection, now. */
  timestamp(r: number): number {
    return (this.table.clock.ms + this.i32[r + TS_OFFSET]) | 0;
  }

  /** Most bytes of data that fit into a segment of `mtu` bytes with the options of every segment. */
  mssFor(r: number, mtu: number): number {
    return mtu - IPV4_HEADER_BYTES - this.headerBytes(r);
  }

  /** Bytes of the header with the options of every segment. */
  headerBytes(r: number): number {
    return HEADER + ((this.i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0 ? PADDED_TIMESTAMPS_BYTES : 0);
  }

  /**
   * Sends a segment with `length` bytes of data from the send region. It carries the ACK that is due.
   * @param flags TCP_FIN, TCP_PSH or none; ACK is always set
   * @returns false when it could not be sent now
   */
  segment(r: number, seq: number, length: number, flags: number): boolean {
    const { i32, table } = this;
    if (this.isBlocked) return false;
    const buffer = this.ip.begin();
    if (buffer === null) return this.block();
    const { memory } = this;
    const tcp = buffer.offset + PAYLOAD;
    const header = this.writeHeader(r, tcp, seq, length, flags);
    // The sum over a header costs less than what a device has to do for it.
    if (length > 0 && (this.offloads & SUM_BY_DEVICE) !== 0) {
      this.copyData(r, seq, tcp + header, length);
      this.requestChecksum(r, buffer, header + length);
    } else {
      let sum = partialSum(memory, tcp, header, pseudoHeaderSum(this.local.address, i32[r + REMOTE], header + length));
      if (length > 0) {
        const at = (seq - i32[r + SEND_BASE]) | 0;
        sum += copyOutAndSum(table.sendRegions[r >> ROW_SHIFT]!, at, memory, tcp + header, length);
      }
      writeU16(memory.u8, tcp + TCP_CHECKSUM, finishSum(sum));
    }
    if (!this.ip.send(buffer, PROTOCOL, i32[r + REMOTE], header + length, this.tos)) return this.block();
    this.sent(r, 1);
    return true;
  }

  /**
   * Writes the header of a segment at `tcp`, without its checksum. {@link sent} follows when the segment has gone out.
   * @param length bytes of data that the packet will have
   * @returns bytes of the header
   */
  writeHeader(r: number, tcp: number, seq: number, length: number, flags: number): number {
    const { i32 } = this;
    const { u8 } = this.memory;
    const own = i32[r + FLAGS];
    let end = tcp + HEADER;
    if ((own & FLAG_TIMESTAMPS) !== 0) end = writeTimestamps(u8, end, this.timestamp(r), i32[r + TS_RECENT]);
    const sacks = end;
    if (i32[r + INTERVALS] !== 0 || i32[r + DSACK_START] !== i32[r + DSACK_END]) {
      end = this.writeBlocks(r, u8, end, end - tcp - HEADER, length);
    }
    let bits = flags | TCP_ACK;
    let tos = i32[r + DS_FIELD];
    if ((own & FLAG_ECN) !== 0) {
      if ((own & FLAG_ECE) !== 0) bits |= TCP_ECE;
      // RFC 3168, 6.1.5: only data that is sent for the first time.
      if (length > 0 && seq === i32[r + SND_NXT]) {
        tos |= ECT0;
        if ((own & FLAG_CWR) !== 0) bits |= TCP_CWR;
      }
    }
    const header = end - tcp;
    writeSegmentHeader(u8, tcp, i32[r + PORTS], seq, i32[r + RCV_NXT], header, bits, this.window.advertise(r));
    this.bits = bits;
    this.tos = tos;
    this.hasBlocks = sacks !== end;
    return header;
  }

  /** Copies `length` bytes of data from the send region to offset `to` of packet memory. */
  copyData(r: number, seq: number, to: number, length: number): void {
    const at = (seq - this.i32[r + SEND_BASE]) | 0;
    copyOut(this.table.sendRegions[r >> ROW_SHIFT]!, at, this.memory.u8, this.words, to, length);
  }

  /** Asks for the checksum of a packet whose first part is `buffer`. @param length bytes of the segment, header included */
  requestChecksum(r: number, buffer: PacketBuffer, length: number): void {
    const pseudo = pseudoHeaderSum(this.local.address, this.i32[r + REMOTE], length);
    writeU16(this.memory.u8, buffer.offset + PAYLOAD + TCP_CHECKSUM, foldSum(pseudo));
    buffer.requestChecksum(PAYLOAD, TCP_CHECKSUM);
  }

  /** The packet with the header that was written last has gone out. @param segments that it stands for */
  sent(r: number, segments: number): void {
    const { i32 } = this;
    this.table.count[SEGMENTS_OUT] += segments;
    // A D-SACK is the first block whenever there are blocks.
    if (this.hasBlocks) i32[r + DSACK_START] = i32[r + DSACK_END];
    if ((this.bits & TCP_CWR) !== 0) i32[r + FLAGS] &= ~FLAG_CWR;
    this.acknowledged(r);
  }

  /** Sends `SYN` or `SYN-ACK` (with `flags` TCP_ACK), with the options that the row says. */
  syn(r: number, seq: number, flags: number, scale: number, sack: boolean, timestamps: boolean, mss: number): boolean {
    const { i32, memory, table } = this;
    if (this.isBlocked) return false;
    const buffer = this.ip.begin();
    if (buffer === null) return this.block();
    const { u8 } = memory;
    const tcp = buffer.offset + PAYLOAD;
    const value = this.timestamp(r);
    const end = writeSynOptions(u8, tcp + HEADER, mss, scale, sack, timestamps, value, i32[r + TS_RECENT]);
    const header = end - tcp;
    const hasAck = (flags & TCP_ACK) !== 0;
    const ack = hasAck ? i32[r + RCV_NXT] : 0;
    writeSegmentHeader(u8, tcp, i32[r + PORTS], seq, ack, header, flags | TCP_SYN, this.window.advertiseInSyn(r));
    const sum = pseudoHeaderSum(this.local.address, i32[r + REMOTE], header);
    writeU16(u8, tcp + TCP_CHECKSUM, finishSum(partialSum(memory, tcp, header, sum)));
    if (!this.ip.send(buffer, PROTOCOL, i32[r + REMOTE], header, i32[r + DS_FIELD])) return this.block();
    table.count[SEGMENTS_OUT]++;
    if (hasAck) i32[r + LAST_ACK_SENT] = i32[r + RCV_NXT];
    return true;
  }

  /** Writes as many SACK blocks as the segment has room for, a D-SACK (RFC 2883, 4) first. */
  private writeBlocks(r: number, u8: Uint8Array, at: number, options: number, length: number): number {
    const { i32, blocks } = this;
    if ((i32[r + FLAGS] & FLAG_SACK) === 0) return at;
    // A full segment has no room: an ACK of its own carries the blocks.
    const room = Math.min(MAX_OPTIONS_BYTES - options, length === 0 ? MAX_OPTIONS_BYTES : i32[r + MSS] - length);
    const most = ((room - PADDED_SACK_BYTES) / SACK_BLOCK_BYTES) | 0;
    if (most <= 0) return at;
    const start = i32[r + DSACK_START];
    const end = i32[r + DSACK_END];
    if (start === end) {
      this.intervals.blocks(r, blocks, most);
    } else {
      this.intervals.blocks(r, blocks, most - 1);
      for (let i = blocks.count; i > 0; i--) {
        blocks.start[i] = blocks.start[i - 1];
        blocks.end[i] = blocks.end[i - 1];
      }
      blocks.start[0] = start;
      blocks.end[0] = end;
      blocks.count++;
    }
    return blocks.count === 0 ? at : writeSack(u8, at, blocks);
  }

  /** An ACK has gone out. */
  private acknowledged(r: number): void {
    const { i32, table } = this;
    i32[r + LAST_ACK_SENT] = i32[r + RCV_NXT];
    i32[r + UNACKED_BYTES] = 0;
    if (i32[r + QUICK_ACKS] > 0) i32[r + QUICK_ACKS]--;
    i32[r + FLAGS] &= ~(FLAG_ACK_NOW | FLAG_WINDOW_UPDATE);
    table.wheel.clear(timerId(r, TIMER_DELAYED_ACK));
  }

  /** PSH with the last byte that waits (RFC 9293, 3.9.1.2, MUST-61), FIN where the data ends. */
  flagsFor(r: number, end: number, withFin: boolean): number {
    if (withFin) return TCP_FIN | TCP_PSH;
    return end === this.i32[r + SND_END] ? TCP_PSH : 0;
  }
}
