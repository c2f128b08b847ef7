/**
 * A stack in Node's event loop: it awaits packets, a timer sends datagrams, and an HTTP server shows the counters, all
 * in one thread.
 *
 *     npx tspmd run --device vhost-user:/tmp/tspmd-vm1.sock --ip 10.0.0.1/24 --mac 52:54:00:00:00:01 \
 *       --app dist/examples/event-loop.js --app-option to=10.0.0.2 http=8080
 *
 * Every second it sends a UDP datagram from a source port whose answer reaches this core. Core 0 serves HTTP on the
 * given port, core 1 on the next one, and so on.
 */
import { createServer } from 'node:http';
import type { Core, EventLoopStack, StackOptions } from 'tspmd';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  parseIpv4,
  UDP_HEADER_BYTES,
  writeIpv4Header,
  writeUdpHeader,
} from 'tspmd/wire';

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
    this.sourcePort = this.findSourcePort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => this.send(), 1000);
    const server = createServer((_, response) => response.end(`${JSON.stringify(this.report())}\n`));
    if (this.httpPort > 0) server.listen(this.httpPort + this.core.index, '127.0.0.1');
    try {
      while (!signal.aborted) {
        const count = await this.core.waitForPackets({ signal });
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

  /** Returns the first port from 10000 on whose answers reach this core. With one core, that is 10000. */
  private findSourcePort(): number {
    const { core, to } = this;
    const answer = { protocol: IP_PROTOCOL_UDP, source: to, destination: core.address, sourcePort: TO_PORT };
    for (let port = 10_000; port < 65_536; port++) {
      if (core.rssCoreFor({ ...answer, destinationPort: port }) === core.index) return port;
    }
    throw new Error(`there is no source port whose answers reach core ${core.index}`);
  }

  private send(): void {
    const { core } = this;
    const packet = core.getBufferTx();
    if (packet === null) return;
    const ip = packet.offset;
    packet.length = IPV4_HEADER_BYTES + UDP_HEADER_BYTES; // no payload
    writeIpv4Header(core.memory, ip, packet.length, IP_PROTOCOL_UDP, core.address, this.to);
    writeUdpHeader(core.memory, ip, ip + IPV4_HEADER_BYTES, UDP_HEADER_BYTES, this.sourcePort, TO_PORT);
    // The packet leaves immediately, even while the core sleeps in waitForPackets.
    if (core.addBufferToRing(packet)) this.sent++;
    else core.release(packet);
  }
}

export default function createBeacon(core: Core, { to = '10.0.0.2', http = 0 }: StackOptions): EventLoopStack {
  return new Beacon(core, parseIpv4(String(to)), Number(http));
}
