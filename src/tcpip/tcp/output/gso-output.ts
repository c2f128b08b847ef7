/**
 * Sends new data in GSO packets, where the device cuts them into segments (virtio 1.2, 5.1.6.2): up to 64 KB with one
 * header. What goes out is what {@link Output} would send segment by segment, by the same rules, and each segment has
 * its own record in the sent ring, so that loss recovery knows only segments. What is sent again goes in single segments.
 */
import { OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';
import type { PacketBuffer } from '../../../link/packet-buffer.js';
import { IP_PROTOCOL_TCP } from '../../../wire/ipv4.js';
import { TCP } from '../counters.js';
import type { Recovery } from '../recovery/recovery.js';
import { CHUNK_BYTES } from '../state/regions.js';
import {
  FLAG_CWR,
  FLAG_ECN,
  FLAG_FIN_QUEUED,
  FLAG_FIN_SENT,
  FLAG_NO_DELAY,
  FLAGS,
  MSS,
  PROGRESS_MS,
  REMOTE,
  SEND_BASE,
  SMALL_END,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import { IP_PAYLOAD, type IpOutput } from './ip-output.js';
import type { Transmit } from './transmit.js';

/**
 * Most bytes of a packet. The length of an IP packet has 16 bits, but DPDK's vhost library (22.11, so OVS too) drops a
 * frame of more than 65,368 bytes: it copies a frame into one buffer, with fields of its own. Linux stays below, too.
 */
const MAX_PACKET = 0xff00;
/** Most buffers that a packet lies in: chains of descriptors are bounded by the ring, and by the tables of devices. */
const MAX_PARTS = 40;
/** Most segments in a packet: as many buffers it takes where the layer below has to cut it. */
const MAX_SEGMENTS = 64;
/** Least bytes of data in the first of several buffers, where the header does not lie as the data do. */
const LEAST_FIRST = 256;
/** Buffers that hold less would be half empty with whole chunks. */
const LARGE_PART = 2 * CHUNK_BYTES;
/**
 * Data lie in each buffer where they lie modulo 8 for a peer that receives the packet in one piece, so that a switch
 * copies whole words, unless they lie otherwise in the send region. {@link GsoOutput.divide} sees to it.
 */
const PART_UNIT = 8;

export class GsoOutput {
  private readonly i32: Int32Array;
  /** The buffers behind the first of the packet that is being made, and how many they are. */
  private readonly parts: PacketBuffer[] = [];
  private count = 0;
  /** Bytes of data that go into the first buffer, at most into each of the others, and into all. */
  private firstRoom = 0;
  private partRoom = 0;
  private room = 0;
  /** From the beginning of each buffer but the first to its data, in bytes. */
  private skip = 0;

  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly transmit: Transmit,
    private readonly ip: IpOutput,
  ) {
    this.i32 = table.i32;
  }

  /**
   * Sends one packet of more than one segment, if the device takes such packets and so much may be sent now.
   * @returns whether one was sent. Otherwise a single segment may still be allowed
   */
  send(r: number): boolean {
    const { i32, transmit, recovery } = this;
    const { offloads } = transmit;
    if ((offloads & OFFLOAD_TSO4) === 0 || transmit.isBlocked) return false;
    const flags = i32[r + FLAGS];
    const mss = i32[r + MSS];
    const next = i32[r + SND_NXT];
    if (((i32[r + SND_END] - next) | 0) <= mss || (flags & FLAG_FIN_SENT) !== 0) return false;
    // A device that cannot keep CWR to the first segment would repeat it: then it goes out with a single one.
    const hasCwr = (flags & (FLAG_CWR | FLAG_ECN)) === (FLAG_CWR | FLAG_ECN);
    if (hasCwr && (offloads & OFFLOAD_ECN) === 0) return false;
    const header = transmit.headerBytes(r);
    const wanted = this.allowed(r, mss, MAX_PACKET - IP_PAYLOAD - header);
    if (wanted <= mss || !recovery.reserve(r, Math.ceil(wanted / mss))) return false;
    const first = this.take(r, header, wanted);
    if (first === null) return transmit.block();
    const length = this.room < wanted ? this.room - (this.room % mss) : wanted;
    if (length === 0) return this.giveUp(first);
    this.fill(r, first, header, length);
    const unsent = (i32[r + SND_END] - next) | 0;
    const withFin = length === unsent && this.takesFin(r, flags, unsent);
    const end = (next + length) | 0;
    transmit.writeHeader(r, first.offset + IP_PAYLOAD, next, length, transmit.flagsFor(r, end, withFin));
    transmit.requestChecksum(r, first, header + length);
    if (length > mss) first.requestSegmentation(mss, 4, hasCwr);
    const isSent = this.ip.send(first, IP_PROTOCOL_TCP, i32[r + REMOTE], header + length, transmit.tos);
    if (!isSent) return transmit.block();
    this.note(r, next, length, mss, withFin);
    return true;
  }

  /**
   * How many bytes may go out now: as many whole segments as both windows let, and what is left at the end of the data if
   * Nagle's algorithm lets it (see {@link Output}). A segment that the window would cut off is not for us.
   * @param most bytes of data that fit into a packet
   */
  private allowed(r: number, mss: number, most: number): number {
    const { i32, recovery } = this;
    const next = i32[r + SND_NXT];
    const unsent = (i32[r + SND_END] - next) | 0;
    const usable = (i32[r + SND_UNA] + i32[r + SND_WND] - next) | 0;
    const room = Math.min(usable, recovery.allowance(r), most, MAX_SEGMENTS * mss);
    if (room < unsent) return room - (room % mss);
    const tail = unsent % mss;
    return tail === 0 || this.mayEnd(r, unsent) ? unsent : unsent - tail;
  }

  /** Whether a small segment may follow the whole ones: with the FIN, without Nagle, or by Minshall's rule. */
  private mayEnd(r: number, unsent: number): boolean {
    const { i32 } = this;
    const flags = i32[r + FLAGS];
    if ((flags & FLAG_NO_DELAY) !== 0 || this.takesFin(r, flags, unsent)) return true;
    return ((i32[r + SMALL_END] - i32[r + SND_UNA]) | 0) <= 0;
  }

  /** Whether the FIN goes with the last byte: the window must have room for it, too. */
  private takesFin(r: number, flags: number, unsent: number): boolean {
    const { i32 } = this;
    const usable = (i32[r + SND_UNA] + i32[r + SND_WND] - i32[r + SND_NXT]) | 0;
    return (flags & FLAG_FIN_QUEUED) !== 0 && usable > unsent;
  }

  /** Takes buffers for a packet, as many as it needs or as there are. Returns the first; null when there is none. */
  private take(r: number, header: number, length: number): PacketBuffer | null {
    const { ip, parts } = this;
    const first = ip.begin();
    if (first === null) return null;
    this.divide(r, first, header, length);
    let count = 0;
    let room = this.firstRoom;
    while (room < length && count < MAX_PARTS - 1) {
      const part = ip.begin();
      if (part === null) break;
      parts[count++] = part;
      room += this.partRoom;
    }
    this.count = count;
    this.room = room;
    return first;
  }

  /** Decides how many of `length` bytes go into each buffer. All buffers are alike. */
  private divide(r: number, first: PacketBuffer, header: number, length: number): void {
    const { i32 } = this;
    const { offset, capacity } = first;
    const place = (i32[r + SND_NXT] - i32[r + SEND_BASE]) | 0;
    const room = (capacity & -PART_UNIT) - IP_PAYLOAD - header;
    const skip = -offset & (PART_UNIT - 1);
    // Whole chunks of the send region, which are copied fastest, from the second buffer on.
    const chunks = (capacity - skip) & -CHUNK_BYTES;
    if (((offset + IP_PAYLOAD + header - place) & (PART_UNIT - 1)) === 0) {
      this.skip = skip;
      this.partRoom = chunks;
      this.firstRoom = room - ((place + room) & (CHUNK_BYTES - 1));
    } else if (length > room && chunks >= LARGE_PART) {
      // Behind a segment of an odd length, say. Few bytes follow the header, because they are copied slowly.
      const toChunk = -place & (CHUNK_BYTES - 1);
      this.skip = skip;
      this.partRoom = chunks;
      this.firstRoom = toChunk < LEAST_FIRST ? toChunk + CHUNK_BYTES : toChunk;
    } else {
      this.skip = 0;
      this.partRoom = capacity & -PART_UNIT;
      this.firstRoom = room;
    }
  }

  /** There were not even buffers for one segment. */
  private giveUp(first: PacketBuffer): false {
    this.ip.release(first);
    for (let i = 0; i < this.count; i++) this.ip.release(this.parts[i]);
    return this.transmit.block();
  }

  /** Writes the data into the buffers and makes one packet of them; gives back what it does not need. */
  private fill(r: number, first: PacketBuffer, header: number, length: number): void {
    const { i32, transmit, parts } = this;
    let seq = i32[r + SND_NXT];
    let left = length;
    let bytes = Math.min(left, this.firstRoom);
    transmit.copyData(r, seq, first.offset + IP_PAYLOAD + header, bytes);
    first.length = IP_PAYLOAD + header + bytes;
    for (let i = 0; i < this.count; i++) {
      const part = parts[i];
      seq = (seq + bytes) | 0;
      left -= bytes;
      bytes = Math.min(left, this.partRoom);
      if (bytes === 0) {
        this.ip.release(part);
        continue;
      }
      transmit.copyData(r, seq, part.offset + this.skip, bytes);
      part.length = bytes;
      first.append(part, this.skip);
    }
  }

  /** The packet has gone out: enters each of its segments as sent. */
  private note(r: number, seq: number, length: number, mss: number, withFin: boolean): void {
    const { i32, recovery, table } = this;
    const end = (seq + length + (withFin ? 1 : 0)) | 0;
    // The last segment may be smaller, or have the FIN.
    const whole = ((length - 1) / mss) | 0;
    recovery.sent(r, seq, mss, whole);
    recovery.sent(r, (seq + whole * mss) | 0, (end - seq - whole * mss) | 0, 1);
    const segments = whole + 1;
    this.transmit.sent(r, segments);
    if (segments > 1) table.count[TCP.tcp_gso_out]++;
    if (seq === i32[r + SND_UNA]) i32[r + PROGRESS_MS] = table.clock.ms;
    i32[r + SND_NXT] = end;
    if (withFin) i32[r + FLAGS] |= FLAG_FIN_SENT;
    if (length % mss !== 0) i32[r + SMALL_END] = end;
  }
}
