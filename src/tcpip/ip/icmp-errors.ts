/**
 * Sending ICMP errors (RFC 792): destination unreachable and time exceeded. RFC 1122, 3.2.2 names the packets that
 * must not be answered; what is allowed is limited, so that the stack cannot be used to flood somebody.
 */
import { copyBetween, type MemoryViews } from '../../../drivers/memory/index.js';
import type { Core } from '../../link/core.js';
import { isIpv4Multicast } from '../../wire/address.js';
import { writeU16 } from '../../wire/bytes.js';
import { internetChecksum } from '../../wire/checksum.js';
import { ICMP_CHECKSUM, ICMP_CODE, ICMP_HEADER_BYTES, ICMP_TYPE, icmpType, isIcmpError } from '../../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
} from '../../wire/ipv4.js';
import type { Clock } from '../clock.js';
import type { OwnAddress } from '../own-address.js';
import { IP, type IpCounters } from './counters.js';
import { IcmpLimits } from './icmp-limits.js';
import type { IpOutput } from './output.js';
import type { RandomSource } from './random.js';

/** RFC 1812, 4.3.2.3: quote as much of the packet as fits into 576 bytes. */
const MAX_QUOTE = 576 - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES;
/** RFC 1812, 4.3.2.5: precedence "internetwork control". */
const TOS = 0xc0;

export class IcmpErrors {
  private readonly values: Float64Array;
  private readonly limits: IcmpLimits;

  constructor(
    private readonly core: Core,
    private readonly own: OwnAddress,
    private readonly output: IpOutput,
    private readonly clock: Clock,
    counters: IpCounters,
    random: RandomSource,
  ) {
    this.values = counters.values;
    this.limits = new IcmpLimits(random, clock.ms);
  }

  /**
   * Answers a received packet with an error, unless that is forbidden or the limit is reached.
   * @param type 3 (destination unreachable) or 11 (time exceeded)
   * @param code which unreachable or exceeded
   * @param memory that holds the packet
   * @param ip offset of its IP header, which is intact
   */
  send(type: number, code: number, memory: MemoryViews, ip: number): void {
    const { values } = this;
    if (!this.mayAnswer(memory.u8, ip)) {
      values[IP.icmp_tx_forbidden]++;
      return;
    }
    const to = ipv4Source(memory.u8, ip);
    if (!this.limits.allow(to, this.clock.ms)) {
      values[IP.icmp_tx_limited]++;
      return;
    }
    const buffer = this.output.begin();
    if (buffer === null) return;
    const { u8 } = this.core.memory;
    const icmp = buffer.offset + IPV4_HEADER_BYTES;
    const room = Math.min(MAX_QUOTE, this.core.mtu - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES);
    const quoted = Math.min(ipv4TotalLength(memory.u8, ip), room);
    copyBetween(this.core.memory, icmp + ICMP_HEADER_BYTES, memory, ip, quoted);
    u8.fill(0, icmp, icmp + ICMP_HEADER_BYTES);
    u8[icmp + ICMP_TYPE] = type;
    u8[icmp + ICMP_CODE] = code;
    const length = ICMP_HEADER_BYTES + quoted;
    writeU16(u8, icmp + ICMP_CHECKSUM, internetChecksum(this.core.memory, icmp, length));
    if (this.output.send(buffer, IP_PROTOCOL_ICMP, to, length, TOS, true)) values[IP.icmp_tx_errors]++;
  }

  /** RFC 1122, 3.2.2: only about a packet from one host to us alone, its first fragment, and no ICMP error. */
  private mayAnswer(u8: Uint8Array, ip: number): boolean {
    const source = ipv4Source(u8, ip);
    const network = source >>> 24;
    if (network === 0 || network === 127 || network >= 240 || isIpv4Multicast(source)) return false;
    if (this.core.isBroadcast(source)) return false;
    if (ipv4Destination(u8, ip) !== this.own.address || ipv4FragmentOffset(u8, ip) !== 0) return false;
    if (ipv4Protocol(u8, ip) !== IP_PROTOCOL_ICMP) return true;
    const header = ipv4HeaderLength(u8, ip);
    return ipv4TotalLength(u8, ip) > header && !isIcmpError(icmpType(u8, ip + header));
  }
}
