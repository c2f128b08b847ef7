/**
 * Sending: takes a buffer, lets a protocol write its payload behind the place of the IP header, writes the header and
 * sends the packet. Datagrams that are longer than the path allows go out in fragments (RFC 791, 3.2).
 */
import { copyBetween, type MemoryViews } from '../../../drivers/memory/index.js';
import type { Core } from '../../link/core.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import { writeU16 } from '../../wire/bytes.js';
import {
  IPV4_DEFAULT_TTL,
  IPV4_DONT_FRAGMENT,
  IPV4_DSCP_ECN,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_IDENTIFICATION,
  IPV4_MORE_FRAGMENTS,
  setIpv4Ttl,
  writeIpv4Checksum,
  writeIpv4Header,
} from '../../wire/ipv4.js';
import type { LoopQueue } from '../loop-queue.js';
import type { OwnAddress } from '../own-address.js';
import { IP, type IpCounters } from './counters.js';
import type { Identification } from './identification.js';
import type { PathMtus } from './path-mtu.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = IPV4_HEADER_BYTES;
const TX = IP.ip_tx;
/** The longest datagram: its length has 16 bits. */
const MAX_DATAGRAM = 0xffff;
/** Fragments begin at multiples of so many bytes. */
const UNIT = 8;

export class IpOutput {
  private readonly values: Float64Array;
  /** Buffers of a datagram in fragments: all of them are taken before the first is sent. */
  private readonly fragments: PacketBuffer[] = [];

  constructor(
    private readonly core: Core,
    private readonly own: OwnAddress,
    private readonly mtus: PathMtus,
    private readonly identification: Identification,
    private readonly loop: LoopQueue,
    counters: IpCounters,
    /** Time to live of the packets that are sent from now on. */
    public ttl: number,
  ) {
    this.values = counters.values;
  }

  /**
   * Takes an empty buffer. The caller writes the payload at `buffer.offset + 20` and calls {@link send}, or releases
   * the buffer.
   * @returns null when none is free, which is counted
   */
  begin(): PacketBuffer | null {
    const buffer = this.core.getBufferTx();
    if (buffer === null) this.values[IP.ip_tx_no_buffer]++;
    return buffer;
  }

  /**
   * Writes the IP header in front of the payload and sends the packet. The buffer no longer belongs to the caller.
   * @param buffer of the packet, or its first: then the caller has set the length of each part. What it asks for the
   * device does, or the layer below
   * @param destination signed
   * @param payloadLength bytes behind the header, of all parts
   * @param tos DSCP and ECN
   * @param mayFragment false: the packet gets "don't fragment", and the caller keeps to {@link PathMtus.pathMtu}. True:
   * routers may fragment it, and it leaves in fragments if the path is known to be too narrow
   * @returns false when the ring was full (for our own address: too many packets wait), or buffers for fragments were
   * missing: dropped and counted
   */
  send(
    buffer: PacketBuffer,
    protocol: number,
    destination: number,
    payloadLength: number,
    tos: number,
    mayFragment: boolean,
  ): boolean {
    const length = HEADER_BYTES + payloadLength;
    let id = 0;
    if (mayFragment) {
      if (length > this.mtus.pathMtu(destination)) {
        const from = buffer.offset + HEADER_BYTES;
        const isSent = this.sendFragments(this.core.memory, from, payloadLength, protocol, destination, tos);
        this.core.release(buffer);
        return isSent;
      }
      id = this.identification.next(destination, protocol);
    }
    if (buffer.next === null) buffer.length = length;
    this.writeHeader(buffer.offset, length, protocol, destination, tos, id, mayFragment ? 0 : IPV4_DONT_FRAGMENT);
    return this.push(buffer, destination);
  }

