/**
 * The load of the rows with requests. It answers `run MILLISECONDS PID` with a `LoopRun`, `paced RATE MILLISECONDS`
 * with a {@link PacedRun}, when nothing is under way any more, and `polls` with a `PollCount`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runStack } from '../../../src/index.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { runLoop, until } from '../../common/load/closed-loop.js';
import { PollMeter } from '../../common/load/poll-meter.js';
import { openLoadPort } from '../../common/sides.js';
import { OpenConnections, ShortConnections } from './closed-loop.js';
import { Paced } from './paced.js';
import type { PacedRun, RequestSetup } from './setup.js';

/** Ports come round within half a second at 60,000 connections per second. */
const TIME_WAIT_MS = 10;

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

/** Opened at the first request of the benchmark, because the server starts after the load. */
let isOpen = false;

async function runPaced(rate: number, milliseconds: number): Promise<PacedRun> {
  if (!isOpen) paced.open();
  isOpen = true;
  await until('all connections open', () => paced.isReady);
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
  ([what, ...numbers]) => {
    const [first, second] = numbers.map(Number);
    if (what === 'polls') return meter.count();
    return what === 'paced' ? runPaced(first, second) : runLoop(loop, meter, first, second);
  },
  () => stop.abort(),
);
await runStack(port.core(), meter, { signal: stop.signal });
await port.stop();
process.exit();
