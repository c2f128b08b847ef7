/** The work of the load's rows. It is that of the loads in `bench/tcp` and `bench/http`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../../src/cli/get/load.js';
import { parseTarget } from '../../src/cli/get/target.js';
import type { TcpIp } from '../../src/tcpip/index.js';
import { SERVER } from '../common/sides.js';
import { CONNECTIONS as HTTP_CONNECTIONS } from '../http/setup.js';
import { makeBlock } from '../tcp/bulk/block.js';
import type { Direction } from '../tcp/bulk/setup.js';
import { Receiver, Sender } from '../tcp/bulk/transfers.js';
import { type ClosedLoop, OpenConnections, ShortConnections } from '../tcp/requests/closed-loop.js';
import type { Done, Work } from './rows.js';

/** How long connections may take to open, and responses to come, in ms. An emulated guest is slow at first. */
const PATIENCE_MS = 15_000;
/** Requests of the first window, whose rate is not known yet. */
const FIRST_REQUESTS = 500;

/** Work that goes on, until it is closed. */
export interface WorkUnderWay {
  measure(milliseconds: number): Promise<Done>;
  /** Ends it, and its connections. */
  close(): Promise<void>;
}

/** Begins. Resolves when the connections are open. */
export async function openWork(net: TcpIp, work: Work): Promise<WorkUnderWay> {
  switch (work.kind) {
    case 'rr':
      return openRequests(new OpenConnections(net, work.connections));
    case 'crr':
      return openRequests(new ShortConnections(net, work.connections));
    case 'bulk':
      return openBulk(net, work.direction);
    case 'http':
      return openHttp(net);
  }
}

async function openRequests(loop: ClosedLoop): Promise<WorkUnderWay> {
  loop.open();
  await until('the connections are not open', () => loop.isReady);
  loop.start();
  return {
    measure: (milliseconds) => countFor(milliseconds, () => loop.done),
    async close() {
      loop.stop();
      await until('responses are missing', () => loop.underWay === 0);
      loop.close();
    },
  };
}

async function openBulk(net: TcpIp, direction: Direction): Promise<WorkUnderWay> {
  const source = { net, protocol: 'ports', block: makeBlock() } as const;
  const transfer = direction === 'tx' ? new Receiver(source) : new Sender(source);
  await transfer.running;
  return {
    measure: (milliseconds) => countFor(milliseconds, () => transfer.bytes),
    async close() {
      await transfer.stop();
    },
  };
}

/** Each measurement has connections of its own, as in `bench/http/load.ts`. */
async function openHttp({ tcp }: TcpIp): Promise<WorkUnderWay> {
  const target = parseTarget(`http://${SERVER.ip}/`);
  let perMs = 0;
  return {
    async measure(milliseconds) {
      const requests = Math.max(Math.round(perMs * milliseconds), FIRST_REQUESTS);
      const options = { connections: HTTP_CONNECTIONS, requests, keepAlive: true, timeoutMs: PATIENCE_MS };
      const { done, failed, seconds, errors } = await new Load(tcp, target, options).finished;
      if (failed > 0) throw new Error(`${failed} requests have failed: ${JSON.stringify(errors)}`);
      perMs = done / seconds / 1000;
      return { done, seconds };
    },
    async close() {},
  };
}

async function countFor(milliseconds: number, count: () => number): Promise<Done> {
  const before = count();
  const start = performance.now();
  await sleep(milliseconds);
  return { done: count() - before, seconds: (performance.now() - start) / 1000 };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} after ${PATIENCE_MS} ms`);
    await sleep(1);
  }
}
