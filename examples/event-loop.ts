/**
 * A stack that lives in Node's event loop: it awaits packets, while a timer sends, and an HTTP server tells how it goes,
 * all in one thread.
 *
 *     npx tspmd run --device vhost-user:/tmp/tspmd-vm1.sock --ip 10.0.0.1/24 --mac 52:54:00:00:00:01 \
 *       --app dist/examples/event-loop.js --app-option to=10.0.0.2 http=8080
 *
 * Every second it sends a UDP datagram from a source port whose answer comes back to this very core. Core 0 serves HTTP
 * on the port given, core 1 on the next one, and so on.
 */
import { createServer } from 'node:http';
import { type Core, type EventLoopStack, parseIpv4, type StackOptions } from 'tspmd';

const PROTOCOL_UDP = 17;
const HEADERS = 28;
const TO_PORT = 7;

class Beacon implements EventLoopStack {
  private readonly core: Core;
  private readonly to: number;
  private readonly httpPort: number;
  private sent = 0;
  private received = 0;
  private readonly sourcePort: number;

  constructor(core: Core, to: number, httpPort: number) {
    this.core = core;
    this.to = to;
    this.httpPort = httpPort;
    this.sourcePort = this.portOfMine();
  }

  async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => this.send(), 1000);
    const server = createServer((_, response) => response.end(`${JSON.stringify(this.report())}\n`));
    if (this.httpPort > 0) server.listen(this.httpPort + this.core.index, '127.0.0.1');
    try {
      while (!signal.aborted) {
        const count = await this.core.waitForPackets();
        for (let i = 0; i < count; i++) {
          const packet = this.core.getBufferRx();
          if (packet === null) break;
          this.received++;
          this.core.release(packet);
        }
      }
    } finally {
      clearInterval(timer);
      server.close();
    }
  }

  report(): Record<string, number> {
    return { sent: this.sent, received: this.received };
  }

  /** The first port from 10000 on whose answers come to this core. With one core that is the first. */
  private portOfMine(): number {
    const { core, to } = this;
    const answer = { protocol: PROTOCOL_UDP, source: to, destination: core.address, sourcePort: TO_PORT };
    for (let port = 10_000; port < 65_536; port++) {
      if (core.rssCoreFor({ ...answer, destinationPort: port }) === core.index) return port;
    }
    throw new Error(`no source port comes back to core ${core.index}`);
  }

  private send(): void {
    const { core } = this;
    const packet = core.getBufferTx();
    if (packet === null) return;
    const view = new DataView(packet.bytes.buffer, packet.bytes.byteOffset, HEADERS);
    for (let i = 0; i < HEADERS; i++) view.setUint8(i, 0);
    view.setUint16(0, 0x4500); // version 4, 20 bytes of header
    view.setUint16(2, HEADERS);
    view.setUint16(8, 0x4011); // time to live 64, UDP
    view.setUint32(12, core.address);
    view.setUint32(16, this.to);
    view.setUint16(10, headerChecksum(view));
    view.setUint16(20, this.sourcePort);
    view.setUint16(22, TO_PORT);
    view.setUint16(24, 8); // no payload; a checksum of 0 says that there is none (RFC 768)
    packet.length = HEADERS;
    // Asleep in waitForPackets, the core sends at once.
    if (core.addBufferToRing(packet)) this.sent++;
    else core.release(packet);
  }
}

function headerChecksum(header: DataView): number {
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export default function createBeacon(core: Core, { to = '10.0.0.2', http = 0 }: StackOptions): EventLoopStack {
  return new Beacon(core, parseIpv4(String(to)), Number(http));
}
