/**
 * A stack in its smallest form: answers UDP datagrams to one port, in the buffers that they came in.
 *
 *     npx tspmd run --device vhost-user:/tmp/tspmd-vm1.sock --ip 10.0.0.1/24 --mac 52:54:00:00:00:01 \
 *       --app dist/examples/udp-echo.js --app-option port=7
 *
 * The same file runs with `--mode single`, `1kb` and `2kb`: each core has one of these, and its own flows.
 */
import type { Core, PacketBuffer, Stack, StackOptions } from 'tspmd';

/** What comes is IP packets that are for us; ARP and the rest is the layer's business. */
export const layer = 'ip';

const PROTOCOL_UDP = 17;
const UDP_HEADER_BYTES = 8;

class UdpEcho implements Stack {
  private readonly core: Core;
  private readonly port: number;
  private echoes = 0;
  private others = 0;

  constructor(core: Core, port: number) {
    this.core = core;
    this.port = port;
  }

  /** Called as often as possible: does what there is to do, and returns how many packets that were. */
  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const packet = core.getBufferRx();
      if (packet === null) break;
      // Sent, it belongs to the driver. What could not be sent, or is not for us, must be given back.
      if (this.isForUs(packet) && this.turnRound(packet)) this.echoes++;
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

  /** An unfragmented UDP datagram to our port, in a packet without options. Never trust a length before it is checked. */
  private isForUs({ bytes, length }: PacketBuffer): boolean {
    const headerBytes = (bytes[0]! & 15) * 4;
    if (headerBytes !== 20 || length < headerBytes + UDP_HEADER_BYTES) return false;
    const isFragment = (bytes[6]! & 0x3f) !== 0 || bytes[7] !== 0;
    const port = (bytes[22]! << 8) | bytes[23]!;
    return bytes[9] === PROTOCOL_UDP && !isFragment && port === this.port;
  }

  /** Swaps addresses and ports: the checksums stay right, as they are sums. */
  private turnRound(packet: PacketBuffer): boolean {
    const { bytes } = packet;
    for (let i = 0; i < 4; i++) swap(bytes, 12 + i, 16 + i);
    for (let i = 0; i < 2; i++) swap(bytes, 20 + i, 22 + i);
    return this.core.addBufferToRing(packet);
  }
}

function swap(bytes: Uint8Array, a: number, b: number): void {
  const byte = bytes[a]!;
  bytes[a] = bytes[b]!;
  bytes[b] = byte;
}

export default function createUdpEcho(core: Core, { port = 7 }: StackOptions): Stack {
  return new UdpEcho(core, Number(port));
}
