/**
 * A process with two stacks that open many connections to each other, and that measures its memory. Run it with
 * --expose-gc.
 *
 * Arguments: `idle N`: N connections at the same time, which do nothing. `churn N`: N connections, a few hundred at a
 * time, each of which carries some bytes both ways and is closed in one of several ways. Prints one line of JSON, a
 * {@link ManyConnections}.
 */
import { TcpIp } from '../../../../src/tcpip/index.js';
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { checkInvariants, partsOf } from '../invariants.js';
import { join, openStation } from './station.js';

export interface ManyConnections {
  /** Connections that were open at the same time, at most; and all that were opened. */
  most: number;
  opened: number;
  /** Bytes of heap and of all array buffers per connection of one stack, all that a stack takes included. */
  bytesPerConnection: number;
  /** The same for the whole process, as the system counts its pages. */
  residentPerConnection: number;
  /** What the reports of both stacks counted with all connections open, and when all were closed, summed up. */
  open: Record<string, number>;
  closed: Record<string, number>;
  /** Heap and array buffers after a tenth of the connections, and after all of them. */
  early: number;
  late: number;
}

const PORTS = [80, 81, 82, 83, 84, 85, 86, 87];
const AT_ONCE = 400;
const BATCH = 200;
const TIME_WAIT_MS = 60_000;
const DATA = new Uint8Array(3000);
/** What is reported of both stacks. */
const NAMES = ['tcp_connections', 'tcp_time_wait', 'tcp_timers', 'tcp_memory', 'tcp_opened_passive', 'tcp_closed'];

const collect = (globalThis as { gc?: () => void }).gc;
if (!collect) throw new Error('run with --expose-gc');
const isIdle = process.argv[2] === 'idle';
const wanted = Number(process.argv[3]);

const time = { now: 1 };
const stations = [await openStation({ number: 1, time }), await openStation({ number: 2, time })] as const;
join(...stations);
const used = (): number => {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const before = used();
const residentBefore = process.memoryUsage().rss;
const sizes = isIdle ? { maxConnections: wanted, maxTimeWait: 1024 } : { maxConnections: 1024 };
const options = { ...sizes, timeWaitMs: TIME_WAIT_MS, seed: 1 };
const nets = stations.map(({ core }) => new TcpIp(core, options));
const [server, client] = nets as [TcpIp, TcpIp];

let open = 0;
let failed = 0;
let closed = 0;
const passive: TcpHandlers = {
  data: (connection, bytes, offset, length) => void connection.write(bytes, offset, length),
  end: (connection) => connection.end(),
};
/** Each connection is closed in the way that its number says. */
const active: TcpHandlers = {
  open: (connection) => {
    open++;
    if (!isIdle) connection.write(DATA, 0, 1 + ((open * 97) % DATA.length));
  },
  data: (connection) => {
    if (connection.context === 0) connection.abort();
    else connection.end();
  },
  close: (_connection, error) => {
    closed++;
    if (error !== null) failed++;
  },
};
for (const port of PORTS) server.tcp.listen({ port, backlog: 4096 }, passive);

/** Polls both until neither has anything to do at once. */
function settle(): void {
  for (let rounds = 0; ; rounds++) {
    if (rounds > 100_000) throw new Error('the stacks do not come to rest');
    let handled = 0;
    for (let i = 0; i < 2; i++) {
      handled += nets[i]!.poll();
      stations[i]!.core.flush();
      handled += stations[i]!.device.waiting;
    }
    if (handled === 0) return;
  }
}

function pass(ms: number): void {
  const end = time.now + ms;
  while (time.now < end) {
    time.now += Math.min(end - time.now, Math.max(1, Math.min(client.maxSleepMs(), server.maxSleepMs())));
    settle();
  }
}

const totals = (): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const net of nets) {
    const report = net.report();
    for (const name of NAMES) sums[name] = (sums[name] ?? 0) + report[name]!;
  }
  return sums;
};

let opened = 0;
let most = 0;
const connect = (): void => {
  const connection: Connection = client.tcp.connect(
    { address: stations[0].address, port: PORTS[opened % PORTS.length]! },
    active,
  );
  connection.context = opened++ % 8;
};

const check = (): void => {
  for (const { tcp } of nets) checkInvariants(tcp);
};

let early = 0;
if (isIdle) {
  while (opened < wanted) {
    for (let i = 0; i < BATCH && opened < wanted; i++) connect();
    time.now += 1;
    settle();
  }
  // Delayed ACKs and other timers of the opening.
  pass(1000);
} else {
  while (closed < wanted) {
    while (opened - closed < AT_ONCE && opened < wanted) connect();
    time.now += 5;
    settle();
    most = Math.max(most, partsOf(client.tcp).table.size);
    if (early === 0 && closed >= wanted / 10) early = used();
  }
}
if (isIdle) most = partsOf(client.tcp).table.size;
const atMost = totals();
const memory = used();
const resident = process.memoryUsage().rss;
check();
if (isIdle) {
  // In small numbers, so that no RST gets lost.
  for (const [i, connection] of partsOf(client.tcp).table.connections.entries()) {
    connection.abort();
    if (i % BATCH === 0) settle();
  }
  settle();
}
pass(2 * TIME_WAIT_MS);
for (const net of nets) net.poll();
check();
const result: ManyConnections = {
  ...{ most, opened, open: atMost, closed: totals(), early },
  bytesPerConnection: (memory - before) / 2 / most,
  residentPerConnection: (resident - residentBefore) / 2 / most,
  late: used(),
};
if (failed > 0 || open !== opened) throw new Error(`${opened} connects, ${open} opened, ${failed} failed`);
process.stdout.write(`${JSON.stringify(result)}\n`);
for (const { port } of stations) await port.stop();
