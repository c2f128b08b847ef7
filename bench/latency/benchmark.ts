/**
 * `bench -- latency`: compares round trips through our driver with those through testpmd. Both swap the MAC addresses
 * and send the frame back. Client, load and clock are the same for both. The rates are shares of the slower one's peak
 * rate, so that both get the same load.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../scripts/child.js';
import { isInstalled } from '../../scripts/programs.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { BenchProcess } from '../common/bench-process.js';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, PausableProcesses, timing } from '../common/windows.js';
import { peerOptions, type RowSpec } from '../driver/rows.js';
import { type Figure, figure, type Row, row } from '../report/report.js';
import { CURVE, PERCENTS, type Run, type Setup } from './setup.js';
import { sumOf, threadsOf, type Waits, waitsBetween } from './waits.js';

const SHARES = [10, 50, 90];
const nameOf = (share: number): string => `rtt/${share}`;
/** The percentile in the figures of a row. The other percentiles are in `more`. */
const PERCENT = 99.9;
const UNIT = 'us (p99.9)';
const NAMES = ['tspmd', 'dpdk'] as const;
/** Round trips per row and contestant, in all windows together. */
const samplesOf = (isQuick: boolean): number => (isQuick ? 60_000 : 1_000_000);
/** If a larger part of the answers is missing in a window, its times are in doubt. */
const LOSS = 0.01;

/** Time for a contestant to get its CPU again after a pause, in ms. */
const SETTLE_MS = 30;
const ATTEMPTS = 5;

const SPEC: RowSpec = { name: 'rtt', direction: 'forward', bytes: 64, burst: 32, ring: 'split', isApi: false };

/** The client, and the contestants behind its sockets, in the order of {@link NAMES}. */
interface Testbed {
  readonly client: BenchProcess;
  readonly processGroups: readonly PausableProcesses[];
}

async function open(folder: string, started: (child: Child) => void): Promise<Testbed> {
  const { common, contestant: cpu } = benchCpus();
  const hugepages = hasHugepages();
  const sockets = NAMES.map((name) => join(folder, `${name}.sock`));
  const client = await BenchProcess.start('latency/client.js', { sockets, cpu: common } satisfies Setup);
  started(client.child);
  const processGroups: PausableProcesses[] = [];
  for (const [i, name] of NAMES.entries()) {
    const socket = sockets[i];
    let child: Child;
    if (name === 'tspmd') {
      ({ child } = await BenchProcess.start('driver/contestant.js', { socket, spec: SPEC, cpu, hugepages }));
      started(child);
    } else {
      const device = peerOptions(SPEC.ring);
      const peer = Testpmd.frontend(socket, { forward: 'macswap', cpu, hugepages, device, onDemand: true });
      child = peer.child;
      started(child);
      await peer.started();
    }
    const processes = new PausableProcesses([child]);
    processes.pause();
    processGroups.push(processes);
  }
  return { client, processGroups };
}

/** A window, and how long the client and the contestant waited for their CPUs in it. */
interface Window extends Run {
  readonly waits: readonly (Waits | null)[];
}

/** Measures one window of contestant i. */
async function measureOne(
  { client, processGroups }: Testbed,
  i: number,
  rate: number,
  seconds: number,
): Promise<Window> {
  const processes = processGroups[i];
  const pids = [client.child.pid, ...processes.pids];
  processes.resume();
  try {
    for (let attempt = 1; ; attempt++) {
      await sleep(SETTLE_MS);
      const before = pids.map(threadsOf);
      const run = await client.ask<Run>(i, Math.round(rate), Math.round(seconds * 1000));
      const waits = pids.map((pid, n) => waitsBetween(before[n], threadsOf(pid)));
      if (run.answered > 0) return { ...run, waits };
      // On a busy machine, the contestant may not have got its CPU.
      if (attempt === ATTEMPTS) throw new Error(`${NAMES[i]} answered none of ${run.sent} frames`);
    }
  } finally {
    processes.pause();
  }
}

