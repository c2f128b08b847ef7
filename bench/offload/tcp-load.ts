/**
 * The load of the rows `tcp-bulk`: two stacks in one process on one CPU. The first sends to the second over one TCP
 * connection, as much as it takes. It answers a request `run MILLISECONDS` with a {@link Run}, and `totals` with what the
 * sender has counted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pollUntilAborted } from '../../drivers/poll-loop.js';
import { init, type SinglePort } from '../../src/index.js';
import { type Connection, TcpIp } from '../../src/tcpip/index.js';
import { answerRequests } from '../common/bench-process.js';
import { macBehind } from '../common/embedded-switch.js';
import { RECEIVER_IP, type Run, SENDER_IP, type Setup } from './rows.js';

/** RFC 863. */
const DISCARD_PORT = 9;
/** Bytes of a write: what an application reads from a file at once. */
const WRITE_BYTES = 65_536;
/** Time until the congestion window has grown again after a pause, in ms. */
const SETTLE_MS = 100;
/** How long what was sent may take to arrive, in ms. */
const ARRIVAL_MS = 10_000;

const { sockets, offloads, cpu, hugepages } = JSON.parse(process.argv[2]) as Setup;

function openPort(port: number, ip: string): Promise<SinglePort> {
  return init({
    device: `vhost-user:${sockets[port]}`,
    ...{ ip: `${ip}/24`, mac: macBehind(port), cores: [cpu], offloads },
    hugepages: hugepages ? 'require' : 'never',
  });
}

const ports = [await openPort(0, SENDER_IP), await openPort(1, RECEIVER_IP)];
const [sender, receiver] = ports.map((port) => new TcpIp(port.core()));

let bytes = 0;
receiver.tcp.listen(
  { port: DISCARD_PORT },
  {
    data(_connection, _bytes, _offset, length) {
      bytes += length;
    },
    end: (connection) => connection.end(),
  },
);

const block = new Uint8Array(WRITE_BYTES).fill(0x55);
let isSending = false;
let open = (_connection: Connection): void => {};
const opened = new Promise<Connection>((resolve) => {
  open = resolve;
});
const send = (connection: Connection): void => {
  while (isSending && connection.write(block) === block.length);
};
const end = new AbortController();
sender.tcp.connect(
  { address: RECEIVER_IP, port: DISCARD_PORT },
  {
    open,
    drain: send,
    close(_connection, error) {
      if (end.signal.aborted) return;
      process.stderr.write(`the connection has ended: ${error?.message ?? 'by the receiver'}\n`);
      process.exit(1);
    },
  },
);

async function run(milliseconds: number): Promise<Run> {
  const connection = await opened;
  isSending = true;
  send(connection);
  await sleep(SETTLE_MS);
  const before = bytes;
  const start = performance.now();
  await sleep(milliseconds);
  const done = { bytes: bytes - before, seconds: (performance.now() - start) / 1000 };
  isSending = false;
  // The process may be stopped after the answer: segments on the way would be taken for lost.
  const deadline = performance.now() + ARRIVAL_MS;
  while (connection.buffered > 0 && performance.now() < deadline) await sleep(1);
  return done;
}

process.once('SIGTERM', () => end.abort());
answerRequests(
  ([what, milliseconds]) => (what === 'run' ? run(Number(milliseconds)) : sender.report()),
  () => end.abort(),
);
// The number of packets tells the loop only when to sleep, and without `sleep` it never does.
await pollUntilAborted({ poll: () => sender.poll() + receiver.poll() }, { signal: end.signal });
await Promise.all(ports.map((port) => port.stop()));
process.exit();