  /**
   * Sends a datagram from other memory than a buffer, in fragments if the path demands it. The bytes are copied.
   * @param from offset of the payload in `memory`
   * @param length of the payload, at most 65,515 bytes
   * @returns false when not all of it could be sent: counted
   */
  sendFrom(
    memory: MemoryViews,
    from: number,
    length: number,
    protocol: number,
    destination: number,
    tos: number,
  ): boolean {
    if (length + HEADER_BYTES > this.mtus.pathMtu(destination)) {
      return this.sendFragments(memory, from, length, protocol, destination, tos);
    }
    const buffer = this.begin();
    if (buffer === null) return false;
    copyBetween(this.core.memory, buffer.offset + HEADER_BYTES, memory, from, length);
    return this.send(buffer, protocol, destination, length, tos, true);
  }

  private sendFragments(
    memory: MemoryViews,
    from: number,
    length: number,
    protocol: number,
    destination: number,
    tos: number,
  ): boolean {
    const { core, fragments, values } = this;
    if (length + HEADER_BYTES > MAX_DATAGRAM) {
      values[IP.ip_drop_tx_length]++;
      return false;
    }
    const most = (this.mtus.pathMtu(destination) - HEADER_BYTES) & -UNIT;
    const count = Math.ceil(length / most);
    // All or none: the receiver would keep what has come until its timer expires.
    if (!this.takeFragments(count)) return false;
    const id = this.identification.next(destination, protocol);
    values[IP.ip_tx_fragmented]++;
    let isSent = true;
    for (let i = 0, at = 0; i < count; i++, at += most) {
      const buffer = fragments[i];
      const bytes = Math.min(most, length - at);
      const more = i < count - 1 ? IPV4_MORE_FRAGMENTS : 0;
      copyBetween(core.memory, buffer.offset + HEADER_BYTES, memory, from + at, bytes);
      buffer.length = HEADER_BYTES + bytes;
      this.writeHeader(buffer.offset, buffer.length, protocol, destination, tos, id, more | (at / UNIT));
      if (this.push(buffer, destination)) values[IP.ip_tx_fragments]++;
      else isSent = false;
    }
    fragments.length = 0;
    return isSent;
  }

  private takeFragments(count: number): boolean {
    const { fragments } = this;
    while (fragments.length < count) {
      const buffer = this.begin();
      if (buffer === null) {
        for (let i = 0; i < fragments.length; i++) this.core.release(fragments[i]);
        fragments.length = 0;
        return false;
      }
      fragments.push(buffer);
    }
    return true;
  }

  /**
   * Writes an IP header.
   * @param ip offset of the packet
   * @param length of the packet
   * @param fragment flags and offset of a fragment
   */
  writeHeader(
    ip: number,
    length: number,
    protocol: number,
    destination: number,
    tos: number,
    id: number,
    fragment: number,
  ): void {
    const { memory } = this.core;
    writeIpv4Header(memory, ip, length, protocol, this.own.address, destination);
    if (this.ttl !== IPV4_DEFAULT_TTL) setIpv4Ttl(memory.u8, ip, this.ttl);
    if (tos === 0 && fragment === IPV4_DONT_FRAGMENT) return;
    const { u8 } = memory;
    u8[ip + IPV4_DSCP_ECN] = tos;
    writeU16(u8, ip + IPV4_IDENTIFICATION, id);
    writeU16(u8, ip + IPV4_FRAGMENT, fragment);
    writeIpv4Checksum(memory, ip);
  }

  /** Sends a packet whose header and length are set. Returns false, and releases the buffer, as {@link send} does. */
  push(buffer: PacketBuffer, destination: number): boolean {
    if (destination === this.own.address) return this.pushToUs(buffer);
    if (this.core.addBufferToRing(buffer)) {
      this.values[TX]++;
      return true;
    }
    this.values[IP.ip_tx_ring_full]++;
    this.core.release(buffer);
    return false;
  }

  /** The packet comes back to this stack at its next poll, or in the poll that is under way. */
  private pushToUs(buffer: PacketBuffer): boolean {
    const { core, values } = this;
    if (!this.loop.push(buffer)) {
      values[IP.ip_loop_full]++;
      core.release(buffer);
      return false;
    }
    values[IP.ip_loop]++;
    if (core.isAsleep) core.wake();
    return true;
  }
}