async function measureShare(share: number, peak: number, testbed: Testbed, plan: Plan): Promise<Row> {
  const { windows, window } = timing(plan.isQuick);
  const rate = (peak * share) / 100;
  const seconds = Math.max(window, samplesOf(plan.isQuick) / windows / rate);
  const guard = await NoiseGuard.begin();
  const [ours, dpdk] = await alternate([0, 1], windows, plan, async (i) => {
    const pids = [testbed.client.child.pid, ...testbed.processGroups[i].pids];
    const run = await guard.watch(pids, () => measureOne(testbed, i, rate, seconds));
    if (run.answered < run.sent * (1 - LOSS)) guard.disturb('more than 1 % was not answered');
    return run;
  });
  const all = { tspmd: ours, dpdk: dpdk };
  const [a, b] = NAMES.map((name) => at(all[name], PERCENT)) as [Figure, Figure];
  const more = Object.fromEntries(NAMES.map((name) => [name, summary(all[name])]));
  return row(nameOf(share), a, { dpdk: b }, { better: 'less', noise: await guard.end([a, b]), more });
}

const round = (value: number): number => Number(value.toFixed(2));

function at(runs: readonly Run[], percent: (typeof CURVE)[number]): Figure {
  const index = CURVE.indexOf(percent);
  return figure(
    runs.map(({ curve }) => round(curve[index])),
    percent === PERCENT ? UNIT : 'us',
  );
}

/** Returns the medians of the windows' percentiles, and the maximum of the windows' maxima. */
function summary(runs: readonly Window[]): Record<string, unknown> {
  const percentiles = PERCENTS.map((percent) => {
    const { median, max } = at(runs, percent);
    return percent === 100 ? ['max', max] : [`p${percent}`, median];
  });
  const total = (field: 'answered' | 'sent' | 'collections'): number => runs.reduce((sum, run) => sum + run[field], 0);
  return {
    ...Object.fromEntries(percentiles),
    samples: total('answered'),
    lost: total('sent') - total('answered'),
    'answers/s': Math.round(
      figure(
        runs.map(({ rate }) => rate),
        '',
      ).median,
    ),
    'client waited for its CPU': sumOf(runs.map(({ waits }) => waits[0])),
    'contestant waited for its CPU': sumOf(runs.map(({ waits }) => waits[1])),
    'client collections': total('collections'),
    'client longest pause ms': round(Math.max(...runs.map(({ longestPauseMs }) => longestPauseMs))),
    curve: CURVE.map((percent) => [percent, at(runs, percent).median]),
  };
}

async function measure(shares: readonly number[], plan: Plan): Promise<Row[]> {
  const { warmUp } = timing(plan.isQuick);
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const children: Child[] = [];
  try {
    const testbed = await open(folder, (child) => children.push(child));
    const peaks: number[] = [];
    for (const [i, name] of NAMES.entries()) {
      await measureOne(testbed, i, 0, warmUp);
      const { rate } = await measureOne(testbed, i, 0, warmUp);
      plan.progress(`peak of ${name}: ${Math.round(rate)} round trips/s`);
      peaks.push(rate);
    }
    const rows: Row[] = [];
    for (const share of shares) {
      const done = await measureShare(share, Math.min(...peaks), testbed, plan);
      plan.progress(`${done.name}: ratio ${done.ratio.dpdk}${done.noise?.conclusive ? '' : ', in doubt'}`);
      rows.push(done);
    }
    return rows;
  } finally {
    new PausableProcesses(children).resume();
    await Promise.allSettled(children.reverse().map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

export const latency: Benchmark = {
  summary: 'round-trip times at 10, 50 and 90 % of the peak rate, against dpdk-testpmd',
  rows: SHARES.map(nameOf),
  missing: () => (isInstalled('dpdk-testpmd') ? [] : ["dpdk-testpmd (run 'npm run setup:peers' as root)"]),

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    return measure(
      SHARES.filter((share) => rows.includes(nameOf(share))),
      plan,
    );
  },
};
