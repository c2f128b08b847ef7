/**
 * Receiving: checks the header, skips options, puts fragments together, and hands datagrams to TCP, UDP and ICMP
 * (RFC 791; RFC 1122, 3.2). A time to live of 0 is no reason to drop a packet that has arrived (RFC 1122, 3.2.1.7).
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { CHECKSUM_PARTIAL } from '../../../rings/packet-table.js';
import type { Core } from '../../link/core.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import { ICMP_DESTINATION_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE } from '../../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  isIpv4Fragment,
  isIpv4Intact,
} from '../../wire/ipv4.js';
import { tcpDestinationPort, tcpSourcePort } from '../../wire/tcp.js';
import type { Clock } from '../clock.js';
import type { OwnAddress } from '../own-address.js';
import { IP, type IpCounters } from './counters.js';
import type { Icmp } from './icmp.js';
import type { IcmpErrors } from './icmp-errors.js';
import { ownMemory } from './own-memory.js';
import { NOT_WHOLE, type Reassembler } from './reassembly.js';
import type { TransportProtocol } from './transport.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = IPV4_HEADER_BYTES;
const TCP = IP_PROTOCOL_TCP;
const RX = IP.ip_rx;

// Options (RFC 791, 3.1).
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;
const OPTIONS_GOOD = -1;
/** Longest packet. */
const MAX_PACKET = 0x10000;

export class IpInput {
  tcp: TransportProtocol | null = null;
  udp: TransportProtocol | null = null;
  private readonly values: Float64Array;
  /** Where a packet in several buffers is put together, unless it is TCP's; made when there is one. */
  private whole: MemoryViews | null = null;

  constructor(
    private readonly core: Core,
    private readonly own: OwnAddress,
    private readonly clock: Clock,
    private readonly reassembler: Reassembler,
    private readonly icmp: Icmp,
    private readonly errors: IcmpErrors,
    counters: IpCounters,
  ) {
    this.values = counters.values;
  }

  /** Takes a received packet: the buffer no longer belongs to the caller. */
  receive(buffer: PacketBuffer): void {
    const { core, values } = this;
    const { memory } = core;
    const { u8 } = memory;
    const ip = buffer.offset;
    const { next } = buffer;
    values[RX]++;
    const isWhole = isIpv4Intact(memory, ip, next === null ? buffer.length : buffer.totalLength);
    if (!isWhole || (next !== null && ipv4HeaderLength(u8, ip) > buffer.length)) {
      values[IP.ip_drop_header]++;
      core.release(buffer);
      return;
    }
    const headerLength = ipv4HeaderLength(u8, ip);
    if (headerLength > HEADER_BYTES) {
      const reason = optionsCounter(u8, ip + HEADER_BYTES, ip + headerLength);
      if (reason !== OPTIONS_GOOD) {
        values[reason]++;
        core.release(buffer);
        return;
      }
    }
    const totalLength = ipv4TotalLength(u8, ip);
    const isFragment = isIpv4Fragment(u8, ip);
    if (next !== null && (isFragment || ipv4Protocol(u8, ip) !== TCP || this.tcp === null)) {
      this.receiveCopied(buffer, headerLength, totalLength, isFragment);
      core.release(buffer);
      return;
    }
    if (isFragment) {
      this.receiveFragment(memory, ip, headerLength, totalLength, buffer);
      core.release(buffer);
      return;
    }
    const isTaken = this.deliver(memory, ip, ip + headerLength, totalLength - headerLength, buffer, buffer);
    if (!isTaken) core.release(buffer);
  }

  /** A packet in several buffers that is not TCP's, or a fragment: rare enough to be copied. */
  private receiveCopied(packet: PacketBuffer, headerLength: number, totalLength: number, isFragment: boolean): void {
    this.whole ??= ownMemory(MAX_PACKET);
    const { whole } = this;
    packet.copyTo(whole.u8, 0, 0, totalLength);
    this.values[IP.ip_rx_copied]++;
    if (isFragment) this.receiveFragment(whole, 0, headerLength, totalLength, packet);
    else this.deliver(whole, 0, headerLength, totalLength - headerLength, packet, null);
  }

  private receiveFragment(
    from: MemoryViews,
    ip: number,
    headerLength: number,
    totalLength: number,
    packet: PacketBuffer,
  ): void {
    const { reassembler, values } = this;
    // A checksum that is to be completed covers a whole datagram. What a device has verified is checked again.
    if ((packet.flags & CHECKSUM_PARTIAL) !== 0) {
      values[IP.ip_drop_frag_partial]++;
      return;
    }
    const datagram = reassembler.add(from, ip, headerLength, totalLength, this.clock.ms);
    if (datagram === NOT_WHOLE) return;
    const { memory } = reassembler;
    const header = reassembler.header(datagram);
    const payload = reassembler.payload(datagram);
    // Soft RSS cannot see the ports of fragments. The connection may be on another core, and a reset would end it.
    if (ipv4Protocol(memory.u8, header) === TCP && !this.isOwnFlow(memory.u8, header, payload)) {
      values[IP.ip_drop_frag_core]++;
    } else {
      this.deliver(memory, header, payload, reassembler.payloadLength(datagram), null, null);
    }
    reassembler.release(datagram);
  }

  /** Whether soft RSS brings the packets of a TCP segment's flow to this core. */
  private isOwnFlow(u8: Uint8Array, ip: number, tcp: number): boolean {
    const { core, own } = this;
    if (core.count === 1) return true;
    const { address } = own;
    const source = ipv4Source(u8, ip);
    return core.rssCoreForPorts(source, address, tcpSourcePort(u8, tcp), tcpDestinationPort(u8, tcp)) === core.index;
  }

  /**
   * Hands a datagram over.
   * @param packet that it came in, or null
   * @param buffer the same, if the datagram lies there; otherwise null
   * @returns whether the buffer was sent
   */
  private deliver(
    memory: MemoryViews,
    ip: number,
    transport: number,
    length: number,
    packet: PacketBuffer | null,
    buffer: PacketBuffer | null,
  ): boolean {
    const { u8 } = memory;
    const toUs = ipv4Destination(u8, ip) === this.own.address;
    // One call per protocol, so that each has one target: docs/v8.md, "One shape".
    switch (ipv4Protocol(u8, ip)) {
      case TCP:
        if (this.tcp === null) break;
        this.tcp.receive(memory, ip, transport, length, toUs, packet);
        return false;
      case IP_PROTOCOL_UDP:
        if (this.udp === null) break;
        this.udp.receive(memory, ip, transport, length, toUs, packet);
        return false;
      case IP_PROTOCOL_ICMP:
        return this.icmp.receive(memory, ip, transport, length, toUs, buffer);
      default:
    }
    this.values[IP.ip_drop_protocol]++;
    // RFC 1122, 3.2.2.1.
    this.errors.send(ICMP_DESTINATION_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE, memory, ip);
    return false;
  }
}

/**
 * Looks through options (RFC 1122, 3.2.1.8): those that the stack does not know are skipped.
 * @returns the counter of the reason to drop the packet, or {@link OPTIONS_GOOD}
 */
function optionsCounter(u8: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end; ) {
    const kind = u8[at];
    if (kind === END_OF_OPTIONS) break;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    if (kind === LOOSE_SOURCE_ROUTE || kind === STRICT_SOURCE_ROUTE) return IP.ip_drop_source_route;
    const length = at + 1 < end ? u8[at + 1] : 0;
    if (length < 2 || at + length > end) return IP.ip_drop_options;
    at += length;
  }
  return OPTIONS_GOOD;
}
