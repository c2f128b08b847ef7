/**
 * A minimal stack: it answers UDP datagrams to one port, in the buffers that they came in.
 *
 *     npx tspmd run --device vhost-user:/tmp/tspmd-vm1.sock --ip 10.0.0.1/24 --mac 52:54:00:00:00:01 \
 *       --app dist/examples/udp-echo.js --app-option port=7
 *
 * Node 22.18 and newer runs the source: `--app examples/udp-echo.ts`. The file runs with `--mode single`, `1kb` and
 * `2kb`: each core has an instance of its own, and flows of its own.
 */
import type { Core, PacketBuffer, Stack, StackOptions } from 'tspmd';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  isIpv4Fragment,
  isUdpIntact,
  swapIpv4Addresses,
  swapUdpPorts,
  udpDestinationPort,
} from 'tspmd/wire';

/** The stack gets IP packets that are addressed to it. The layer below handles Ethernet and ARP. */
export const layer = 'ip';

class UdpEcho implements Stack {
  private readonly core: Core;
  private readonly port: number;
  private echoes = 0;
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
      if (this.isForUs(packet) && this.sendBack(packet)) this.echoes++;
      else {
        core.release(packet);
        this.others++;
      }
    }
    return count;
  }

  report(): Record<string, number> {
    return { echoes: this.echoes, others: this.others };
  }

  /** Whether the packet is an intact UDP datagram to our port, not a fragment, and has no IP options. */
  private isForUs({ offset: ip, length }: PacketBuffer): boolean {
    const { memory } = this.core;
    const { u8 } = memory;
    const udp = ip + IPV4_HEADER_BYTES;
    if (ipv4HeaderLength(u8, ip) !== IPV4_HEADER_BYTES || isIpv4Fragment(u8, ip)) return false;
    if (ipv4Protocol(u8, ip) !== IP_PROTOCOL_UDP || !isUdpIntact(memory, ip, udp, length - IPV4_HEADER_BYTES))
      return false;
    return udpDestinationPort(u8, udp) === this.port;
  }

  /**
   * Swaps addresses and ports, and sends the packet. The checksums stay correct, because they are sums of these words.
   */
  private sendBack(packet: PacketBuffer): boolean {
    const { u8 } = this.core.memory;
    swapIpv4Addresses(u8, packet.offset);
    swapUdpPorts(u8, packet.offset + IPV4_HEADER_BYTES);
    return this.core.addBufferToRing(packet);
  }
}

export default function createUdpEcho(core: Core, { port = 7 }: StackOptions): Stack {
  return new UdpEcho(core, Number(port));
}
