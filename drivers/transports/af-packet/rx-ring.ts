/**
 * The receive ring of a raw socket: frames come out of it by reference, without a system call, and go back to the kernel
 * when they have been copied to their destination.
 */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { CHECKSUM_PARTIAL } from '../../../rings/packet-table.js';
import { type MemoryViews, signedWords } from '../../memory/index.js';
import { PORT_OFFLOADS } from '../../offloads.js';
import { OffloadReader } from '../../virtio/device/offload-reader.js';
import { MAX_BURST, type PacketBurst } from '../../virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../../virtio/device/tx-queue.js';
import { TYPE_VLAN, VLAN_BYTES } from '../../virtio/header-fields.js';
import { LEGACY_NET_HEADER_BYTES, NET_HEADER_GSO_TYPE, VIRTIO_NET_HDR_GSO_UDP_L4 } from '../../virtio/net-header.js';
import {
  FRAME_LENGTH,
  FRAME_PLACE,
  FRAME_SNAPLEN,
  FRAME_VLAN_TCI,
  FRAME_VLAN_TPID,
  type RingPlace,
  STATUS_USER,
  STATUS_VLAN_TPID_VALID,
  STATUS_VLAN_VALID,
} from './layout.js';

/** Bytes of the two MAC addresses, behind which a VLAN tag is. */
const ADDRESS_BYTES = 12;

export class RxRing {
  packets = 0;
  bytes = 0;
  tooShort = 0;
  /** Longer than a frame of the ring, or than any packet that is handled. */
  tooLong = 0;
  badOffload = 0;
  /** Packets that stand for many UDP datagrams (UDP_SEGMENT), which nobody here can cut. */
  badUdpGso = 0;

  private readonly memory: MemoryViews;
  private readonly words: Int32Array;
  private readonly offsets: Int32Array;
  private readonly reader = new OffloadReader(PORT_OFFLOADS, true, true);
  /** The frame that the kernel fills next, and how many before it are not given back yet: fewer than the ring has. */
  private next = 0;
  private taken = 0;

  constructor({ memory, base, size }: RingPlace) {
    this.memory = memory;
    this.words = signedWords(memory);
    this.offsets = size.offsets(base);
  }

  /** Whether a frame is waiting. */
  get isReady(): boolean {
    return (Atomics.load(this.words, this.offsets[this.next] >>> 2) & STATUS_USER) !== 0;
  }

  /** As {@link PacketEndpoint.take}. */
  take(burst: PacketBurst, max: number): number {
    const { words, offsets } = this;
    burst.clear();
    burst.memory = this.memory;
    const limit = max > MAX_BURST ? MAX_BURST : max;
    let { next, taken } = this;
    // Frames are limited, not packets: a flood of frames that are dropped must not keep the worker here.
    for (; taken < limit; taken++) {
      const at = offsets[next];
      const status = Atomics.load(words, at >>> 2);
      if ((status & STATUS_USER) === 0) break;
      this.accept(burst, at, status);
      next = next + 1 === offsets.length ? 0 : next + 1;
    }
    this.next = next;
    this.taken = taken;
    if (burst.count !== 0) burst.touch();
    else if (taken !== 0) this.complete();
    return burst.count;
  }

  /** Gives the frames of the last take back to the kernel, in order. */
  complete(): void {
    const { words, offsets } = this;
    let at = this.next - this.taken;
    if (at < 0) at += offsets.length;
    for (let i = this.taken; i > 0; i--) {
      Atomics.store(words, offsets[at] >>> 2, 0);
      at = at + 1 === offsets.length ? 0 : at + 1;
    }
    this.taken = 0;
  }

  private accept(burst: PacketBurst, frame: number, status: number): void {
    const { words } = this;
    const { u8, u16 } = this.memory;
    const length = words[(frame + FRAME_LENGTH) >>> 2];
    const offset = frame + u16[(frame + FRAME_PLACE) >>> 1];
    const isTagged = (status & STATUS_VLAN_VALID) !== 0;
    if (length < ETHERNET_HEADER_BYTES) {
      this.tooShort++;
      return;
    }
    const longest = isTagged ? MAX_FRAME_BYTES - VLAN_BYTES : MAX_FRAME_BYTES;
    if (words[(frame + FRAME_SNAPLEN) >>> 2] !== length || length > longest) {
      this.tooLong++;
      return;
    }
    burst.push(offset, length);
    const header = offset - LEGACY_NET_HEADER_BYTES;
    if (!this.reader.read(u8, header, burst)) {
      burst.retract();
      if (u8[header + NET_HEADER_GSO_TYPE] === VIRTIO_NET_HDR_GSO_UDP_L4) this.badUdpGso++;
      else this.badOffload++;
      return;
    }
    if (isTagged) this.putTagBack(burst, frame, status);
    this.packets++;
    this.bytes += burst.length[burst.count - 1];
  }

  /**
   * Puts the VLAN tag that the kernel took out of the last packet where it was. The addresses move over the virtio-net
   * header, which was read.
   */
  private putTagBack(burst: PacketBurst, frame: number, status: number): void {
    const { u8, u16 } = this.memory;
    const i = burst.count - 1;
    const s = burst.firstSegment[i];
    const from = burst.segmentOffset[s];
    const to = from - VLAN_BYTES;
    u8.copyWithin(to, from, from + ADDRESS_BYTES);
    const type = (status & STATUS_VLAN_TPID_VALID) !== 0 ? u16[(frame + FRAME_VLAN_TPID) >>> 1] : TYPE_VLAN;
    const tag = u16[(frame + FRAME_VLAN_TCI) >>> 1];
    const at = to + ADDRESS_BYTES;
    u8[at] = type >>> 8;
    u8[at + 1] = type;
    u8[at + 2] = tag >>> 8;
    u8[at + 3] = tag;
    burst.segmentOffset[s] = to;
    burst.segmentLength[s] += VLAN_BYTES;
    burst.length[i] += VLAN_BYTES;
    if ((burst.flags[i] & CHECKSUM_PARTIAL) !== 0) burst.csumStart[i] += VLAN_BYTES;
  }
}
