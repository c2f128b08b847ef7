/**
 * Measures the row `connections/100000` of `bench -- tcp`: what an idle connection takes, and whether the requests of one
 * connection become slower among many that are idle. The load is the same program for both contestants.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { BenchProcess } from '../../common/bench-process.js';
import { firstLine, type Plan } from '../../common/benchmark.js';
import { NoiseGuard } from '../../common/noise.js';
import { KERNEL_SETTINGS, openKernelSide, openOurSide, type Side } from '../../common/sides.js';
import { timing } from '../../common/windows.js';
import { type Figure, figure, type Row, row } from '../../report/report.js';
import { growth, type Memory, readMemory } from './memory.js';
import { CONNECTIONS, IDLE_ROW, type IdleSetup, type Opened, QUICK_CONNECTIONS, type Rate } from './setup.js';

const OURS = 'tspmd';
const PEER = 'node-net';
const LOAD = 'tcp/idle/load.js';
/** Open files beside the connections. */
const OTHER_FILES = 1000;
/** How long the server may take to notice that connections are closed, in ms. */
const CLOSE_MS = 20_000;
const FLAGS = ['--expose-gc'];

const pathOf = (script: string): string => fileURLToPath(new URL(script, import.meta.url));

type Setup = Pick<IdleSetup, 'connections'>;

function openOurs(connections: number): Promise<Side> {
  return openOurSide<Setup>(OURS, { load: LOAD, setup: { connections } }, (place) =>
    Child.spawn(process.execPath, [...FLAGS, pathOf('server.js'), JSON.stringify(place)]),
  );
}

/** Raises the limit of open files if it may, and becomes the program. */
const WITH_FILES = 'ulimit -n "$0" 2>/dev/null; exec "$@"';

function openNode(connections: number): Promise<Side> {
  const files = String(connections + OTHER_FILES);
  return openKernelSide<Setup>(PEER, { load: LOAD, setup: { connections } }, (run) =>
    run('sh', '-c', WITH_FILES, files, process.execPath, ...FLAGS, pathOf('node-server.js')),
  );
}

/** How many connections a server may have by its limit of open files. */
function mostFor({ name, server }: Side, wanted: number): number {
  if (name === OURS) return wanted;
  const [, most = 'unlimited'] =
    readFileSync(`/proc/${server.pid}/limits`, 'utf8').match(/^Max open files\s+(\S+)/m) ?? [];
  return most === 'unlimited' ? wanted : Math.min(wanted, Number(most) - OTHER_FILES);
}

/** What was measured of one contestant. */
interface Measured {
  readonly opened: Opened;
  /** Bytes per connection. */
  readonly memory: Memory;
  /** Requests per second on one connection: with no others, and among the idle ones. */
  readonly alone: Figure;
  readonly among: Figure;
}

const totalOf = (memory: Memory): number => memory.process + memory.slab + memory.buffers;

async function measureSide(side: Side, connections: number, plan: Plan): Promise<Measured> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const { load } = side;
  const server = BenchProcess.of(side.server);
  const rate = async (seconds: number): Promise<number> => {
    plan.stop.throwIfAborted();
    const { requests, seconds: took } = await load.ask<Rate>('rate', seconds * 1000);
    return Math.round(requests / took);
  };
  const rates = async (): Promise<number[]> => {
    const values: number[] = [];
    for (let i = 0; i < windows; i++) values.push(await rate(window));
    return values;
  };
  await rate(warmUp);
  const before = await rates();
  await server.ask('connections');
  const empty = readMemory(side.server.pid);
  const most = mostFor(side, connections);
  const opened = await load.ask<Opened>('open', most);
  const held = await settled(server, (count) => count > opened.opened);
  if (held < opened.opened)
    throw new Error(`${side.name}: the server has only ${held} of ${opened.opened} connections`);
  const memory = growth(empty, readMemory(side.server.pid), opened.opened);
  const among = await rates();
  await load.ask('close');
  await settled(server, (count) => count <= 1);
  const after = await rates();
  const why =
    opened.why === '' && most < connections ? 'the limit of open files, which this machine does not raise' : opened.why;
  return {
    opened: { ...opened, why },
    memory,
    alone: figure([...before, ...after], 'requests/s'),
    among: figure(among, 'requests/s'),
  };
}

/** Waits until the server has as many connections as `isReached` wants. Returns how many it has. */
async function settled(server: BenchProcess, isReached: (count: number) => boolean): Promise<number> {
  const deadline = performance.now() + CLOSE_MS;
  for (;;) {
    const count = await server.ask<number>('connections');
    if (isReached(count) || performance.now() > deadline) return count;
  }
}

function describe({ opened, memory, alone, among }: Measured): Record<string, unknown> {
  return {
    'idle connections': opened.opened,
    ...(opened.why === '' ? {} : { 'why not more': opened.why }),
    'seconds to open them': Number(opened.seconds.toFixed(2)),
    'bytes per connection': memory,
    'rate of one': { alone, among, ratio: Number((among.median / alone.median).toFixed(3)) },
  };
}

/** Measures the row. Rejects when our side cannot be measured. */
export async function measureIdle(plan: Plan): Promise<Row> {
  const connections = plan.isQuick ? QUICK_CONNECTIONS : CONNECTIONS;
  const guard = await NoiseGuard.begin();
  const measured: Record<string, Measured> = {};
  for (const open of [openOurs, openNode]) {
    let side: Side | null = null;
    try {
      side = await open(connections);
      const own = side;
      measured[own.name] = await guard.watch([own.load.child.pid], () => measureSide(own, connections, plan));
    } catch (error) {
      plan.stop.throwIfAborted();
      if (open === openOurs) throw error;
      plan.lost(`${IDLE_ROW} against ${PEER}`, firstLine(error as Error));
    } finally {
      await side?.close().catch((error: Error) => plan.progress(firstLine(error)));
    }
  }
  const { [OURS]: ours, ...peers } = Object.fromEntries(
    Object.entries(measured).map(([name, { memory }]) => [name, figure([totalOf(memory)], 'bytes/connection')]),
  );
  const rates = Object.values(measured).flatMap(({ alone, among }) => [alone, among]);
  const more = {
    'wanted connections': connections,
    ...Object.fromEntries(Object.entries(measured).map(([name, each]) => [name, describe(each)])),
    counted: {
      process: 'growth of RssAnon of the server, after garbage collections; packet memory is shared, so not in it',
      slab: "growth of SReclaimable and SUnreclaim of the machine: the kernel's sockets, files and items of epoll",
      buffers: "growth of the memory of the sockets' buffers (/proc/net/sockstat)",
    },
    'kernel settings': KERNEL_SETTINGS,
  };
  return row(IDLE_ROW, ours, peers, { better: 'less', noise: await guard.end(rates), more });
}
