/**
 * Sends the packets for which a stack has asked for something, or that lie in several buffers. What the device does
 * goes into the packet table; everything else is done here.
 */
import { type Copy, copierFor } from '../../../drivers/memory/copy.js';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../drivers/offloads.js';
import { CHAIN, CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO, GSO_ECN, GSO_TCP4 } from '../../../rings/packet-table.js';
import { L2 } from '../../counters.js';
import { ipv4Version } from '../../wire/ipv4.js';
import { TCP_CHECKSUM } from '../../wire/tcp.js';
import type { BufferReturn } from '../lower-layer.js';
import type { Ownable, PacketBuffer } from '../packet-buffer.js';
import type { Chains } from './chains.js';
import { headerBytes, ipHeaderAt, NOT_IP } from './segment-headers.js';
import { completeChecksum } from './soft-checksum.js';
import { type SegmentOutlet, SoftSegmenter } from './soft-segmenter.js';

/** Longest IP packet, in bytes (RFC 791, 3.1): its length has 16 bits. */
const MAX_IP_BYTES = 0xffff;
const CHECKSUM_BYTES = 2;

/** The core whose packets are sent. */
export interface SendingCore extends SegmentOutlet {
  readonly isIp: boolean;
  /** What the device does: OFFLOAD_ bits. */
  readonly offloads: number;
  /** Shortest and longest packet (with layer `ethernet` frame), in bytes. */
  readonly minLength: number;
  readonly maxLength: number;
  /** Counts a packet that is about to be dropped. */
  countDrop(packet: PacketBuffer, reason: number): void;
}

export class OffloadSender {
  private readonly segmenter: SoftSegmenter;
  private readonly copy: Copy;

  constructor(
    private readonly core: SendingCore,
    private readonly chains: Chains,
    private readonly pool: BufferReturn,
  ) {
    this.segmenter = new SoftSegmenter(core);
    this.copy = copierFor(core.memory);
  }

  /**
   * Sends a packet whose flags are not 0.
   * @returns false when the ring is full: the packet is still the stack's. What it asked for may have been done already
   */
  send(packet: PacketBuffer): boolean {
    const { core } = this;
    const self = packet as Ownable;
    self.flags &= ~CHECKSUM_VERIFIED;
    const total = this.totalOf(packet);
    if (total === 0) return this.drop(packet, L2.tx_drop_length);
    if (core.isIp && ipv4Version(core.memory.u8, packet.offset) !== 4) return this.drop(packet, L2.tx_drop_version);
    if ((self.flags & CHECKSUM_PARTIAL) !== 0 && !hasChecksumField(packet))
      return this.drop(packet, L2.tx_drop_request);
    if ((self.flags & GSO) !== 0) {
      const reason = this.cut(packet, total);
      if (reason === SENT) return true;
      if (reason === RING_FULL) return false;
      if (reason !== UNCUT) return this.drop(packet, reason);
    } else if (total > core.maxLength) return this.drop(packet, L2.tx_drop_length);
    return this.sendWhole(packet, total);
  }

  /** Sends a packet that is not cut here, with what the device is to do for it. */
  private sendWhole(packet: PacketBuffer, total: number): boolean {
    const { core, chains } = this;
    const { offloads } = core;
    const self = packet as Ownable;
    if ((self.flags & CHECKSUM_PARTIAL) !== 0 && (offloads & OFFLOAD_CSUM) === 0) {
      completeChecksum(core.memory, packet);
      self.flags &= ~CHECKSUM_PARTIAL;
    }
    // A packet that is not cut by the device is no longer than the MTU, for which every buffer has room.
    if ((self.flags & CHAIN) !== 0 && (offloads & OFFLOAD_CHAIN) === 0) chains.gather(packet, this.pool, this.copy);
    const { handle, offset, length } = packet;
    if (self.flags !== 0) chains.describe(packet, total);
    if (core.emit(handle, offset, length)) {
      chains.forget(packet);
      return true;
    }
    chains.withdraw(packet);
    return false;
  }

  /**
   * Cuts a packet into segments if the device does not.
   * @returns UNCUT when the device is to do it, or there is but one segment; SENT; RING_FULL; or the counter of the
   * fault for which the packet is to be dropped
   */
  private cut(packet: PacketBuffer, total: number): number {
    const { core } = this;
    const { u8 } = core.memory;
    const self = packet as Ownable;
    const { offset, length, segmentSize, checksumStart, checksumOffset } = packet;
    const ip = core.isIp ? 0 : ipHeaderAt(u8, offset, length);
    if (ip === NOT_IP || total - ip > MAX_IP_BYTES || !(segmentSize >= 1)) return L2.tx_drop_request;
    if ((self.flags & CHECKSUM_PARTIAL) === 0 || checksumOffset !== TCP_CHECKSUM) return L2.tx_drop_request;
    const headers = headerBytes(u8, offset, length, total, ip, checksumStart, self.flags);
    if (headers === 0) return L2.tx_drop_request;
    if (headers + Math.min(segmentSize, total - headers) > core.maxLength) return L2.tx_drop_length;
    if (total - headers <= segmentSize) {
      self.flags &= ~(GSO | GSO_ECN);
      return UNCUT;
    }
    if (cutsItself(core.offloads, self.flags)) return UNCUT;
    if (!this.segmenter.send(packet, ip, headers, total)) return RING_FULL;
    this.chains.free(packet, this.pool);
    return SENT;
  }

  /** Bytes of the packet; 0 when a part is empty or longer than its buffer, or the first one too short for a header. */
  private totalOf(packet: PacketBuffer): number {
    // Written in this way so that NaN fails, too.
    if (!(packet.length >= this.core.minLength)) return 0;
    let total = 0;
    for (let part: PacketBuffer | null = packet; part !== null; part = part.next) {
      if (!(part.length >= 1 && part.length <= part.capacity)) return 0;
      total += part.length;
    }
    return total;
  }

  private drop(packet: PacketBuffer, reason: number): true {
    this.core.countDrop(packet, reason);
    this.chains.free(packet, this.pool);
    return true;
  }
}

// Results of `cut` that are no counters.
const UNCUT = -1;
const SENT = -2;
const RING_FULL = -3;

/** Whether the field lies in the first buffer. */
function hasChecksumField({ checksumStart, checksumOffset, length }: PacketBuffer): boolean {
  return checksumStart >= 0 && checksumOffset >= 0 && checksumStart + checksumOffset + CHECKSUM_BYTES <= length;
}

/** Whether the device segments packets with these flags. */
function cutsItself(offloads: number, flags: number): boolean {
  let needed = OFFLOAD_CSUM | ((flags & GSO_TCP4) !== 0 ? OFFLOAD_TSO4 : OFFLOAD_TSO6);
  if ((flags & GSO_ECN) !== 0) needed |= OFFLOAD_ECN;
  if ((flags & CHAIN) !== 0) needed |= OFFLOAD_CHAIN;
  return (offloads & needed) === needed;
}
