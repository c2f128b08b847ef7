/**
 * The stack of the endpoints in the reliability tests: sends numbered requests to the others, answers theirs, checks all
 * that comes. It answers pings, too. The test tells it over a unix socket when to send, and asks for its tallies (`endpoint-control.ts`).
 *
 * Options: `self` (number of the endpoint), `peers` (numbers of those to send to, with `+` between them), `epoch` (of its
 * lives, this one's number), `flows`, `window`, `control` (path of the socket; without it the endpoint only answers).
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Echo } from '../../src/apps/echo.js';
import type { Core } from '../../src/link/core.js';
import type { PacketBuffer } from '../../src/link/packet-buffer.js';
import type { Stack, StackOptions } from '../../src/stack.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
} from '../../src/wire/ipv4.js';
import { isUdpIntact, UDP_HEADER_BYTES, udpDestinationPort, udpLength, udpSourcePort } from '../../src/wire/udp.js';
import { addressOf, fromOf, isNumbered, SERVICE_PORT } from './numbered.js';
import { Requester } from './requester.js';
import { Responder } from './responder.js';
import { type CoreReport, noTallies } from './tallies.js';

/** What a core says first on its connection. */
export interface Hello {
  readonly endpoint: number;
  readonly epoch: number;
  readonly core: number;
  readonly cores: number;
}

/** What it is told; `tell` and `collect` are answered by a {@link CoreReport}. */
export type Order = 'go' | 'pause' | 'tell' | 'collect';

const HEADERS = IPV4_HEADER_BYTES + UDP_HEADER_BYTES;

class Numbered implements Stack {
  private readonly tallies = noTallies();
  private readonly self: number;
  private readonly requester: Requester;
  private readonly responder: Responder;
  private readonly control: Socket | null;
  private readonly echo: Echo;

  constructor(
    private readonly core: Core,
    options: StackOptions,
  ) {
    this.self = Number(options.self);
    const epoch = Number(options.epoch ?? 0);
    const peers = String(options.peers ?? '')
      .split('+')
      .filter((text) => text !== '')
      .map(Number);
    const [flows, window] = [Number(options.flows ?? 4), Number(options.window ?? 4)];
    this.requester = new Requester(core, this.tallies, { self: this.self, peers, epoch, flows, window });
    this.echo = new Echo(core);
    this.responder = new Responder(core, this.tallies, this.self);
    const hello = { endpoint: this.self, epoch, core: core.index, cores: core.count };
    this.control = options.control === undefined ? null : this.dial(String(options.control), hello);
  }

  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer !== null) this.take(buffer);
    }
    return count + this.requester.poll();
  }

  maxSleepMs(): number {
    return this.requester.maxSleepMs();
  }

  report(): Record<string, number> {
    return { ...this.tallies };
  }

  stop(): void {
    this.control?.destroy();
  }

  private take(buffer: PacketBuffer): void {
    const { core, tallies } = this;
    const { memory } = core;
    const { u8 } = memory;
    const ip = buffer.offset;
    const udp = ip + IPV4_HEADER_BYTES;
    const payload = ip + HEADERS;
    const isUdp = ipv4Protocol(u8, ip) === IP_PROTOCOL_UDP && ipv4HeaderLength(u8, ip) === IPV4_HEADER_BYTES;
    // Pings are answered, as by any endpoint: somebody hostile can make it send so.
    if (!isUdp && this.echo.handle(buffer)) return;
    const isAnswer = isUdp && udpSourcePort(u8, udp) === SERVICE_PORT;
    if (!isAnswer && !(isUdp && udpDestinationPort(u8, udp) === SERVICE_PORT)) tallies.other++;
    else if (
      !isUdpIntact(memory, ip, udp, buffer.length - IPV4_HEADER_BYTES) ||
      !isNumbered(u8, payload, udpLength(u8, udp) - UDP_HEADER_BYTES)
    ) {
      tallies.corrupt++;
    } else if (ipv4Destination(u8, ip) !== (addressOf(this.self) | 0)) tallies.misplaced++;
    else if (!isAnswer) {
      this.responder.take(buffer, payload);
      return;
    } else if (fromOf(u8, payload) === this.self) this.requester.take(u8, payload);
    else tallies.misplaced++;
    core.release(buffer);
  }

  private dial(path: string, hello: Hello): Socket {
    const socket = connect(path, () => socket.write(`${JSON.stringify(hello)}\n`));
    // The test is over, or was killed.
    socket.on('error', () => socket.destroy());
    socket.unref();
    createInterface({ input: socket }).on('line', (line) => {
      const order = line as Order;
      if (order === 'go' || order === 'pause') this.requester.isRunning = order === 'go';
      else socket.write(`${JSON.stringify(this.tell(order === 'collect' ? heapAfterCollection() : 0))}\n`);
      this.core.wake();
    });
    return socket;
  }

  private tell(heap: number): CoreReport {
    return { tallies: this.tallies, peers: this.requester.report(), heap };
  }
}

let collectGarbage: (() => void) | undefined;

function heapAfterCollection(): number {
  if (collectGarbage === undefined) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as () => void;
  }
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

export default function createNumbered(core: Core, options: StackOptions): Stack {
  return new Numbered(core, options);
}
