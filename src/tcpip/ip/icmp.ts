/**
 * Receiving ICMP (RFC 792; RFC 1122, 3.2.2): echo requests are answered, errors go to the protocol whose packet they
 * quote. Redirects are not obeyed, because there is one gateway; source quench is not (RFC 6633).
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { CHECKSUM_VERIFIED } from '../../../rings/packet-table.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER_BYTES,
  ICMP_PARAMETER_PROBLEM,
  ICMP_QUOTED_PAYLOAD_BYTES,
  ICMP_TIME_EXCEEDED,
  icmpCode,
  icmpNextHopMtu,
  icmpType,
  isIcmpIntact,
  makeIcmpEchoReply,
} from '../../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_DSCP_ECN,
  IPV4_HEADER_BYTES,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Version,
} from '../../wire/ipv4.js';
import type { OwnAddress } from '../own-address.js';
import { IP, type IpCounters } from './counters.js';
import type { IpOutput } from './output.js';
import { plateauBelow } from './path-mtu.js';
import type { TransportProtocol } from './transport.js';

/** DSCP without ECN: the mark of a packet is not that of the answer (RFC 3168, 5). */
const DSCP_BITS = 0xfc;

export class Icmp {
  tcp: TransportProtocol | null = null;
  udp: TransportProtocol | null = null;
  private readonly values: Float64Array;

  constructor(
    private readonly own: OwnAddress,
    private readonly output: IpOutput,
    counters: IpCounters,
  ) {
    this.values = counters.values;
  }

  /**
   * Takes a received message.
   * @param buffer that holds it; null when it was put together from fragments
   * @returns whether the buffer was sent and no longer belongs to the caller
   */
  receive(
    memory: MemoryViews,
    ip: number,
    icmp: number,
    length: number,
    toUs: boolean,
    buffer: PacketBuffer | null,
  ): boolean {
    const { values } = this;
    values[IP.icmp_rx]++;
    // RFC 1122, 3.2.2.6 allows it: otherwise the answers of all hosts could be used to flood one.
    if (!toUs) values[IP.icmp_drop_broadcast]++;
    else if (!isIcmpIntact(memory, icmp, length)) values[IP.icmp_drop_malformed]++;
    else if (icmpType(memory.u8, icmp) === ICMP_ECHO_REQUEST) return this.echo(memory, ip, icmp, length, buffer);
    else this.receiveError(memory, icmp, length);
    return false;
  }

  /** Answers in the same buffer where that is possible: without IP options, which are not sent back. */
  private echo(memory: MemoryViews, ip: number, icmp: number, length: number, buffer: PacketBuffer | null): boolean {
    const to = ipv4Source(memory.u8, ip);
    const tos = memory.u8[ip + IPV4_DSCP_ECN] & DSCP_BITS;
    makeIcmpEchoReply(memory.u8, icmp);
    let isSent: boolean;
    // What a device has verified means nothing for a packet to send; all else would change it on the way out.
    const isPlain = buffer !== null && (buffer.flags & ~CHECKSUM_VERIFIED) === 0;
    const isInPlace = isPlain && icmp - ip === IPV4_HEADER_BYTES;
    if (isInPlace) isSent = this.output.send(buffer, IP_PROTOCOL_ICMP, to, length, tos, true);
    else isSent = this.output.sendFrom(memory, icmp, length, IP_PROTOCOL_ICMP, to, tos);
    if (isSent) this.values[IP.icmp_echo_replies]++;
    return isInPlace;
  }

  private receiveError(memory: MemoryViews, icmp: number, length: number): void {
    const { values } = this;
    const { u8 } = memory;
    const type = icmpType(u8, icmp);
    if (type !== ICMP_DESTINATION_UNREACHABLE && type !== ICMP_TIME_EXCEEDED && type !== ICMP_PARAMETER_PROBLEM) {
      values[IP.icmp_drop_type]++;
      return;
    }
    const quoted = icmp + ICMP_HEADER_BYTES;
    const quotedLength = length - ICMP_HEADER_BYTES;
    if (!this.isOurs(u8, quoted, quotedLength)) {
      values[IP.icmp_drop_quote]++;
      return;
    }
    const protocol = ipv4Protocol(u8, quoted);
    const transport = protocol === IP_PROTOCOL_TCP ? this.tcp : protocol === IP_PROTOCOL_UDP ? this.udp : null;
    if (transport === null) {
      values[IP.icmp_drop_protocol]++;
      return;
    }
    const code = icmpCode(u8, icmp);
    let mtu = 0;
    if (type === ICMP_DESTINATION_UNREACHABLE && code === ICMP_FRAGMENTATION_NEEDED) {
      // RFC 1191, 5: routers that are older do not tell the MTU.
      mtu = icmpNextHopMtu(u8, icmp) || plateauBelow(ipv4TotalLength(u8, quoted));
    }
    values[IP.icmp_rx_errors]++;
    transport.icmpError(type, code, mtu, memory, quoted, quotedLength);
  }

  /** Whether `length` bytes at `ip` are the beginning of a packet that we can have sent, with the ports. */
  private isOurs(u8: Uint8Array, ip: number, length: number): boolean {
    if (length < IPV4_HEADER_BYTES || ipv4Version(u8, ip) !== 4) return false;
    const header = ipv4HeaderLength(u8, ip);
    if (header < IPV4_HEADER_BYTES || header + ICMP_QUOTED_PAYLOAD_BYTES > length) return false;
    return ipv4Source(u8, ip) === this.own.address && ipv4FragmentOffset(u8, ip) === 0;
  }
}
