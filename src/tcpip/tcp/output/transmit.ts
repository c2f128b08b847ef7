/**
 * Makes segments and sends them: header, options, data from the send region, checksum (RFC 9293, 3.1). What to send is
 * decided elsewhere.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { writeU16 } from '../../../wire/bytes.js';
import { finishSum, partialSum } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES } from '../../../wire/ipv4.js';
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_HEADER_BYTES, TCP_PSH, TCP_SYN } from '../../../wire/tcp.js';
import type { OwnAddress } from '../../own-address.js';
import { TCP } from '../counters.js';
import type { Intervals } from '../receive/intervals.js';
import type { ReceiveWindow } from '../receive/window.js';
import { copyOutAndSum } from '../state/region-copy.js';
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
  }

  /** Nothing can be sent until the next poll: others have to take what was sent first. */
  private block(): false {
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
    const options = (this.i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0 ? PADDED_TIMESTAMPS_BYTES : 0;
    return mtu - IPV4_HEADER_BYTES - TCP_HEADER_BYTES - options;
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
    const { u8 } = memory;
    const tcp = buffer.offset + PAYLOAD;
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
    let sum = partialSum(memory, tcp, header, pseudoHeaderSum(this.local.address, i32[r + REMOTE], header + length));
    if (length > 0) {
      const at = (seq - i32[r + SEND_BASE]) | 0;
      sum += copyOutAndSum(table.sendRegions[r >> ROW_SHIFT]!, at, memory, end, length);
    }
    writeU16(u8, tcp + 16, finishSum(sum));
    if (!this.ip.send(buffer, PROTOCOL, i32[r + REMOTE], header + length, tos)) return this.block();
    table.count[SEGMENTS_OUT]++;
    // A D-SACK is the first block whenever there are blocks.
    if (sacks !== end) i32[r + DSACK_START] = i32[r + DSACK_END];
    if ((bits & TCP_CWR) !== 0) i32[r + FLAGS] &= ~FLAG_CWR;
    this.acknowledged(r);
    return true;
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
    writeU16(u8, tcp + 16, finishSum(partialSum(memory, tcp, header, sum)));
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
