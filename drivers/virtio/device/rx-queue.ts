/**
 * The device's side of a receive queue: it copies frames, once, into the buffers that the driver has posted (virtio
 * 1.2, 5.1.6.3 and 5.1.6.4).
 */
import { copyBetween } from '../../memory/index.js';
import { VIRTQ_DESC_F_WRITE } from '../layout/split.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../net-header.js';
import { makeDeviceRing } from './make-ring.js';
import { MAX_BURST, type PacketBurst } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import { type DeviceRing, type GuestMemory, MAX_CHAIN_SEGMENTS, type RingOptions, type RingPlace } from './ring.js';

/** Value of {@link DeviceRxQueue.longestFrame} when no MTU was negotiated. */
export const ANY_LENGTH = 0x3fff_ffff;

export class DeviceRxQueue {
  readonly ring: DeviceRing;
  /** The longest frame that the driver is given, in bytes: follows from its MTU (5.1.4.1). */
  longestFrame = ANY_LENGTH;
  private readonly headerBytes: number;
  private readonly mergeable: boolean;
  /** The chains that are being filled with one frame: ids, places in the ring, written bytes. */
  private readonly chainId = new Uint16Array(MAX_CHAIN_SEGMENTS);
  private readonly chainSpan = new Uint16Array(MAX_CHAIN_SEGMENTS);
  private readonly chainBytes = new Uint32Array(MAX_CHAIN_SEGMENTS);
  private chains = 0;
  /** Number of chains that this put gave back empty because something was wrong with them. */
  private malformed = 0;
  /** Where the next byte goes: a collected segment, and an offset in it. */
  private segment = 0;
  private segmentDone = 0;

  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    this.ring = makeDeviceRing(guest, place, options);
    this.headerBytes = options.headerBytes;
    this.mergeable = options.mergeable;
  }

  /**
   * Copies the packets `indices[0]` to `indices[count - 1]` of `burst` into posted buffers, with one index update and
   * at most one signal. Returns how many the driver got. The others are dropped, and {@link QueueCounter} says why.
   */
  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    const ring = this.ring;
    const counts = ring.counts;
    ring.look();
    if (!ring.live) {
      counts[QueueCounter.noDriver] += count;
      return 0;
    }
    this.malformed = 0;
    let delivered = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if (!ring.hasChain()) {
        counts[QueueCounter.noBuffer] += count - i;
        break;
      }
      if (!this.putPacket(burst, packet)) continue;
      delivered++;
      bytes += burst.length[packet];
    }
    counts[QueueCounter.packets] += delivered;
    counts[QueueCounter.bytes] += bytes;
    if (ring.live) ring.publish();
    return delivered;
  }

  /** As {@link DeviceRing.enableKick}. Here a kick means that the driver has posted buffers. */
  enableKick(): boolean {
    return this.ring.enableKick();
  }

  disableKick(): void {
    this.ring.disableKick();
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
    if (
      offset >= 0 &&
      ring.segmentLength[0] >= needed &&
      burst.firstSegment[packet + 1] - burst.firstSegment[packet] === 1
    ) {
      this.writeHeader(offset, 1);
      const source = burst.segmentOffset[burst.firstSegment[packet]];
      this.copyIn(offset + this.headerBytes, burst, source, frameBytes);
      ring.use(ring.chainId, 1, needed);
      ring.advance();
      ring.commit();
      return true;
    }
    if (!this.gather(needed)) {
      ring.rewind();
      return false;
    }
    this.scatterHeader();
    this.scatterFrame(burst, packet);
    for (let i = 0; i < this.chains; i++) ring.use(this.chainId[i], this.chainSpan[i], this.chainBytes[i]);
    ring.commit();
    return true;
  }

  /**
   * Collects posted chains with `needed` bytes in total: one chain or, with MRG_RXBUF, as many as it takes. Malformed
   * chains on the way are counted and given back. Returns false when the frame must be dropped (and counts it); sound
   * chains stay posted.
   */
  private gather(needed: number): boolean {
    const ring = this.ring;
    const counts = ring.counts;
    let bytes = 0;
    this.chains = 0;
    ring.beginFrame();
    while (bytes < needed) {
      if (this.chains === MAX_CHAIN_SEGMENTS || (this.chains === 1 && !this.mergeable)) {
        counts[QueueCounter.noRoom]++;
        return false;
      }
      // Malformed chains are limited per put: while they are cleared away, all other ports wait.
      if (this.malformed === MAX_BURST || !ring.hasChain()) {
        counts[QueueCounter.noBuffer]++;
        return false;
      }
      const bad = this.addChain(needed - bytes);
      if (!ring.live) {
        counts[QueueCounter.noBuffer]++;
        return false;
      }
      if (bad === QueueCounter.badSegments && this.chains > 1) {
        // Each chain is sound, but together they have too many pieces.
        counts[QueueCounter.noRoom]++;
        return false;
      }
      if (bad === 0) {
        bytes += this.chainBytes[this.chains - 1];
      } else {
        counts[bad]++;
        this.giveBack();
        bytes = 0;
      }
    }
    return true;
  }

  /** Adds the next chain to the collected ones. Returns 0, or the counter of what is wrong with it. */
  private addChain(wanted: number): number {
    const ring = this.ring;
    const bytes = ring.walk(VIRTQ_DESC_F_WRITE, wanted);
    ring.advance();
    if (ring.chainSpan === 0) return -bytes;
    const chain = this.chains++;
    this.chainId[chain] = ring.chainId;
    this.chainSpan[chain] = ring.chainSpan;
    this.chainBytes[chain] = 0;
    if (bytes < 0) return -bytes;
    if (chain === 0 && bytes < this.headerBytes) return QueueCounter.smallBuffer;
    this.chainBytes[chain] = Math.min(bytes, wanted);
    return 0;
  }

  /**
   * Returns the collected chains empty because the last one is bad. Chains are used in order, so the ones before go
   * too.
   */
  private giveBack(): void {
    const ring = this.ring;
    this.malformed++;
    for (let i = 0; i < this.chains; i++) ring.use(this.chainId[i], this.chainSpan[i], 0);
    ring.commit();
    this.chains = 0;
    ring.beginFrame();
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

  /** Writes the header into the first collected segments, and finds the place of the frame's first byte. */
  private scatterHeader(): void {
    const ring = this.ring;
    const header = this.headerBytes;
    this.segment = 0;
    this.segmentDone = 0;
    if (ring.segmentLength[0] >= header) {
      this.writeHeader(ring.segmentOffset[0], this.chains);
      this.segmentDone = header;
      return;
    }
    for (let i = 0; i < header; i++) {
      if (this.segmentDone === ring.segmentLength[this.segment]) this.nextSegment();
      // There are at most MAX_CHAIN_SEGMENTS buffers, so the upper byte of num_buffers is 0.
      ring.memory.u8[ring.segmentOffset[this.segment] + this.segmentDone++] =
        i === NET_HEADER_NUM_BUFFERS ? this.chains : 0;
    }
  }

  private scatterFrame(burst: PacketBurst, packet: number): void {
    const ring = this.ring;
    const end = burst.firstSegment[packet + 1];
    for (let s = burst.firstSegment[packet]; s < end; s++) {
      let source = burst.segmentOffset[s];
      let left = burst.segmentLength[s];
      while (left > 0) {
        let room = ring.segmentLength[this.segment] - this.segmentDone;
        if (room === 0) {
          this.nextSegment();
          room = ring.segmentLength[this.segment];
        }
        const bytes = Math.min(left, room);
        this.copyIn(ring.segmentOffset[this.segment] + this.segmentDone, burst, source, bytes);
        this.segmentDone += bytes;
        source += bytes;
        left -= bytes;
      }
    }
  }

  private copyIn(to: number, burst: PacketBurst, from: number, bytes: number): void {
    const ring = this.ring;
    if (burst.memory === ring.memory) ring.copy(to, from, bytes);
    else copyBetween(ring.memory, to, burst.memory, from, bytes);
  }

  private nextSegment(): void {
    this.segment++;
    this.segmentDone = 0;
  }
}
