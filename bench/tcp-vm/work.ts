/** The work of the load's rows. It is that of the loads in `bench/tcp` and `bench/http`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PAGE } from '../../src/apps/http/answers.js';
import type { TcpIp } from '../../src/tcpip/index.js';
import type { ClosedLoop } from '../common/load/closed-loop.js';
import { HttpLoop } from '../http/http-loop.js';
import { makeBlock } from '../tcp/bulk/block.js';
import type { Direction } from '../tcp/bulk/setup.js';
import { Receiver, Sender } from '../tcp/bulk/transfers.js';
import { OpenConnections, ShortConnections } from '../tcp/requests/closed-loop.js';
import type { Done, Work } from './rows.js';

/** How long connections may take to open, and responses to come, in ms. An emulated guest is slow at first. */
const PATIENCE_MS = 15_000;

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
      // What is still under way later ends by itself, as timers expire.
      await until('responses are missing', () => loop.underWay === 0).catch(() => {});
      loop.close();
    },
  };
}

async function openHttp({ tcp }: TcpIp): Promise<WorkUnderWay> {
  const loop = new HttpLoop(tcp, () => performance.now(), PAGE.length);
  const work = await openRequests(loop);
  return {
    async measure(milliseconds) {
      const done = await work.measure(milliseconds);
      if (loop.errors > 0) throw new Error(`${loop.errors} requests have failed, the first by ${loop.fault}`);
      return done;
    },
    close: () => work.close(),
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
