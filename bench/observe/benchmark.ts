/**
 * `bench -- observe`: what it costs a process that somebody looks into it. One and the same server is measured in turns, with
 * nobody and with somebody: a ratio of 0.98 means that looking costs 2 %.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../../scripts/child.js';
import { PAGE } from '../../src/apps/http/answers.js';
import { BenchProcess } from '../common/bench-process.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { NoiseGuard } from '../common/noise.js';
import { openOurSide } from '../common/sides.js';
import { alternate, timing } from '../common/windows.js';
import type { LoadRun } from '../http/setup.js';
import { CLIENT, type Run, SERVER, type Setup } from '../kernel/setup.js';
import { figure, type Row, row } from '../report/report.js';
import { controlOf, WATCHERS, type Watch } from './watchers.js';

const PEER = 'unobserved';
/** Everybody looks once per second: each window has a look. */
const WINDOW_S = 1;

/** A server under load. */
interface Loaded {
  readonly server: Child;
  /** The processes that spin. */
  readonly spinning: readonly number[];
  /** Requests per second. */
  measure(seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** A server, by its name. @param more options of `tspmd run` */
type Open = (folder: string, more: readonly string[]) => Promise<Loaded>;

const METRICS = ['--metrics', '0'];

/** UDP of 64 bytes to the app `echo`, from a client that is the device's backend. */
const openEcho: Open = async (folder, more) => {
  const { common, contestant } = benchCpus();
  const socket = join(folder, 'nic.sock');
  const setup: Setup = { transport: 'vhost-user', name: socket, cpu: common };
  const client = await BenchProcess.start('kernel/client.js', setup);
  const address = ['--ip', `${SERVER.ip}/24`, '--mac', SERVER.mac, '--neighbour', `${CLIENT.ip}=${CLIENT.mac}`];
  const device = ['--device', `vhost-user:${socket}`, ...address, '--cores', String(contestant)];
  const server = Child.tspmd('run', ...device, '--app', 'echo', '--idle', 'spin', ...more);
  const close = async (): Promise<void> => void (await Promise.allSettled([server.stop(), client.stop()]));
  await server.waitFor(/^ready/m).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    server,
    spinning: [client.child.pid],
    async measure(seconds) {
      const { requests, seconds: took } = await client.ask<Run>(seconds * 1000);
      if (requests === 0) throw new Error(`no answer; the server wrote:\n${server.output}`);
      return requests / took;
    },
    close,
  };
};

/** Small responses of the app `http`, from the load of `bench -- http`. */
const openHttp: Open = async (_, more) => {
  const options = { load: 'http/load.js', setup: { bodyBytes: PAGE.length } };
  const { server, load, close } = await openOurSide('tspmd', options, ({ device, ip, mac, cpu }) =>
    Child.tspmd(
      ...['run', '--device', device, '--ip', ip, '--mac', mac, '--cores', String(cpu)],
      ...['--offloads', 'off', '--app', 'http', '--idle', 'spin', ...more],
    ),
  );
  return {
    ...{ server, close, spinning: [load.child.pid] },
    async measure(seconds) {
      const { requests, errors, seconds: took } = await load.ask<LoadRun>('run', seconds * 1000, server.pid);
      if (requests === 0 || errors > 0) throw new Error(`${requests} answers, ${errors} errors:\n${server.output}`);
      return requests / took;
    },
  };
};

const SERVERS: Readonly<Record<string, Open>> = { 'udp-echo': openEcho, http: openHttp };

interface Spec {
  readonly name: string;
  readonly open: Open;
  readonly watch: Watch;
  readonly leavesMs: number;
}

const SPECS: readonly Spec[] = Object.entries(SERVERS).flatMap(([server, open]) =>
  Object.entries(WATCHERS).map(([way, watcher]) => ({ name: `${server}/${way}`, open, ...watcher })),
);

async function measure({ name, open, watch, leavesMs }: Spec, plan: Plan): Promise<Row> {
  const { windows, warmUp } = timing(plan.isQuick);
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const guard = await NoiseGuard.begin();
  const loaded = await open(folder, METRICS);
  try {
    const { server, spinning } = loaded;
    const file = await controlOf(server.pid);
    const [, url] = await server.waitFor(/^metrics: (\S+)/m);
    const watched = async (work: () => Promise<number>): Promise<number> => {
      const end = await watch(file, url);
      try {
        return await work();
      } finally {
        await end();
      }
    };
    const window = (): Promise<number> => guard.watch(spinning, () => loaded.measure(WINDOW_S));
    // V8 compiles what only a look calls, too.
    await loaded.measure(warmUp);
    await watched(() => loaded.measure(warmUp));
    const ways = [watched, (work: () => Promise<number>) => work()];
    const [observed, alone] = await alternate(ways, windows, plan, async (way) => {
      // Before both, because a machine that has rested is faster.
      await sleep(leavesMs);
      return way(window);
    });
    const [ours, theirs] = [
      figure(observed.map(Math.round), 'requests/s'),
      figure(alone.map(Math.round), 'requests/s'),
    ];
    return row(name, ours, { [PEER]: theirs }, { noise: await guard.end([ours, theirs]) });
  } finally {
    await loaded.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const observe: Benchmark = {
  summary: 'what it costs a process that somebody looks into it: requests per second, against nobody',
  rows: SPECS.map(({ name }) => name),
  quickRows: ['udp-echo/top', 'http/metrics'],
  missing: () => [],
  measure: (rows, plan) =>
    measureEach(
      SPECS.filter(({ name }) => rows.includes(name)),
      plan,
      (spec) => measure(spec, plan),
    ),
};
