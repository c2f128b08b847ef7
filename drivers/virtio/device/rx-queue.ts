/**
 * The device's side of a receive queue: it copies frames, once, into the buffers that the driver has posted (virtio
 * 1.2, 5.1.6.3 and 5.1.6.4). A packet that its sender left unfinished (a partial checksum, or one packet for many TCP
 * segments) is copied as it is, with a header that says so, if the driver takes it. Otherwise it is finished first.
 */
import { CHECKSUM_PARTIAL, GSO, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../rings/packet-table.js';
import { copyBetween } from '../../memory/index.js';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../offloads.js';
import { VIRTQ_DESC_F_WRITE } from '../layout/split.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../net-header.js';
import { makeDeviceRing } from './make-ring.js';
import { writeOffloads } from './offload-header.js';
import type { PacketBurst } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import type { DeviceRing, GuestMemory, RingOptions, RingPlace } from './ring.js';
import { copyIn, RxBuffers } from './rx-buffers.js';
import { SoftwareOffload } from './software-offload.js';

/** Value of {@link DeviceRxQueue.longestFrame} when no MTU was negotiated. */
export const ANY_LENGTH = 0x3fff_ffff;

/** All bits of {@link DeviceRxQueue.refused}. A burst has at most 32 packets. */
const ALL = -1;

export class DeviceRxQueue {
  readonly ring: DeviceRing;
  /** The longest frame that the driver is given, in bytes: follows from its MTU (5.1.4.1). */
  longestFrame = ANY_LENGTH;
  /** OFFLOAD_ bits: which packets the driver takes unfinished. */
  readonly offloads: number;
  /** Bit i: packet i of the last {@link put} was dropped. Valid when that returned less than its count. */
  refused = 0;
  private readonly headerBytes: number;
  private readonly buffers: RxBuffers;
  private readonly software: SoftwareOffload;
  /** The header of a packet with flags, or of one that is written over several segments. */
  private readonly header = new Uint8Array(NET_HEADER_BYTES);
  /** The frames, and their bytes, that a put with offloads has delivered. */
  private frames = 0;
  private frameBytes = 0;

  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    this.ring = makeDeviceRing(guest, place, options);
    this.headerBytes = options.headerBytes;
    this.buffers = new RxBuffers(this.ring, options.headerBytes, options.mergeable);
    this.offloads = options.offloads ?? 0;
    this.software = options.software ?? new SoftwareOffload();
  }

  /**
   * Copies the packets `indices[0]` to `indices[count - 1]` of `burst` into posted buffers, with one index update and
   * at most one signal. Returns how many the driver got, each as a whole. The others are dropped, and {@link QueueCounter}
   * says why.
   */
  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    const ring = this.ring;
    const counts = ring.counts;
    this.refused = 0;
    ring.look();
    if (!ring.live) {
      this.refused = ALL;
      counts[QueueCounter.noDriver] += count;
      return 0;
    }
    this.buffers.malformed = 0;
    if (burst.offloaded !== 0) return this.putOffloaded(burst, indices, count);
    let delivered = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if (!ring.hasChain()) {
        counts[QueueCounter.noBuffer] += count - i;
        this.refused |= ALL << i;
        break;
      }
      if (!this.putPacket(burst, packet)) {
        this.refused |= 1 << i;
        continue;
      }
      delivered++;
      bytes += burst.length[packet];
    }
    counts[QueueCounter.packets] += delivered;
    counts[QueueCounter.bytes] += bytes;
    if (ring.live) ring.publish();
    return delivered;
  }

  /** How many buffers the driver has posted, up to `most`. A {@link put} loses no frame that has a buffer to itself. */
  posted(most: number): number {
    return this.ring.waiting(most);
  }

  /** Bytes of the longest frame that fits the next posted buffer; 0 when there is none, or when it is not in one piece. */
  nextRoom(): number {
    const { ring } = this;
    if (!ring.look() || ring.single(VIRTQ_DESC_F_WRITE) < 0) return 0;
    return Math.max(ring.segmentLength[0] - this.headerBytes, 0);
  }

  /** As {@link DeviceRing.enableKick}. Here a kick means that the driver has posted buffers. */
  enableKick(): boolean {
    return this.ring.enableKick();
  }

  disableKick(): void {
    this.ring.disableKick();
  }

  /** As {@link put}, for a burst with flags. Frames that were cut from one packet are counted one by one. */
  private putOffloaded(burst: PacketBurst, indices: Uint8Array, count: number): number {
    const { ring } = this;
    const { counts } = ring;
    this.frames = 0;
    this.frameBytes = 0;
    let delivered = 0;
    for (let i = 0; i < count; i++) {
      if (!ring.hasChain()) {
        counts[QueueCounter.noBuffer] += count - i;
        this.refused |= ALL << i;
        break;
      }
      const packet = indices[i];
      const flags = burst.flags[packet];
      if (flags === 0 ? this.putFrame(burst, packet, 0) : this.putUnfinished(burst, packet, flags)) delivered++;
      else this.refused |= 1 << i;
    }
    counts[QueueCounter.packets] += this.frames;
    counts[QueueCounter.bytes] += this.frameBytes;
    if (ring.live) ring.publish();
    return delivered;
  }

  private putUnfinished(burst: PacketBurst, packet: number, flags: number): boolean {
    const { counts } = this.ring;
    const { software } = this;
    const takesChecksum = (this.offloads & OFFLOAD_CSUM) !== 0;
    if ((flags & CHECKSUM_PARTIAL) === 0) return this.putFrame(burst, packet, takesChecksum ? flags : 0);
    if ((neededFor(flags) & ~this.offloads) === 0) return this.putFrame(burst, packet, flags);
    if ((flags & GSO) === 0) {
      software.sum(burst, packet);
      counts[QueueCounter.softwareChecksums]++;
      return this.putFrame(software.burst, 0, 0);
    }
    if (!software.begin(burst, packet, takesChecksum)) {
      counts[QueueCounter.badOffload]++;
      return false;
    }
    while (software.next()) {
      if (!this.ring.hasChain()) {
        counts[QueueCounter.noBuffer]++;
        return false;
      }
      if (!this.putFrame(software.burst, 0, takesChecksum ? CHECKSUM_PARTIAL : 0)) return false;
      counts[QueueCounter.softwareSegments]++;
    }
    return true;
  }

  /** Puts one frame, with a header for these flags, and counts it. */
  private putFrame(burst: PacketBurst, packet: number, flags: number): boolean {
    if (!(flags === 0 ? this.putPacket(burst, packet) : this.putWithHeader(burst, packet, flags))) return false;
    this.frames++;
    this.frameBytes += burst.length[packet];
    return true;
  }

  private putPacket(burst: PacketBurst, packet: number): boolean {
    const ring = this.ring;
    const frameBytes = burst.length[packet];
    if (frameBytes > this.longestFrame) {
      ring.counts[QueueCounter.tooLong]++;
      return false;
    }
    const needed = this.headerBytes + frameBytes;
    const offset = ring.single(VIRTQ_DESC_F_WRITE);
    if (offset >= 0 && ring.segmentLength[0] >= needed) {
      this.writeHeader(offset, 1);
      // What fill() does, written out, so that V8 inlines the copy (docs/v8.md, "Inlining budget").
      const first = burst.firstSegment[packet];
      const end = burst.firstSegment[packet + 1];
      let at = offset + this.headerBytes;
      for (let s = first; s < end; s++) {
        const bytes = burst.segmentLength[s];
        if (burst.memory === ring.memory) ring.copy(at, burst.segmentOffset[s], bytes);
        else copyBetween(ring.memory, at, burst.memory, burst.segmentOffset[s], bytes);
        at += bytes;
      }
      ring.use(ring.chainId, 1, needed);
      ring.advance();
      ring.commit();
      return true;
    }
    if (!this.buffers.gather(needed)) {
      ring.rewind();
      return false;
    }
    const at = this.buffers.takeHeader();
    if (at >= 0) this.writeHeader(at, this.buffers.chains);
    else this.scatterHeader(burst, packet, 0);
    this.buffers.scatterFrame(burst, packet);
    this.buffers.use();
    return true;
  }

  /** As {@link putPacket}, with a header that says what the driver still has to do (5.1.6.4.1). */
  private putWithHeader(burst: PacketBurst, packet: number, flags: number): boolean {
    const ring = this.ring;
    if (burst.segmentBytes(packet, flags) > this.longestFrame) {
      ring.counts[QueueCounter.tooLong]++;
      return false;
    }
    const needed = this.headerBytes + burst.length[packet];
    const offset = ring.single(VIRTQ_DESC_F_WRITE);
    if (offset >= 0 && ring.segmentLength[0] >= needed) {
      this.writeHeader(offset, 1);
      writeOffloads(ring.memory.u8, offset, burst, packet, flags);
      this.fill(offset, burst, packet, needed);
      return true;
    }
    if (!this.buffers.gather(needed)) {
      ring.rewind();
      return false;
    }
    const at = this.buffers.takeHeader();
    if (at >= 0) {
      this.writeHeader(at, this.buffers.chains);
      writeOffloads(ring.memory.u8, at, burst, packet, flags);
    } else {
      this.scatterHeader(burst, packet, flags);
    }
    this.buffers.scatterFrame(burst, packet);
    this.buffers.use();
    return true;
  }

  /** Copies a frame behind the header at `offset`, and gives the buffer to the driver. */
  private fill(offset: number, burst: PacketBurst, packet: number, needed: number): void {
    const ring = this.ring;
    let at = offset + this.headerBytes;
    for (let s = burst.firstSegment[packet]; s < burst.firstSegment[packet + 1]; s++) {
      copyIn(ring, at, burst, burst.segmentOffset[s], burst.segmentLength[s]);
      at += burst.segmentLength[s];
    }
    ring.use(ring.chainId, 1, needed);
    ring.advance();
    ring.commit();
  }

  private scatterHeader(burst: PacketBurst, packet: number, flags: number): void {
    const { header } = this;
    header.fill(0);
    // There are at most MAX_CHAIN_SEGMENTS buffers, so the upper byte of num_buffers is 0.
    header[NET_HEADER_NUM_BUFFERS] = this.buffers.chains;
    if (flags !== 0) writeOffloads(header, 0, burst, packet, flags);
    this.buffers.scatterHeader(header);
  }

  /** Writes the header of a complete frame: no checksum to do, no segmentation (5.1.6.4.1), `buffers` chains. */
  private writeHeader(offset: number, buffers: number): void {
    const { u8, u16, u32 } = this.ring.memory;
    const full = this.headerBytes === NET_HEADER_BYTES;
    if (full && (offset & 3) === 0) {
      const at = offset >>> 2;
      u32[at] = 0;
      u32[at + 1] = 0;
      u32[at + 2] = buffers << 16;
    } else if (full && (offset & 1) === 0) {
      const at = offset >>> 1;
      u16[at] = 0;
      u32[(at + 1) >>> 1] = 0;
      u32[(at + 3) >>> 1] = 0;
      u16[at + 5] = buffers;
    } else {
      for (let i = 0; i < this.headerBytes; i++) u8[offset + i] = i === NET_HEADER_NUM_BUFFERS ? buffers : 0;
    }
  }
}

/** OFFLOAD_ bits of a driver that takes a packet with these flags as it is. */
function neededFor(flags: number): number {
  return (
    ((flags & CHECKSUM_PARTIAL) !== 0 ? OFFLOAD_CSUM : 0) |
    ((flags & GSO_TCP4) !== 0 ? OFFLOAD_TSO4 : 0) |
    ((flags & GSO_TCP6) !== 0 ? OFFLOAD_TSO6 : 0) |
    ((flags & GSO_ECN) !== 0 ? OFFLOAD_ECN : 0)
  );
}
