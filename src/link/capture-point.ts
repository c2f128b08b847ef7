/**
 * Where captures see the packets of one thread (`tspmd capture`): the bursts that are received and sent, and each packet that
 * the layer drops. While there is no capture, a burst costs the look at {@link CapturePoint.isOn}.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import {
  type CaptureSink,
  CaptureSinks,
  DIRECTION_IN,
  DIRECTION_OUT,
  NO_REASON,
  whereOf,
} from '../../observe/capture/sink.js';
import { type BufferGeometry, bufferStart, FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, LAST, LENGTH, NEXT, type PacketTable, START, TOTAL } from '../../rings/packet-table.js';
import { L2 } from '../counters.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD } from '../wire/ethernet.js';
import type { PacketBuffer } from './packet-buffer.js';

/** A port has one interface. */
const INTERFACE = 0;
/** Counters that `drop` is called with although the packet found who it was for. */
const NOT_DROPPED: ReadonlySet<number> = new Set([L2.rx_arp, L2.rx_dhcp]);

const NOTHING = new SharedArrayBuffer(0);
const NO_MEMORY: MemoryViews = {
  u8: new Uint8Array(NOTHING),
  u16: new Uint16Array(NOTHING),
  u32: new Uint32Array(NOTHING),
};

export class CapturePoint extends CaptureSinks {
  /** @param table null: no packet lies in several buffers */
  constructor(
    private readonly memory: MemoryViews,
    private readonly geometry: BufferGeometry,
    private readonly table: PacketTable | null,
  ) {
    super();
  }

  /** The frames from place `from` to `end` (exclusive) of a burst were received. */
  received(handles: Uint32Array, lengths: Uint32Array, from: number, end: number): void {
    this.burst(DIRECTION_IN, handles, lengths, from, end);
  }

  /** The frames from place `from` to `end` (exclusive) of a burst are being sent. */
  sent(handles: Uint32Array, lengths: Uint32Array, from: number, end: number): void {
    this.burst(DIRECTION_OUT, handles, lengths, from, end);
  }

  /** A received frame is dropped. @param length bytes in its first buffer */
  droppedIn(handle: number, length: number, counter: number): void {
    if (!NOT_DROPPED.has(counter)) this.dropped(DIRECTION_IN, handle, length, counter);
  }

  /** A frame to send is dropped. @param length bytes in its first buffer */
  droppedOut(handle: number, length: number, counter: number): void {
    this.dropped(DIRECTION_OUT, handle, length, counter);
  }

  /**
   * An IP packet to send is dropped before it got its Ethernet header: the copy has one with addresses of zeros.
   * @param length bytes of the packet in its first buffer
   */
  droppedPacket(handle: number, length: number, counter: number): void {
    this.blankHeader(this.startOf(handle) + FRAME_OFFSET);
    this.dropped(DIRECTION_OUT, handle, length + ETH_HEADER_BYTES, counter);
  }

  /** A packet to send is dropped as a stack has filled its buffers: their lengths may be anything. */
  droppedBuffer(packet: PacketBuffer, counter: number): void {
    const { memory } = this;
    const at = this.startOf(packet.handle) + FRAME_OFFSET;
    const before = packet.offset - at;
    if (before > 0) this.blankHeader(at);
    const first = before + bytesIn(packet);
    let total = first;
    for (let part = packet.next; part !== null; part = part.next) total += bytesIn(part);
    for (const sink of this.all) {
      if (!sink.takesDrop(DIRECTION_OUT)) continue;
      if (!sink.begin(memory.u8, at, first, total, whereOf(DIRECTION_OUT, INTERFACE), counter)) continue;
      sink.add(memory, at, first);
      for (let part = packet.next; part !== null; part = part.next) sink.add(memory, part.offset, bytesIn(part));
      sink.publish();
    }
  }

  private blankHeader(at: number): void {
    this.memory.u8.fill(0, at, at + ETH_HEADER_BYTES);
    this.memory.u16[(at + ETH_HEADER_BYTES - 2) >>> 1] = ETHERTYPE_IPV4_WORD;
  }

  private burst(direction: number, handles: Uint32Array, lengths: Uint32Array, from: number, end: number): void {
    for (const sink of this.all) {
      if (!sink.takesBurst(direction)) continue;
      for (let i = from; i < end; i++) this.copy(sink, direction, handles[i], lengths[i], NO_REASON);
      sink.publish();
    }
  }

  private dropped(direction: number, handle: number, length: number, counter: number): void {
    for (const sink of this.all) {
      if (!sink.takesDrop(direction)) continue;
      this.copy(sink, direction, handle, length, counter);
      sink.publish();
    }
  }

  private copy(sink: CaptureSink, direction: number, handle: number, length: number, reason: number): void {
    const { memory, table } = this;
    const where = whereOf(direction, INTERFACE);
    const start = this.startOf(handle);
    const entry = handle << ENTRY_SHIFT;
    if (table === null || (table.words[entry] & CHAIN) === 0) {
      const at = start + FRAME_OFFSET;
      if (sink.begin(memory.u8, at, length, length, where, reason)) sink.add(memory, at, length);
      return;
    }
    const { words } = table;
    const at = start + words[entry + START];
    if (!sink.begin(memory.u8, at, length, words[entry + TOTAL], where, reason)) return;
    sink.add(memory, at, length);
    for (let part = words[entry + NEXT]; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]) {
      const place = part << ENTRY_SHIFT;
      sink.add(memory, this.startOf(part) + words[place + START], words[place + LENGTH]);
    }
  }

  private startOf(handle: number): number {
    const { base, shift } = this.geometry;
    return base + bufferStart(handle, shift);
  }
}

/** Bytes that a buffer can have of those that a stack says. Written in this way so that NaN is nothing, too. */
const bytesIn = ({ length, capacity }: PacketBuffer): number =>
  length > 0 ? Math.min(Math.trunc(length), capacity) : 0;

/** For loops that nobody captures from, such as those of tests. */
export const NO_CAPTURE = new CapturePoint(NO_MEMORY, { count: 1, shift: 0, base: 0 }, null);
