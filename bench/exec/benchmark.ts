/**
 * `bench -- exec`: requests per second of one and the same HTTP server, under `tspmd exec` and on the kernel's network
 * behind a tap. The same load generator (`tspmd get --requests`) reaches both through the embedded switch.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { cpuSeconds } from '../common/cpus.js';
import { compared, figureOf, missingForTap } from '../common/kernel-side.js';
import { alternate, PausableProcesses } from '../common/windows.js';
import { type Row, row } from '../report/report.js';

const NAME = 'exec/hello';
const SERVER_PROGRAM = fileURLToPath(new URL('hello.js', import.meta.url));
const SCRIPT = (name: string): string => fileURLToPath(new URL(`../../../bess/${name}`, import.meta.url));
const CLIENT = { ip: '10.0.0.1', mac: '52:54:00:00:00:01' } as const;
const SERVER = { ip: '10.0.0.2', mac: '52:54:00:00:00:02' } as const;
const CONNECTIONS = 64;
/** Requests of one window. */
const REQUESTS = 30_000;
const QUICK_REQUESTS = 5_000;
const WINDOWS = 5;
const CLIENT_MS = 60_000;

/** A server, and the switch that leads to it. */
interface Contestant {
  readonly socket: string;
  readonly server: Child;
  readonly processes: PausableProcesses;
}

interface Window {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly p99Us: number;
}

async function startAll(bess: Child, start: () => Child, setUp: () => void): Promise<[Child, PausableProcesses]> {
  try {
    await bess.waitFor(/^ready/m);
    setUp();
    const server = start();
    const processes = new PausableProcesses([server, bess]);
    await server.waitFor(/^listening$/m).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
    return [server, processes];
  } catch (error) {
    await bess.stop();
    throw error;
  }
}

async function openOurs(folder: string): Promise<Contestant> {
  const [socket, own] = [join(folder, 'vm1.sock'), join(folder, 'vm2.sock')];
  const bess = Child.tspmd('switch', SCRIPT('forward_script.bess'), `VM1_SOCKET=${socket}`, `VM2_SOCKET=${own}`);
  const device = ['--device', `vhost-user:${own}`, '--ip', `${SERVER.ip}/24`, '--mac', SERVER.mac];
  const start = (): Child => Child.tspmd('exec', ...device, '--', SERVER_PROGRAM);
  const [server, processes] = await startAll(bess, start, () => {});
  return { socket, server, processes };
}

async function openKernel(folder: string, namespace: NetworkNamespace): Promise<Contestant> {
  const socket = join(folder, 'vm.sock');
  const variables = [`VM_SOCKET=${socket}`, 'TAP=tap0', `TAP_MAC=${SERVER.mac}`];
  const bess = namespace.tspmd('switch', SCRIPT('kernel.bess'), ...variables);
  const start = (): Child => namespace.spawn(process.execPath, SERVER_PROGRAM);
  const setUp = (): void => {
    namespace.ip('addr', 'add', `${SERVER.ip}/24`, 'dev', 'tap0');
    namespace.ip('link', 'set', 'tap0', 'up');
  };
  const [server, processes] = await startAll(bess, start, setUp);
  return { socket, server, processes };
}

async function measureWindow({ socket, server }: Contestant, requests: number): Promise<Window> {
  const device = ['--device', `vhost-user:${socket}`, '--ip', `${CLIENT.ip}/24`, '--mac', CLIENT.mac];
  const load = ['--connections', String(CONNECTIONS), '--requests', String(requests), '--json'];
  const before = cpuSeconds(server.pid);
  const client = Child.tspmd('get', `http://${SERVER.ip}/`, ...device, ...load);
  const late = setTimeout(() => client.signal('SIGKILL'), CLIENT_MS);
  const { code } = await client.exited;
  clearTimeout(late);
  if (code !== 0) throw new Error(`${NAME}: the load generator has failed:\n${client.output}`);
  const result = JSON.parse(client.stdout) as { done: number; requestsPerSecond: number; latencyUs: { p99: number } };
  const cpu = Math.max(cpuSeconds(server.pid) - before, 0.01);
  return {
    perSecond: Math.round(result.requestsPerSecond),
    perCpuSecond: Math.round(result.done / cpu),
    p99Us: result.latencyUs.p99,
  };
}

async function measure(plan: Plan): Promise<Row> {
  const requests = plan.isQuick ? QUICK_REQUESTS : REQUESTS;
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const namespace = NetworkNamespace.create();
  const contestants: Contestant[] = [];
  try {
    for (const open of [() => openOurs(folder), () => openKernel(folder, namespace)]) {
      const contestant = await open();
      contestants.push(contestant);
      // Until V8 has compiled the server.
      await measureWindow(contestant, requests);
      contestant.processes.pause();
    }
    const [ours, kernel] = await alternate(contestants, WINDOWS, plan, async (contestant) => {
      contestant.processes.resume();
      try {
        return await measureWindow(contestant, requests);
      } finally {
        contestant.processes.pause();
      }
    });
    const perCpu = (windows: Window[]) => figureOf(windows, 'perCpuSecond', 'requests/CPU s');
    const cpu = compared('node-http', perCpu(ours), perCpu(kernel));
    const p99 = { tspmd: figureOf(ours, 'p99Us', 'µs'), 'node-http': figureOf(kernel, 'p99Us', 'µs') };
    const rates = [figureOf(ours, 'perSecond', 'requests/s'), figureOf(kernel, 'perSecond', 'requests/s')] as const;
    const more = { 'per CPU second of the server': cpu, 'p99 of the latency': p99 };
    return row(NAME, rates[0], { 'node-http': rates[1] }, { more });
  } finally {
    await Promise.allSettled(contestants.map(({ processes }) => processes.stop()));
    namespace.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const exec: Benchmark = {
  summary: "a Node HTTP server under tspmd exec: requests per second, against the same server on the kernel's network",
  rows: [NAME],

  missing: missingForTap,

  async measure(_, plan) {
    const done = await measure(plan);
    plan.progress(`${done.name}: ratio ${done.ratio['node-http']}`);
    return [done];
  },
};
