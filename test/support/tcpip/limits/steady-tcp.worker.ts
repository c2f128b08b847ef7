/**
 * A process in which two stacks talk to each other without a pause, one of them with the app `tcp-echo`, and which
 * watches its own heap. Run it with --expose-gc, and with --max-semi-space-size so large that nothing is collected in a
 * short run: then the growth of the heap is what was allocated.
 *
 * Arguments: the number of segments, and what kind of traffic. Prints one line of JSON, a {@link SteadyTcp}.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import createTcpEcho from '../../../../src/apps/tcp-echo.js';
import { TcpIp } from '../../../../src/tcpip/index.js';
import type { TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { join, openStation } from './station.js';
import { type SteadyTcp, TRAFFIC, type Traffic } from './traffic.js';

const PORT = 7;
const ROUNDS = 1024;
/** How much time passes per round, in ms. */
const ROUND_MS = 0.25;
const WARM_UP = 250_000;

const collect = (globalThis as { gc?: () => void }).gc;
if (!collect) throw new Error('run with --expose-gc');
const wanted = Number(process.argv[2]);
const { connections, size, lose, offloads } = TRAFFIC[process.argv[3] as Traffic];

const time = { now: 1 };
const server = await openStation({ number: 1, time, offloads });
const client = await openStation({ number: 2, time, offloads });
join(server, client);
const echo = createTcpEcho(server.core, { port: String(PORT) });
const net = new TcpIp(client.core, { maxConnections: 64 });

/** Bytes that came back: in an array, because a variable beyond 2^31 would be an object per addition. */
const bytes = new Float64Array(8);
let place = 0;
const data = new Uint8Array(size);
/** What comes back goes out again, from where it lies in the packet. */
const handlers: TcpHandlers = {
  open: (connection) => void connection.write(data, 0, size),
  data: (connection, from, offset, length) => {
    bytes[0]! += length;
    connection.write(from, offset, length);
  },
};
for (let i = 0; i < connections; i++) {
  net.tcp.connect({ address: server.address, port: PORT, noDelay: true }, handlers);
}

/** Runs until both have sent `count` segments. */
async function run(count: number): Promise<number> {
  const start = server.device.frames + client.device.frames;
  let sent = 0;
  while (sent < count) {
    for (let round = 0; round < ROUNDS; round++) {
      time.now += ROUND_MS;
      echo.poll();
      server.core.flush();
      if (lose > 0 && ++place % lose === 0) client.device.dropNext = 1;
      net.poll();
      client.core.flush();
      if (lose > 0 && place % lose === lose >> 1) server.device.dropNext = 1;
    }
    sent = server.device.frames + client.device.frames - start;
    await turn();
  }
  return sent;
}

/** The kind of collection of a performance entry of type `gc`; Node's types lack its detail. */
function kindOf(entry: object): number | undefined {
  return (entry as { detail?: { kind?: number } }).detail?.kind;
}

await run(WARM_UP);
let scavenges = 0;
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MINOR) scavenges++;
});
collect();
const heapBefore = process.memoryUsage().heapUsed;
const bytesBefore = bytes[0]!;
observer.observe({ entryTypes: ['gc'] });
const segments = await run(wanted);
const allocated = process.memoryUsage().heapUsed - heapBefore;
// The entries of the last turn are delivered in their own turn.
await turn();
observer.disconnect();
collect();
const result: SteadyTcp = {
  ...{ segments, bytes: bytes[0]! - bytesBefore, scavenges, allocated, heapBefore },
  gso: net.report().tcp_gso_in! + echo.report!().tcp_gso_in!,
  resent: net.report().tcp_retransmitted_segments ?? 0,
  heapAfter: process.memoryUsage().heapUsed,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await client.port.stop();
await server.port.stop();
