/**
 * A burst of packets where they lie: what the device side takes out of a driver's transmit ring (or a tap device) and
 * hands on, by reference, until it is copied once into its destination. All packets of a burst lie in one memory.
 *
 * Arrays, not objects: a burst is made once and refilled, so nothing is allocated a packet.
 */
import type { MemoryViews } from '../../memory/index.js';

/** Packets in a burst, as in BESS and DPDK. */
export const MAX_BURST = 32;
/** Descriptors that one packet may be spread over (the net device's limit in Linux is 17 fragments and a head). */
export const MAX_SEGMENTS_PER_PACKET = 18;

export class PacketBurst {
  /** Where the packets lie. Set by whoever fills the burst. */
  memory: MemoryViews;
  /** Packets in the burst. */
  count = 0;
  /** Segments in the burst. */
  segments = 0;
  /** Bytes of packet i: the Ethernet frame without virtio-net header. */
  readonly length = new Uint32Array(MAX_BURST);
  /** Packet i has the segments firstSegment[i] to firstSegment[i + 1] - 1. */
  readonly firstSegment = new Uint16Array(MAX_BURST + 1);
  /** Offset in the memory, in bytes, of segment s. */
  readonly segmentOffset = new Uint32Array(MAX_BURST * MAX_SEGMENTS_PER_PACKET);
  /** Bytes of segment s; never 0. */
  readonly segmentLength = new Uint32Array(MAX_BURST * MAX_SEGMENTS_PER_PACKET);

  constructor(memory: MemoryViews) {
    this.memory = memory;
  }

  clear(): void {
    this.count = 0;
    this.segments = 0;
  }

  /** Appends a packet that lies in one piece. The caller has checked that there is room ({@link MAX_BURST}). */
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
}
