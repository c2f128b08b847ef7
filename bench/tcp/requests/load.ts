/**
 * The load of the rows with requests. It answers `run MILLISECONDS` with a {@link Run}, when all connections are open and
 * nothing is under way any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { openLoadPort } from '../../common/sides.js';
import { OpenConnections, ShortConnections } from './closed-loop.js';
import type { RequestSetup, Run } from './setup.js';

/** Ports come round within half a second at 60,000 connections per second. */
const TIME_WAIT_MS = 10;
/** How long the connections may take to open, and the last responses to come. */
const PATIENCE_MS = 10_000;

const setup = JSON.parse(process.argv[2]) as RequestSetup;
const port = await openLoadPort(setup);
const net = new TcpIp(port.core(), { timeWaitMs: TIME_WAIT_MS });
const loop =
  setup.kind === 'rr' ? new OpenConnections(net, setup.connections) : new ShortConnections(net, setup.connections);

/** Opened at the first run, because the server starts after the load. */
let isOpen = false;

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await sleep(1);
  }
}

async function run(milliseconds: number): Promise<Run> {
  if (!isOpen) loop.open();
  isOpen = true;
  await until('all connections open', () => loop.isReady);
  const before = port.counters();
  const first = loop.done;
  const start = performance.now();
  loop.start();
  await sleep(milliseconds);
  const requests = loop.done - first;
  const seconds = (performance.now() - start) / 1000;
  const { loop_busy_ms: busy = 0, loop_idle_ms: idle = 0 } = port.counters();
  const busyMs = busy - (before.loop_busy_ms ?? 0);
  const idleMs = idle - (before.loop_idle_ms ?? 0);
  loop.stop();
  // The processes may be stopped after the answer: what is under way then would be taken for lost.
  await until('all responses', () => loop.underWay === 0);
  const { tcp_retransmitted_segments: retransmitted = 0 } = net.report();
  return { requests, seconds, busy: busyMs / (busyMs + idleMs), errors: loop.errors, retransmitted };
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(
  ([, milliseconds]) => run(Number(milliseconds)),
  () => stop.abort(),
);
await net.run(stop.signal);
await port.stop();
process.exit();
