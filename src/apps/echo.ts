/**
 * Echo: answers pings (RFC 792) and UDP datagrams to port 7 (RFC 862) in the buffer that they came in. It is the app
 * `echo`, and a handler for stacks that do more.
 */
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import type { PacketHandler, Stack, StackOptions } from '../stack.js';
import { ICMP_ECHO_REQUEST, ICMP_HEADER_BYTES, icmpType, isIcmpIntact, makeIcmpEchoReply } from '../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_UDP,
  IPV4_DEFAULT_TTL,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  setIpv4Ttl,
  swapIpv4Addresses,
} from '../wire/ipv4.js';
import { swapUdpPorts, UDP_HEADER_BYTES, udpDestinationPort, udpSourcePort } from '../wire/udp.js';
import { createDemux, isDatagramIntact } from './demux.js';
import { checkOptions } from './options.js';

const ECHO_PORT = 7;

export const layer = 'ip';

export class Echo implements PacketHandler {
  private icmpEchoes = 0;
  private udpEchoes = 0;
  private badChecksum = 0;
  private options = 0;
  private loops = 0;
  private ringFull = 0;

  constructor(private readonly core: Core) {}

  handle(buffer: PacketBuffer): boolean {
    const { core } = this;
    const u8 = core.memory.u8;
    const ip = buffer.offset;
    // Broadcasts are not answered (RFC 1122, 3.2.2.6 allows it): the reply would have the broadcast address as its
    // source.
    if (ipv4Destination(u8, ip) !== (core.address | 0)) return false;
    const headerLength = ipv4HeaderLength(u8, ip);
    const payload = ip + headerLength;
    const length = buffer.length - headerLength;
    switch (ipv4Protocol(u8, ip)) {
      case IP_PROTOCOL_ICMP:
        if (length < ICMP_HEADER_BYTES || icmpType(u8, payload) !== ICMP_ECHO_REQUEST) return false;
        this.echoIcmp(buffer, payload, length);
        return true;
      case IP_PROTOCOL_UDP:
        if (length < UDP_HEADER_BYTES || udpDestinationPort(u8, payload) !== ECHO_PORT) return false;
        this.echoUdp(buffer, payload, length);
        return true;
      default:
        return false;
    }
  }

  report(): Record<string, number> {
    return {
      icmp_echoes: this.icmpEchoes,
      udp_echoes: this.udpEchoes,
      echo_bad_checksum: this.badChecksum,
      echo_ip_options: this.options,
      echo_loops_avoided: this.loops,
      echo_ring_full: this.ringFull,
    };
  }

  private echoIcmp(buffer: PacketBuffer, icmp: number, length: number): void {
    if (!isIcmpIntact(this.core.memory, icmp, length)) {
      this.badChecksum++;
      this.core.release(buffer);
      return;
    }
    makeIcmpEchoReply(this.core.memory.u8, icmp);
    if (this.sendBack(buffer)) this.icmpEchoes++;
  }

  private echoUdp(buffer: PacketBuffer, udp: number, length: number): void {
    const { memory } = this.core;
    const port = udpSourcePort(memory.u8, udp);
    if (!isDatagramIntact(memory, buffer, udp, length)) {
      this.badChecksum++;
    } else if (port === ECHO_PORT || port === 0) {
      // Port 7: two echo servers would answer each other for ever. Port 0: the sender wants no answer (RFC 768).
      this.loops++;
    } else {
      swapUdpPorts(memory.u8, udp);
      if (this.sendBack(buffer)) this.udpEchoes++;
      return;
    }
    this.core.release(buffer);
  }

  /** Sends the packet back to its source. Returns false, and has released the buffer, when that is not possible. */
  private sendBack(buffer: PacketBuffer): boolean {
    const u8 = this.core.memory.u8;
    const ip = buffer.offset;
    if (ipv4HeaderLength(u8, ip) > IPV4_HEADER_BYTES) {
      // Not supported: a source route would have to be reversed, and a timestamp added (RFC 1122, 3.2.2.6).
      this.options++;
      this.core.release(buffer);
      return false;
    }
    swapIpv4Addresses(u8, ip);
    setIpv4Ttl(u8, ip, IPV4_DEFAULT_TTL);
    if (this.core.addBufferToRing(buffer)) return true;
    this.ringFull++;
    this.core.release(buffer);
    return false;
  }
}

export default function createEcho(core: Core, options: StackOptions = {}): Stack {
  checkOptions('echo', options);
  return createDemux(core, [new Echo(core)]);
}
