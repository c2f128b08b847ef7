/**
 * `bench -- kernel`: compares UDP echo by our app `echo` with UDP echo by Node's `dgram` on the kernel's network, in a
 * network namespace. The same client program takes the place of the NIC for both.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { BenchProcess } from '../common/bench-process.js';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { benchCpus, cpuSeconds } from '../common/cpus.js';
import { compared, figureOf, missingForTap } from '../common/kernel-side.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, PausableProcesses, timing } from '../common/windows.js';
import { type Row, row } from '../report/report.js';
import { CLIENT, type Run, SERVER, type Setup } from './setup.js';

const NAME = 'udp-echo/64';
const SCRIPT = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A server and its client. */
interface Pair {
  readonly client: BenchProcess;
  readonly server: Child;
  readonly processes: PausableProcesses;
}

interface Window {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

async function openOurs(folder: string): Promise<Pair> {
  const { common, contestant } = benchCpus();
  const socket = join(folder, 'nic.sock');
  const setup: Setup = { transport: 'vhost-user', name: socket, cpu: common };
  const client = await BenchProcess.start('kernel/client.js', setup);
  const address = ['--ip', `${SERVER.ip}/24`, '--mac', SERVER.mac, '--neighbour', `${CLIENT.ip}=${CLIENT.mac}`];
  const device = ['--device', `vhost-user:${socket}`, ...address];
  const server = Child.tspmd('run', ...device, '--app', 'echo', '--idle', 'spin', '--cores', String(contestant));
  const pair = { client, server, processes: new PausableProcesses([server, client.child]) };
  await ready(pair, /^ready/m);
  return pair;
}

async function openDgram(namespace: NetworkNamespace): Promise<Pair> {
  const { common, contestant } = benchCpus();
  namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
  namespace.ip('link', 'set', 'tap0', 'address', SERVER.mac);
  namespace.ip('addr', 'add', `${SERVER.ip}/24`, 'dev', 'tap0');
  namespace.ip('link', 'set', 'tap0', 'up');
  namespace.ip('neigh', 'add', CLIENT.ip, 'lladdr', CLIENT.mac, 'dev', 'tap0');
  const setup: Setup = { transport: 'tap', name: 'tap0', cpu: common };
  const client = await BenchProcess.start('kernel/client.js', setup, [], namespace);
  const server = namespace.spawn(process.execPath, SCRIPT('dgram-echo.js'), String(contestant));
  const pair = { client, server, processes: new PausableProcesses([server, client.child]) };
  await ready(pair, /^ready$/m);
  return pair;
}

async function ready({ server, processes }: Pair, pattern: RegExp): Promise<void> {
  try {
    await server.waitFor(pattern);
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

async function measureWindow({ client, server }: Pair, seconds: number): Promise<Window> {
  const before = cpuSeconds(server.pid);
  const { requests, seconds: took } = await client.ask<Run>(seconds * 1000);
  if (requests === 0) throw new Error(`${NAME}: no answer; the server wrote:\n${server.output}`);
  const cpu = Math.max(cpuSeconds(server.pid) - before, 0.01);
  return { perSecond: Math.round(requests / took), perCpuSecond: Math.round(requests / cpu) };
}

async function measure(plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const namespace = NetworkNamespace.create();
  const pairs: Pair[] = [];
  try {
    const guard = await NoiseGuard.begin();
    for (const open of [() => openOurs(folder), () => openDgram(namespace)]) {
      const pair = await open();
      pairs.push(pair);
      await measureWindow(pair, warmUp);
      pair.processes.pause();
    }
    const [ours, dgram] = await alternate(pairs, windows, plan, (pair) =>
      pair.processes.during(() =>
        // Only the client spins with both servers. The server on the kernel sleeps while it has nothing to do.
        guard.watch([pair.client.child.pid], () => measureWindow(pair, Math.max(window, 0.3))),
      ),
    );
    const [a, b] = [figureOf(ours, 'perSecond', 'requests/s'), figureOf(dgram, 'perSecond', 'requests/s')];
    const perCpu = (windows: Window[]) => figureOf(windows, 'perCpuSecond', 'requests/CPU s');
    const cpu = compared('node-dgram', perCpu(ours), perCpu(dgram));
    const more = { 'per CPU second': cpu };
    return row(NAME, a, { 'node-dgram': b }, { noise: await guard.end([a, b]), more });
  } finally {
    await Promise.allSettled(pairs.map(({ processes }) => processes.stop()));
    namespace.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const kernel: Benchmark = {
  summary: "UDP echo: requests per second, and per CPU second, against Node's dgram on the kernel's network",
  rows: [NAME],

  missing: missingForTap,

  async measure(_, plan) {
    const done = await measure(plan);
    plan.progress(`${done.name}: ratio ${done.ratio['node-dgram']}${done.noise?.conclusive ? '' : ', in doubt'}`);
    return [done];
  },
};
