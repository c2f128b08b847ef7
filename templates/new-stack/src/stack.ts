/**
 * A network stack to begin with: answers pings, and UDP datagrams to one port, in the buffers that they came in.
 *
 * Node runs this file as it is from version 22.18 on; write no enums, namespaces or parameter properties then.
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

/** The stack gets IP packets that are for it; tspmd deals with Ethernet and ARP. */
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

  /** Called as often as possible. Does what there is to do, and returns how many packets that were. */
  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const packet = core.getBufferRx();
      if (packet === null) break;
      // A packet that was sent belongs to the driver. Every other one must be given back.
      if (!this.answer(packet) || !core.addBufferToRing(packet)) core.release(packet);
    }
    return count;
  }

  /** Shown when the stack ends. */
  report(): Record<string, number> {
    return { pings: this.pings, datagrams: this.datagrams, others: this.others };
  }

  /** Turns a request into its answer, in place. False when the packet gets none. */
  private answer(packet: PacketBuffer): boolean {
    const { memory } = this.core;
    const ip = packet.offset;
    const isWhole = isIpv4HeaderIntact(memory, ip, ipv4HeaderLength(memory.u8, ip)) && !isIpv4Fragment(memory.u8, ip);
    // IP options would have to be answered, too: leave such packets alone.
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
        // From our own port an answer would be answered again, without end.
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
