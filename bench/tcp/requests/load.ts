/**
 * The load of the rows with requests. It answers `run MILLISECONDS` with a {@link Run}, and `paced RATE MILLISECONDS` with a
 * {@link PacedRun}, when nothing is under way any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runStack } from '../../../src/index.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { openLoadPort } from '../../common/sides.js';
import { OpenConnections, ShortConnections } from './closed-loop.js';
import { Paced } from './paced.js';
import { busyShare, PollMeter } from './poll-meter.js';
import type { PacedRun, RequestSetup, Run } from './setup.js';

/** Ports come round within half a second at 60,000 connections per second. */
const TIME_WAIT_MS = 10;
/** How long the connections may take to open, and the last responses to come. */
const PATIENCE_MS = 10_000;

const setup = JSON.parse(process.argv[2]) as RequestSetup;
const { kind, connections } = setup;
const port = await openLoadPort(setup);
const net = new TcpIp(port.core(), { timeWaitMs: TIME_WAIT_MS });
// The loop never sleeps.
net.defer = true;
const loop = kind === 'crr' ? new ShortConnections(net, connections) : new OpenConnections(net, connections);
const paced = new Paced(net, kind === 'paced' ? connections : 0);

const stack = {
  poll: () => paced.poll() + net.poll(),
  pollAgain: () => paced.poll() + net.pollAgain(),
  stop: () => net.stop(),
};
const meter = new PollMeter(kind === 'paced' ? stack : net);

/** Turns of a millisecond are counted, and not the clock: the process may have been stopped meanwhile. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns === PATIENCE_MS) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await sleep(1);
  }
}

/** Opened at the first request of the benchmark, because the server starts after the load. */
let isOpen = false;

async function open(): Promise<void> {
  if (!isOpen) {
    loop.open();
    paced.open();
  }
  isOpen = true;
  await until('all connections open', () => loop.isReady && paced.isReady);
}

async function run(milliseconds: number): Promise<Run> {
  await open();
  const before = meter.count();
  const first = loop.done;
  const start = performance.now();
  loop.start();
  await sleep(milliseconds);
  const requests = loop.done - first;
  const seconds = (performance.now() - start) / 1000;
  const after = meter.count();
  loop.stop();
  // The processes may be stopped after the answer: what is under way then would be taken for lost.
  await until('all responses', () => loop.underWay === 0);
  const { tcp_retransmitted_segments: retransmitted = 0 } = net.report();
  const loadBusy = await busyShare(before, after, () => meter.count());
  return { requests, seconds, loadBusy, errors: loop.errors, retransmitted };
}

async function runPaced(rate: number, milliseconds: number): Promise<PacedRun> {
  await open();
  const start = performance.now();
  paced.start(rate);
  await sleep(milliseconds);
  paced.stop();
  const seconds = (performance.now() - start) / 1000;
  await until('all responses', () => paced.isIdle);
  if (paced.fault !== '') process.stderr.write(`a connection has ended: ${paced.fault}\n`);
  return paced.result(seconds);
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(
  ([what, ...numbers]) =>
    what === 'paced' ? runPaced(Number(numbers[0]), Number(numbers[1])) : run(Number(numbers[0])),
  () => stop.abort(),
);
await runStack(port.core(), meter, { signal: stop.signal });
await port.stop();
process.exit();
