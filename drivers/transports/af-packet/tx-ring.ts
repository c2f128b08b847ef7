/**
 * The transmit ring of a raw socket: packets are copied into its frames, and one send(2) has the kernel send them all. The
 * kernel looks at the ring only during that call. A frame that it has taken comes back when its network card has sent it.
 */
import { CHECKSUM_PARTIAL, GSO } from '../../../rings/packet-table.js';
import { type Copy, copierFor, copyBetween, type MemoryViews, signedWords } from '../../memory/index.js';
import { writeOffloads } from '../../virtio/device/offload-header.js';
import type { PacketBurst } from '../../virtio/device/packet-burst.js';
import { LEGACY_NET_HEADER_BYTES, NET_HEADER_HDR_LEN } from '../../virtio/net-header.js';
import {
  FRAME_LENGTH,
  FRAME_PLACE,
  type RingPlace,
  STATUS_SEND_REQUEST,
  STATUS_SENDING,
  STATUS_WRONG_FORMAT,
  TX_PACKET_OFFSET,
} from './layout.js';

/**
 * A packet of up to this many bytes is copied by the kernel. Of a longer one, its network card, or the copy for the other end
 * of a veth, gets the pages of the ring.
 */
const COPIED_BYTES = 2048;
const TAKEN = STATUS_SEND_REQUEST | STATUS_SENDING | STATUS_WRONG_FORMAT;

/** {@link TxRing.stoppedAt} when the kernel took all packets. */
export const NOWHERE = 256;

export class TxRing {
  /** Packets, and their bytes, that the kernel has taken. */
  packets = 0;
  bytes = 0;
  /** Frames that wait for {@link submit}. */
  pending = 0;
  /** After {@link submit}: the label of the first packet that the kernel did not take; {@link NOWHERE}: it took all. */
  stoppedAt = NOWHERE;
  /** After {@link submit}: what send(2) said; 0: the kernel took some packets, or all. */
  errno = 0;

  private readonly memory: MemoryViews;
  private readonly words: Int32Array;
  private readonly offsets: Int32Array;
  private readonly copyInside: Copy;
  /** Of each frame: what was put with its packet, and the length of the packet. */
  private readonly labels: Uint8Array;
  private readonly lengths: Uint32Array;
  /** The frame that the next packet goes to. */
  private next = 0;

  /** @param send has the kernel send what is in the ring; returns 0, or the errno */
  constructor(
    { memory, base, size }: RingPlace,
    private readonly send: () => number,
  ) {
    this.memory = memory;
    this.words = signedWords(memory);
    this.offsets = size.offsets(base);
    this.copyInside = copierFor(memory);
    this.labels = new Uint8Array(size.frames);
    this.lengths = new Uint32Array(size.frames);
  }

  /**
   * Copies a packet into the next frame. Returns false when the ring is full.
   * @param flags of the packet, as far as the kernel is to do what they leave to it
   * @param label comes back as {@link stoppedAt}
   */
  put(burst: PacketBurst, packet: number, flags: number, label: number): boolean {
    const { next, words } = this;
    const { u8, u16 } = this.memory;
    const frame = this.offsets[next];
    if ((Atomics.load(words, frame >>> 2) & TAKEN) !== 0) return false;
    const length = burst.length[packet];
    const at = this.copy(burst, packet, frame + TX_PACKET_OFFSET);
    const header = at - LEGACY_NET_HEADER_BYTES;
    for (let i = header; i < at; i++) u8[i] = 0;
    if ((flags & CHECKSUM_PARTIAL) !== 0) writeOffloads(u8, header, burst, packet, flags);
    if ((flags & GSO) === 0 && length <= COPIED_BYTES) {
      // The kernel copies as many bytes as it takes for headers.
      u8[header + NET_HEADER_HDR_LEN] = length;
      u8[header + NET_HEADER_HDR_LEN + 1] = length >>> 8;
    }
    words[(frame + FRAME_LENGTH) >>> 2] = LEGACY_NET_HEADER_BYTES + length;
    u16[(frame + FRAME_PLACE) >>> 1] = header - frame;
    Atomics.store(words, frame >>> 2, STATUS_SEND_REQUEST);
    this.labels[next] = label;
    this.lengths[next] = length;
    this.next = next + 1 === this.offsets.length ? 0 : next + 1;
    this.pending++;
    return true;
  }

  /**
   * Has the kernel send the pending packets. Nothing is pending afterwards: the kernel takes the frames in order, and those
   * that it does not take are free again. Returns true when it refused the packet {@link stoppedAt} for what it is.
   */
  submit(): boolean {
    const { words, offsets } = this;
    let left = this.pending;
    this.pending = 0;
    this.stoppedAt = NOWHERE;
    if (left === 0) return false;
    this.errno = this.send();
    let at = this.next - left;
    if (at < 0) at += offsets.length;
    let status = 0;
    for (; left > 0; left--) {
      status = Atomics.load(words, offsets[at] >>> 2) & (STATUS_SEND_REQUEST | STATUS_WRONG_FORMAT);
      if (status !== 0) break;
      this.packets++;
      this.bytes += this.lengths[at];
      at = at + 1 === offsets.length ? 0 : at + 1;
    }
    if (left === 0) return false;
    this.stoppedAt = this.labels[at];
    this.next = at;
    for (; left > 0; left--) {
      Atomics.store(words, offsets[at] >>> 2, 0);
      at = at + 1 === offsets.length ? 0 : at + 1;
    }
    return (status & STATUS_WRONG_FORMAT) !== 0;
  }

  /**
   * Copies the bytes of a packet to one of the first 8 bytes from `room` on, so that its last segment, which is the longest
   * one of most packets, keeps its place modulo 8. Returns where the packet begins.
   */
  private copy(burst: PacketBurst, packet: number, room: number): number {
    const { memory } = this;
    const first = burst.firstSegment[packet];
    const end = burst.firstSegment[packet + 1];
    const before = burst.length[packet] - burst.segmentLength[end - 1];
    const begin = room + ((burst.segmentOffset[end - 1] - before) & 7);
    const isSame = burst.memory === memory;
    let at = begin;
    for (let s = first; s < end; s++) {
      const bytes = burst.segmentLength[s];
      if (isSame) this.copyInside(at, burst.segmentOffset[s], bytes);
      else copyBetween(memory, at, burst.memory, burst.segmentOffset[s], bytes);
      at += bytes;
    }
    return begin;
  }
}
