/** The servers of the rows with requests, each with its load, and what a window tells of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { BenchProcess } from '../../common/bench-process.js';
import { firstLine, type Plan } from '../../common/benchmark.js';
import type { LoopRun } from '../../common/load/closed-loop.js';
import { busyShare, type PollCount } from '../../common/load/poll-meter.js';
import { openKernelSide, openOurSide, SERVER, type Side, type SideOptions } from '../../common/sides.js';
import { PausableProcesses } from '../../common/windows.js';
import { ECHO_PORT } from './setup.js';

const SCRIPT = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const OURS = 'tspmd';
export const NODE = 'node-net';
/** The same, where the kernel does its part on the CPU of the server, too. */
export const NODE_ONE_CPU = 'node-net-one-cpu';
export const SOCKPERF = 'sockperf';
export type ContestantName = typeof OURS | typeof NODE | typeof NODE_ONE_CPU | typeof SOCKPERF;

type Options = SideOptions<object>;

const OPEN: Readonly<Record<ContestantName, (options: Options) => Promise<Side>>> = {
  [OURS]: (options) =>
    openOurSide(OURS, options, (place) => Child.spawn(process.execPath, [SCRIPT('server.js'), JSON.stringify(place)])),
  [NODE]: (options) => openKernelSide(NODE, options, (run) => run(process.execPath, SCRIPT('net-server.js'))),
  [NODE_ONE_CPU]: (options) =>
    openKernelSide(NODE_ONE_CPU, { ...options, oneCpu: true }, (run) => run(process.execPath, SCRIPT('net-server.js'))),
  [SOCKPERF]: openSockperf,
};

/**
 * sockperf takes several connections only where it polls several ports, so it gets a second one. It ends when its
 * epoll_wait(2) is interrupted by a SIGSTOP, so only the load is stopped; sockperf then wakes once per second.
 */
async function openSockperf(options: Options): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const list = join(folder, 'ports');
  writeFileSync(list, [ECHO_PORT, ECHO_PORT + 1].map((port) => `T:${SERVER.ip}:${port}\n`).join(''));
  try {
    const ready = /using epoll\(\) to block/;
    const start = (run: (program: string, ...args: string[]) => Child): Child =>
      run('sockperf', 'server', '-f', list, '-F', 'epoll', '--timeout', '1000');
    const side = await openKernelSide(SOCKPERF, { ...options, ready }, start);
    return { ...side, processes: new PausableProcesses([side.load.child]), close: () => side.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

export interface Contestant extends Side {
  /** Counts the polls of a server that spins; null for another one: its CPU time tells what it had to do. */
  readonly polls: (() => Promise<PollCount>) | null;
}

/** Opens a contestant. The caller closes it. */
export async function openContestant(name: ContestantName, options: Options): Promise<Contestant> {
  const side = await OPEN[name](options);
  const server = BenchProcess.of(side.server);
  return { ...side, polls: name === OURS ? () => server.ask<PollCount>('polls') : null };
}

/** Closes contestants. A process that does not end is told of. */
export async function closeAll(contestants: readonly Contestant[], plan: Plan): Promise<void> {
  for (const { close } of contestants) await close().catch((error: Error) => plan.progress(firstLine(error)));
}

/** The shares of the time in which the two had work. */
export interface Use {
  readonly serverBusy: number;
  readonly loadBusy: number;
}

/** Lets the load of a contestant that runs work for so many milliseconds. */
export async function runFor({ server, load, polls }: Contestant, milliseconds: number): Promise<LoopRun & Use> {
  const first = await polls?.();
  const run = await load.ask<LoopRun>('run', milliseconds, server.pid);
  const last = await polls?.();
  const loadBusy = await busyShare(...run.polls, () => load.ask<PollCount>('polls'));
  const isCounted = polls !== null && first !== undefined && last !== undefined;
  const serverBusy = isCounted ? await busyShare(first, last, polls) : Math.min(run.cpuSeconds / run.seconds, 1);
  return { ...run, serverBusy, loadBusy };
}
