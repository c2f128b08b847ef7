/**
 * A burst of packets where they lie. The device's side takes them out of a driver's transmit ring (or from a tap
 * device) and hands them on by reference, until each is copied once to its destination. All packets of a burst lie in
 * one memory.
 *
 * A burst is a set of arrays that is made once and refilled, so that nothing is allocated per packet.
 */
import { GSO } from '../../../rings/packet-table.js';
import { copyBetween, type MemoryViews } from '../../memory/index.js';
import { TCP_DATA_OFFSET } from '../header-fields.js';

/** Largest number of packets in a burst, as in BESS and DPDK. */
export const MAX_BURST = 32;
/**
 * Largest number of descriptors for one packet. (Linux's net device has at most 17 fragments and a head; a packet of 64
 * KiB in buffers of 2 KiB has 41.)
 */
export const MAX_SEGMENTS_PER_PACKET = 64;

/** Bytes of a frame that {@link PacketBurst.touch} loads: the shortest frame, and a cache line. */
const TOUCHED = 64;

export class PacketBurst {
  /** Where the packets lie. Set by the code that fills the burst. */
  memory: MemoryViews;
  /** Number of packets. */
  count = 0;
  /** Number of segments. */
  segments = 0;
  /** How many of the packets have {@link flags}. While it is 0, the arrays after {@link flags} are not valid. */
  offloaded = 0;
  /** Bytes of packet i: the Ethernet frame, without virtio-net header. */
  readonly length = new Uint32Array(MAX_BURST);
  /** Packet i consists of the segments firstSegment[i] to firstSegment[i + 1] - 1. */
  readonly firstSegment = new Uint16Array(MAX_BURST + 1);
  /** Offset of segment s in the memory, in bytes. */
  readonly segmentOffset = new Uint32Array(MAX_BURST * MAX_SEGMENTS_PER_PACKET);
  /** Bytes of segment s; never 0. */
  readonly segmentLength = new Uint32Array(MAX_BURST * MAX_SEGMENTS_PER_PACKET);

  // Offloads of packet i, checked by the code that fills the burst. Flags and values are those of rings/packet-table.
  /** Flags of a packet; valid only while {@link offloaded} is not 0. */
  readonly flags = new Uint8Array(MAX_BURST);
  readonly gsoSize = new Uint16Array(MAX_BURST);
  /** From the beginning of the frame, in bytes. */
  readonly csumStart = new Uint16Array(MAX_BURST);
  readonly csumOffset = new Uint16Array(MAX_BURST);
  /** What {@link touch} has loaded. It is stored only so that V8 does not leave the loads out. */
  touched = 0;

  constructor(memory: MemoryViews) {
    this.memory = memory;
  }

  clear(): void {
    this.count = 0;
    this.segments = 0;
    this.offloaded = 0;
  }

  /** Appends a packet of one segment. The caller has checked that there is room ({@link MAX_BURST}). */
  push(offset: number, length: number): void {
    const s = this.segments;
    const i = this.count;
    this.segmentOffset[s] = offset;
    this.segmentLength[s] = length;
    this.length[i] = length;
    this.firstSegment[i] = s;
    this.firstSegment[i + 1] = s + 1;
    this.segments = s + 1;
    this.count = i + 1;
  }

  /**
   * Loads the first cache lines of all segments. The sender has just written them on another CPU. In this short loop, the
   * processor waits for many of them at once; in the code that handles one frame after the other, only for a few.
   */
  touch(): void {
    const { segments, segmentOffset, segmentLength } = this;
    const { u8 } = this.memory;
    let bits = 0;
    for (let s = 0; s < segments; s++) {
      const at = segmentOffset[s];
      const length = segmentLength[s];
      // `>>> 0` says that 32 bits are enough. Otherwise V8 adds floating-point numbers.
      const last = (at + (length < TOUCHED ? length : TOUCHED) - 1) >>> 0;
      bits |= u8[at] | u8[last];
    }
    this.touched = bits;
  }

  /** Takes the packet back that was appended last. */
  retract(): void {
    const i = this.count - 1;
    this.segments = this.firstSegment[i];
    this.count = i;
  }

  /** Bytes of the longest frame that packet i, with these flags, stands for: an MTU is for that. */
  segmentBytes(i: number, flags: number): number {
    if ((flags & GSO) === 0) return this.length[i];
    const start = this.csumStart[i];
    // Read from the sender's memory: with a wrong length it only gets its own packet dropped, or refused by the receiver.
    const headers = start + (this.byteAt(i, start + TCP_DATA_OFFSET) >>> 4) * 4;
    return headers + this.gsoSize[i];
  }

  /**
   * Copies packet i, in one piece, to offset `at` of another memory, or of the same. The caller has checked that there is
   * room. Returns its bytes.
   */
  copyTo(i: number, memory: MemoryViews, at: number): number {
    let to = at;
    for (let s = this.firstSegment[i]; s < this.firstSegment[i + 1]; s++) {
      copyBetween(memory, to, this.memory, this.segmentOffset[s], this.segmentLength[s]);
      to += this.segmentLength[s];
    }
    return to - at;
  }

  /** Copies the first bytes of packet i, as many as it has and `to` has room for. Returns how many. */
  gather(i: number, to: Uint8Array): number {
    const { u8 } = this.memory;
    const bytes = this.length[i] < to.length ? this.length[i] : to.length;
    let have = 0;
    for (let s = this.firstSegment[i]; have < bytes; s++) {
      const from = this.segmentOffset[s];
      const length = this.segmentLength[s];
      for (let b = 0; b < length && have < bytes; b++) to[have++] = u8[from + b];
    }
    return bytes;
  }

  /** Byte `at` of packet i, wherever it lies. The caller has checked that the packet is longer. */
  byteAt(i: number, at: number): number {
    let s = this.firstSegment[i];
    let left = at;
    while (left >= this.segmentLength[s]) left -= this.segmentLength[s++];
    return this.memory.u8[this.segmentOffset[s] + left];
  }
}
