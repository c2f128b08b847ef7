/**
 * A network stack to start from: it answers pings, and UDP datagrams to one port, in the buffers that they came in.
 *
 * Node 22.18 and newer runs this file without a build, as long as it has no enums, namespaces and parameter properties.
 */
import type { Core, PacketBuffer, Stack, StackOptions } from 'tspmd';
import {
  ICMP_ECHO_REQUEST,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_UDP,
  IPV4_DEFAULT_TTL,
  IPV4_HEADER_BYTES,
  icmpType,
  ipv4HeaderLength,
  ipv4Protocol,
  isIcmpIntact,
  isIpv4Fragment,
  isIpv4HeaderIntact,
  isUdpIntact,
  makeIcmpEchoReply,
  setIpv4Ttl,
  swapIpv4Addresses,
  swapUdpPorts,
  udpDestinationPort,
  udpSourcePort,
} from 'tspmd/wire';

/** The stack gets IP packets that are addressed to it. tspmd handles Ethernet and ARP. */
export const layer = 'ip';

class EchoStack implements Stack {
  private readonly core: Core;
  private readonly port: number;
  private pings = 0;
  private datagrams = 0;
  private others = 0;

  constructor(core: Core, port: number) {
    this.core = core;
    this.port = port;
  }

  /** Called again and again. Handles all waiting packets, and returns how many there were. */
  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const packet = core.getBufferRx();
      if (packet === null) break;
      // A packet that was sent belongs to the driver. All other packets must be released.
      if (!this.answer(packet) || !core.addBufferToRing(packet)) core.release(packet);
    }
    return count;
  }

  /** The counters that `tspmd run` prints at the end. */
  report(): Record<string, number> {
    return { pings: this.pings, datagrams: this.datagrams, others: this.others };
  }

  /** Turns a request into its answer, in place. Returns false when the packet gets no answer. */
  private answer(packet: PacketBuffer): boolean {
    const { memory } = this.core;
    const ip = packet.offset;
    const isWhole = isIpv4HeaderIntact(memory, ip, ipv4HeaderLength(memory.u8, ip)) && !isIpv4Fragment(memory.u8, ip);
    // Packets with IP options are not answered: the options would have to be handled, too.
    if (!isWhole || ipv4HeaderLength(memory.u8, ip) !== IPV4_HEADER_BYTES || !this.answerPayload(packet)) {
      this.others++;
      return false;
    }
    swapIpv4Addresses(memory.u8, ip);
    setIpv4Ttl(memory.u8, ip, IPV4_DEFAULT_TTL);
    return true;
  }

  private answerPayload(packet: PacketBuffer): boolean {
    const { memory } = this.core;
    const { u8 } = memory;
    const payload = packet.offset + IPV4_HEADER_BYTES;
    const length = packet.length - IPV4_HEADER_BYTES;
    switch (ipv4Protocol(u8, packet.offset)) {
      case IP_PROTOCOL_ICMP:
        if (!isIcmpIntact(memory, payload, length) || icmpType(u8, payload) !== ICMP_ECHO_REQUEST) return false;
        makeIcmpEchoReply(u8, payload);
        this.pings++;
        return true;
      case IP_PROTOCOL_UDP:
        if (!isUdpIntact(memory, packet.offset, payload, length)) return false;
        // A datagram from the same port is not answered: two such stacks would answer each other for ever.
        if (udpDestinationPort(u8, payload) !== this.port || udpSourcePort(u8, payload) === this.port) return false;
        swapUdpPorts(u8, payload);
        this.datagrams++;
        return true;
      default:
        return false;
    }
  }
}

/** Makes the stack of one core. `--app-option port=N` chooses the UDP port. */
export default function createStack(core: Core, { port = 7 }: StackOptions): Stack {
  return new EchoStack(core, Number(port));
}
