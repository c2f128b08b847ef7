/** The demo's scenario: the switch and two endpoints as processes of their own, and what came of the traffic. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SwitchStats } from '../../bess/stats.js';
import { Child } from '../child.js';
import { RESULT_MARK, type TrafficResult } from './traffic.js';

const SCRIPT = fileURLToPath(new URL('../../../bess/forward_script.bess', import.meta.url));
const TRAFFIC = fileURLToPath(new URL('./traffic.js', import.meta.url));
const PINGS = 1_000;
const DATAGRAMS = 10_000;
/** The traffic gives up on each packet after a second; this is for a machine that stands still. */
const TRAFFIC_TIMEOUT_MS = 120_000;

export interface Endpoint {
  readonly ip: string;
  readonly mac: string;
  readonly socket: string;
}

export interface DemoResult {
  readonly endpoints: readonly Endpoint[];
  readonly hugepages: boolean;
  readonly traffic: TrafficResult;
  readonly stats: SwitchStats;
  /** Seconds from the first process's start to the last packet. */
  readonly seconds: number;
}

/**
 * Runs the scenario; rejects with what went wrong. No process and no socket is left behind.
 * @param told ends it early, as a failure
 */
export async function runScenario(mode: string, told: Promise<void>): Promise<DemoResult> {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-demo-'));
  const endpoints = [1, 2].map((i) => ({
    ip: `10.0.0.${i}`,
    mac: `52:54:00:00:00:0${i}`,
    socket: join(directory, `vm${i}.sock`),
  }));
  const children: Child[] = [];
  const stopped = told.then(() => {
    throw new Error('stopped before it was done');
  });
  try {
    return await Promise.race([stopped, play(mode, endpoints, children)]);
  } finally {
    await Promise.allSettled(children.reverse().map((child) => child.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The scenario itself; the processes that it starts are entered in `children`, for the caller to stop. */
async function play(mode: string, endpoints: readonly Endpoint[], children: Child[]): Promise<DemoResult> {
  const start = performance.now();
  const variables = endpoints.flatMap(({ mac, socket }, i) => [`VM${i + 1}_SOCKET=${socket}`, `VM${i + 1}_MAC=${mac}`]);
  const bess = Child.tspmd('switch', SCRIPT, ...variables);
  children.push(bess);
  await bess.waitFor(/^ready.*$/m);

  const [a, b] = endpoints as [Endpoint, Endpoint];
  const echo = runEndpoint(b, mode, 'echo');
  children.push(echo);
  await echo.waitFor(/^ready.*$/m);
  const options = [`to=${b.ip}`, `pings=${PINGS}`, `datagrams=${DATAGRAMS}`];
  const traffic = runEndpoint(a, mode, TRAFFIC, '--app-option', ...options);
  children.push(traffic);
  const [, json] = await traffic.waitFor(new RegExp(`^${RESULT_MARK} (.*)$`, 'm'), TRAFFIC_TIMEOUT_MS);
  const seconds = (performance.now() - start) / 1000;

  const stats = Child.tspmd('switch', '--stats', String(bess.pid), '--json');
  children.push(stats);
  const exit = await stats.exited;
  if (exit.code !== 0) throw new Error(`the switch does not tell its counters: ${stats.output}`);
  return {
    endpoints,
    hugepages: !/using normal pages/.test(echo.output + traffic.output),
    traffic: JSON.parse(json as string) as TrafficResult,
    stats: JSON.parse(stats.stdout) as SwitchStats,
    seconds,
  };
}

function runEndpoint(endpoint: Endpoint, mode: string, app: string, ...more: string[]): Child {
  const { ip, mac, socket } = endpoint;
  return Child.tspmd(
    ...['run', '--device', `vhost-user:${socket}`, '--ip', `${ip}/24`, '--mac', mac, '--mode', mode, '--app', app],
    ...more,
  );
}
