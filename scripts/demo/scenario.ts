/**
 * The scenario of the demo: starts the switch and two endpoints as processes, and collects the results of the traffic.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SwitchStats } from '../../bess/stats.js';
import type { Mode } from '../../src/index.js';
import { Child } from '../child.js';
import { type CoreTraffic, RESULT_MARK, sumOf, type TrafficResult } from './traffic.js';

const SCRIPT = fileURLToPath(new URL('../../../bess/forward_script.bess', import.meta.url));
const TRAFFIC = fileURLToPath(new URL('./traffic.js', import.meta.url));
const SERVER = fileURLToPath(new URL('./server.js', import.meta.url));
const PINGS = 1_000;
const DATAGRAMS = 10_000;
const DOWNLOAD_BYTES = 100 * 2 ** 20;
/** The endpoint waits five seconds for each packet. This limit is for a machine that stands still. */
const TRAFFIC_TIMEOUT_MS = 120_000;

export interface Endpoint {
  readonly ip: string;
  readonly mac: string;
  readonly socket: string;
  /** The CPUs of its threads; empty when they may run on any CPU. */
  readonly cpus: string;
}

export interface DemoResult {
  readonly mode: Mode;
  /** Number of cores of the first endpoint. */
  readonly cores: number;
  readonly endpoints: readonly Endpoint[];
  readonly hugepages: boolean;
  readonly traffic: TrafficResult;
  /** Segments that both endpoints have sent again. */
  readonly retransmitted: number;
  readonly stats: SwitchStats;
  /** Time from the start of the first process to the last packet, in seconds. */
  readonly seconds: number;
}

/** Number of threads of an endpoint with several threads: two cores, and the workers that drive the device. */
const THREADS: Readonly<Record<Mode, number>> = { single: 0, '1kb': 3, '2kb': 4 };

/** Returns the CPUs of an endpoint. The two endpoints use different CPUs. */
function cpusOf(mode: Mode, endpoint: number): string {
  const threads = THREADS[mode];
  return threads === 0 ? '' : `${endpoint * threads}-${(endpoint + 1) * threads - 1}`;
}

/**
 * Runs the scenario. Rejects when something fails. It leaves no process and no socket behind.
 * @param stopRequested when this promise resolves, the scenario ends early, which is a failure
 */
export async function runScenario(mode: Mode, stopRequested: Promise<void>): Promise<DemoResult> {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-demo-'));
  const endpoints = [1, 2].map((i) => ({
    ip: `10.0.0.${i}`,
    mac: `52:54:00:00:00:0${i}`,
    socket: join(directory, `vm${i}.sock`),
    cpus: cpusOf(mode, i - 1),
  }));
  const children: Child[] = [];
  const stopped = stopRequested.then(() => {
    throw new Error('stopped before the end');
  });
  try {
    return await Promise.race([stopped, play(mode, endpoints, children)]);
  } finally {
    await Promise.allSettled(children.reverse().map((child) => child.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The scenario itself. It adds the processes that it starts to `children`; the caller stops them. */
async function play(mode: Mode, endpoints: readonly Endpoint[], children: Child[]): Promise<DemoResult> {
  const start = performance.now();
  const variables = endpoints.flatMap(({ mac, socket }, i) => [`VM${i + 1}_SOCKET=${socket}`, `VM${i + 1}_MAC=${mac}`]);
  const bess = Child.tspmd('switch', SCRIPT, ...variables);
  children.push(bess);
  await bess.waitFor(/^ready.*$/m);

  const [a, b] = endpoints as [Endpoint, Endpoint];
  const server = runEndpoint(b, mode, SERVER);
  children.push(server);
  await server.waitFor(/^ready.*$/m);
  const options = [`to=${b.ip}`, `pings=${PINGS}`, `datagrams=${DATAGRAMS}`, `bytes=${DOWNLOAD_BYTES}`];
  const traffic = runEndpoint(a, mode, TRAFFIC, '--app-option', ...options);
  children.push(traffic);
  const results = await trafficOf(traffic);
  const seconds = (performance.now() - start) / 1000;

  const stats = Child.tspmd('stats', String(bess.pid), '--json');
  children.push(stats);
  const exit = await stats.exited;
  if (exit.code !== 0) throw new Error(`the counters of the switch cannot be read: ${stats.output}`);
  await Promise.all([traffic.stop(), server.stop()]);
  return {
    mode,
    endpoints,
    hugepages: !/using normal pages/.test(server.output + traffic.output),
    cores: results.length,
    traffic: sumOf(results),
    retransmitted: retransmittedBy(server) + retransmittedBy(traffic),
    stats: (JSON.parse(stats.stdout) as { readonly switch: SwitchStats }).switch,
    seconds,
  };
}

/** Waits for the result of each core. */
async function trafficOf(child: Child): Promise<CoreTraffic[]> {
  const line = `^${RESULT_MARK} (.*)$`;
  const [, first = ''] = await child.waitFor(new RegExp(line, 'm'), TRAFFIC_TIMEOUT_MS);
  const { cores } = JSON.parse(first) as CoreTraffic;
  await child.waitFor(new RegExp(`(?:${line}[^]*?){${cores}}`, 'm'), TRAFFIC_TIMEOUT_MS);
  return [...child.output.matchAll(new RegExp(line, 'gm'))].map(([, json = '']) => JSON.parse(json) as CoreTraffic);
}

/** Returns how many segments all cores of an endpoint have sent again, from its last lines. */
function retransmittedBy({ output }: Child): number {
  const counts = output.matchAll(/\bretransmitted_segments (\d+)/g);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

function runEndpoint(endpoint: Endpoint, mode: Mode, app: string, ...more: string[]): Child {
  const { ip, mac, socket, cpus } = endpoint;
  return Child.tspmd(
    ...['run', '--device', `vhost-user:${socket}`, '--ip', `${ip}/24`, '--mac', mac, '--mode', mode, '--app', app],
    ...(cpus === '' ? [] : ['--cores', cpus]),
    ...more,
  );
}
