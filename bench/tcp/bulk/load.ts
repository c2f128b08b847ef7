/**
 * The load of the bulk rows, for every contestant the same: our stack at the other end of the server's link. Each
 * measurement has a connection of its own. It answers `run tx|rx MILLISECONDS` with a {@link Run}, and
 * `check tx|rx BYTES` with a {@link Check}.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { openLoadPort } from '../../common/sides.js';
import { makeBlock } from './block.js';
import type { BulkSetup, Direction, Run } from './setup.js';
import { check, Receiver, Sender, type Source } from './transfers.js';

/** Time until the windows have grown, in ms. */
const SETTLE_MS = 150;

const setup = JSON.parse(process.argv[2]) as BulkSetup;
const port = await openLoadPort(setup);
const net = new TcpIp(port.core());
const source: Source = { net, protocol: setup.protocol, block: makeBlock() };

const busyMs = (): number => port.counters().loop_busy_ms ?? 0;

async function run(direction: Direction, milliseconds: number): Promise<Run> {
  const transfer = direction === 'tx' ? new Receiver(source) : new Sender(source);
  const connection = await transfer.running;
  await sleep(SETTLE_MS);
  const before = { bytes: transfer.bytes, busy: busyMs() };
  const start = performance.now();
  await sleep(milliseconds);
  const bytes = transfer.bytes - before.bytes;
  const ms = performance.now() - start;
  const busy = (busyMs() - before.busy) / ms;
  const { retransmitted } = connection.info();
  await transfer.stop();
  return { bytes, seconds: ms / 1000, busy, retransmitted };
}

const end = new AbortController();
process.once('SIGTERM', () => end.abort());
answerRequests(
  ([what, direction, count]) =>
    what === 'check'
      ? check(source, direction as Direction, Number(count))
      : run(direction as Direction, Number(count)),
  () => end.abort(),
);
await net.run(end.signal);
await port.stop();
process.exit();
