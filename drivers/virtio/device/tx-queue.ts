/**
 * The device's side of a transmit queue: frames leave the driver by reference, in bursts, and are given back when they
 * have been copied to their destination (virtio 1.2, 5.1.6.2).
 */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { MAX_GSO_FRAME_BYTES, OFFLOAD_CSUM } from '../../offloads.js';
import { NET_HEADER_BYTES } from '../net-header.js';
import { makeDeviceRing } from './make-ring.js';
import { OffloadReader } from './offload-reader.js';
import { MAX_BURST, type PacketBurst } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import type { DeviceRing, GuestMemory, RingOptions, RingPlace } from './ring.js';

/** The longest frame that is taken, in bytes. */
export const MAX_FRAME_BYTES = MAX_GSO_FRAME_BYTES;

export class DeviceTxQueue {
  readonly ring: DeviceRing;
  /** The chains taken since the last complete(): ids, and places in the ring. */
  private readonly ids: Uint16Array;
  private readonly spans: Uint16Array;
  private taken = 0;
  private readonly headerBytes: number;
  /** Reads the headers; null: the driver leaves nothing to others, and its headers are ignored. */
  private readonly reader: OffloadReader | null;
  /** A header that lies in several segments. */
  private readonly gathered = new Uint8Array(NET_HEADER_BYTES);

  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    this.ring = makeDeviceRing(guest, place, options);
    this.ids = new Uint16Array(options.size);
    this.spans = new Uint16Array(options.size);
    this.headerBytes = options.headerBytes;
    const offloads = options.offloads ?? 0;
    this.reader = (offloads & OFFLOAD_CSUM) !== 0 ? new OffloadReader(offloads) : null;
  }

  /**
   * Refills `burst` with up to `max` frames (at most {@link MAX_BURST}) where they lie in the driver's memory; returns
   * how many. They stay valid until {@link complete}, which must be called before the event loop runs again. Malformed
   * chains are counted and given back without a frame.
   */
  take(burst: PacketBurst, max: number): number {
    const ring = this.ring;
    burst.clear();
    burst.memory = ring.memory;
    let count = max > MAX_BURST ? MAX_BURST : max;
    const room = ring.size - this.taken;
    if (count > room) count = room;
    if (!ring.look()) return 0;
    for (; count > 0 && ring.hasChain(); count--) {
      this.takeChain(burst);
      if (!ring.live) break;
      ring.advance();
      if (ring.chainSpan === 0) continue;
      this.ids[this.taken] = ring.chainId;
      this.spans[this.taken] = ring.chainSpan;
      this.taken++;
    }
    ring.commit();
    if (burst.count === 0) {
      this.complete();
      return 0;
    }
    burst.touch();
    this.countFrames(burst);
    return burst.count;
  }

  /** Gives all taken chains back to the driver, in order, with one index update and at most one signal. */
  complete(): void {
    const ring = this.ring;
    const count = this.taken;
    this.taken = 0;
    if (count === 0 || !ring.live) return;
    for (let i = 0; i < count; i++) ring.use(this.ids[i], this.spans[i], 0);
    ring.publish();
  }

  /** As {@link DeviceRing.enableKick}. True when it is safe to sleep until the driver kicks. */
  enableKick(): boolean {
    return this.ring.enableKick();
  }

  disableKick(): void {
    this.ring.disableKick();
  }

  private takeChain(burst: PacketBurst): void {
    const ring = this.ring;
    const header = this.headerBytes;
    const offset = ring.single(0);
    if (offset >= 0) {
      const length = ring.segmentLength[0] - header;
      if (!this.isFrame(length)) return;
      burst.push(offset + header, length);
      if (this.reader !== null) this.readHeader(this.reader, ring.memory.u8, offset, burst);
      return;
    }
    ring.beginFrame();
    const bytes = ring.walk(0, header + MAX_FRAME_BYTES + 1);
    if (bytes < 0) {
      ring.counts[-bytes]++;
      return;
    }
    if (!this.isFrame(bytes - header)) return;
    this.pushChain(burst, bytes - header);
    if (this.reader === null) return;
    if (ring.segmentLength[0] >= header) this.readHeader(this.reader, ring.memory.u8, ring.segmentOffset[0], burst);
    else this.readHeader(this.reader, this.gatherHeader(), 0, burst);
  }

  /** Reads the header of the packet that was appended last, and takes the packet back if the header is impossible. */
  private readHeader(reader: OffloadReader, u8: Uint8Array, at: number, burst: PacketBurst): void {
    if (reader.read(u8, at, burst)) return;
    burst.retract();
    this.ring.counts[QueueCounter.badOffload]++;
  }

  private gatherHeader(): Uint8Array {
    const { memory, segmentOffset, segmentLength } = this.ring;
    const { gathered, headerBytes } = this;
    for (let s = 0, done = 0; done < headerBytes; s++) {
      for (let i = 0; i < segmentLength[s] && done < headerBytes; i++) {
        gathered[done++] = memory.u8[segmentOffset[s] + i];
      }
    }
    return gathered;
  }

  private isFrame(length: number): boolean {
    if (length >= ETHERNET_HEADER_BYTES && length <= MAX_FRAME_BYTES) return true;
    this.ring.counts[length > MAX_FRAME_BYTES ? QueueCounter.tooLong : QueueCounter.tooShort]++;
    return false;
  }

  /**
   * Appends the collected segments without the header, which may end anywhere in them (2.7.4.1: no framing is assumed).
   */
  private pushChain(burst: PacketBurst, frameBytes: number): void {
    const ring = this.ring;
    const first = burst.segments;
    let next = first;
    let skip = this.headerBytes;
    for (let s = 0; s < ring.segments; s++) {
      const length = ring.segmentLength[s];
      if (length <= skip) {
        skip -= length;
        continue;
      }
      burst.segmentOffset[next] = ring.segmentOffset[s] + skip;
      burst.segmentLength[next] = length - skip;
      skip = 0;
      next++;
    }
    const i = burst.count;
    burst.length[i] = frameBytes;
    burst.firstSegment[i] = first;
    burst.firstSegment[i + 1] = next;
    burst.segments = next;
    burst.count = i + 1;
  }

  private countFrames(burst: PacketBurst): void {
    let bytes = 0;
    for (let i = 0; i < burst.count; i++) bytes += burst.length[i];
    this.ring.counts[QueueCounter.packets] += burst.count;
    this.ring.counts[QueueCounter.bytes] += bytes;
  }
}
