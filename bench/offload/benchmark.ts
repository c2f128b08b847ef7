/**
 * `bench -- offload`: what checksums and segmentation by the device are worth, for the driver (bulk) and for the TCP/IP
 * stack (tcp-bulk). Each contestant has a switch on one CPU, and its senders and receivers on another.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OffloadPolicy } from '../../drivers/offloads.js';
import type { Child } from '../../scripts/child.js';
import { isOvsInstalled } from '../../scripts/ovs.js';
import { isInstalled } from '../../scripts/programs.js';
import { BenchProcess } from '../common/bench-process.js';
import { type Benchmark, firstLine, measureEach, type Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { startEmbeddedSwitch } from '../common/embedded-switch.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, PausableProcesses, timing } from '../common/windows.js';
import { type Figure, figure, type Row, row } from '../report/report.js';
import { BULK, BULK_PLAIN, type Check, type Run, type Setup, TCP_BULK, TCP_BULK_PLAIN } from './rows.js';
import { TestpmdOverOvs } from './testpmd.js';

const UNIT = 'bytes/s';
const OVS = 'ovs-dpdk';

/** One way to move bytes through a switch. */
interface Contestant {
  readonly name: string;
  readonly processes: PausableProcesses;
  /** Processes that spin. */
  readonly pids: readonly number[];
  /** Measures for some seconds. Returns bytes per second. */
  rate(seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** The contestants of a row. The first one is ours. */
interface RowSpec {
  readonly name: string;
  readonly open: readonly {
    readonly name: string;
    open(): Promise<Contestant>;
    readonly lacks?: () => string | null;
  }[];
}

async function openOurs(name: string, load: string, offloads: OffloadPolicy): Promise<Contestant> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const children: Child[] = [];
  const close = async (): Promise<void> => {
    try {
      await new PausableProcesses(children).stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  try {
    const { main, sockets } = await startEmbeddedSwitch(folder, 2);
    children.push(main);
    const setup: Setup = { sockets, offloads, cpu: benchCpus().contestant, hugepages: hasHugepages() };
    const process = await BenchProcess.start(`offload/${load}`, setup);
    // The load first: a switch whose peers have gone has nothing left to do.
    children.unshift(process.child);
    if (load === BULK_LOAD) await check(name, process, offloads);
    const rate = async (seconds: number): Promise<number> => {
      const run = await process.ask<Run>('run', seconds * 1000);
      return Math.round(run.bytes / run.seconds);
    };
    const pids = children.map(({ pid }) => pid);
    return { name, processes: new PausableProcesses(children), pids, rate, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

const BULK_LOAD = 'bulk-load.js';
const TCP_LOAD = 'tcp-load.js';
const CHECK_MS = 200;

/** Rejects unless every byte that arrives is right, and frames cross the switch whole when they shall. */
async function check(name: string, load: BenchProcess, offloads: OffloadPolicy): Promise<void> {
  const { frames, wrong, gso } = await load.ask<Check>('check', CHECK_MS);
  if (frames === 0) throw new Error(`${name}: no frame came through the switch`);
  if (wrong > 0) throw new Error(`${name}: ${wrong} of ${frames} frames are not as they were sent`);
  const expected = offloads === 'auto' ? frames : 0;
  if (gso !== expected) throw new Error(`${name}: ${gso} of ${frames} frames are GSO packets, expected ${expected}`);
}

async function openTestpmd(): Promise<Contestant> {
  const peer = await TestpmdOverOvs.open();
  const { processes, pids } = peer;
  const rate = (seconds: number): Promise<number> => peer.measure(() => sleep(seconds * 1000));
  return { name: OVS, processes, pids, rate, close: () => peer.close() };
}

function lacksTestpmd(): string | null {
  const lacks = [...(isInstalled('dpdk-testpmd') ? [] : ['dpdk-testpmd']), ...(isOvsInstalled() ? [] : ['OVS-DPDK'])];
  return lacks.length === 0 ? null : `needs ${lacks.join(' and ')} (run 'npm run setup:peers' as root)`;
}

const ROWS: readonly RowSpec[] = [
  {
    name: BULK,
    open: [
      { name: 'tspmd', open: () => openOurs(BULK, BULK_LOAD, 'auto') },
      { name: BULK_PLAIN, open: () => openOurs(BULK_PLAIN, BULK_LOAD, 'off') },
      { name: OVS, open: openTestpmd, lacks: lacksTestpmd },
    ],
  },
  {
    name: TCP_BULK,
    open: [
      { name: 'tspmd', open: () => openOurs(TCP_BULK, TCP_LOAD, 'auto') },
      { name: TCP_BULK_PLAIN, open: () => openOurs(TCP_BULK_PLAIN, TCP_LOAD, 'off') },
    ],
  },
];

/**
 * Opens what can be opened, warm and stopped. A peer is opened twice before it counts as one that cannot run here. That is
 * noted: the row has the others.
 */
async function openAll(spec: RowSpec, warmUp: number, plan: Plan, opened: Contestant[]): Promise<void> {
  for (const { name, open, lacks } of spec.open) {
    const isPeer = name === OVS;
    try {
      const lacking = lacks?.() ?? null;
      if (lacking !== null) throw new Error(lacking);
      const warm = (): Promise<Contestant> => openWarm(open, warmUp);
      const again = (error: Error): Promise<Contestant> => {
        plan.stop.throwIfAborted();
        plan.progress(`${spec.name}: ${name} is started again, because ${firstLine(error)}`);
        return warm();
      };
      opened.push(await (isPeer ? warm().catch(again) : warm()));
    } catch (error) {
      plan.stop.throwIfAborted();
      if (!isPeer) throw error;
      plan.lost(`${spec.name} against ${name}`, firstLine(error as Error));
    }
  }
}

/** How long a contestant may get no CPU on a busy machine, in ms. */
const PATIENCE_MS = 10_000;

async function openWarm(open: () => Promise<Contestant>, warmUp: number): Promise<Contestant> {
  const contestant = await open();
  try {
    const deadline = performance.now() + PATIENCE_MS;
    while ((await contestant.rate(warmUp)) === 0) {
      if (performance.now() > deadline) throw new Error(`nothing came through the switch for ${PATIENCE_MS / 1000} s`);
    }
    contestant.processes.pause();
    return contestant;
  } catch (error) {
    await contestant.close().catch(() => {});
    throw error;
  }
}

async function compare(spec: RowSpec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const contestants: Contestant[] = [];
  try {
    await openAll(spec, warmUp, plan, contestants);
    const rates = await alternate(contestants, windows, plan, ({ processes, pids, rate }) =>
      processes.during(() => guard.watch(pids, () => rate(window))),
    );
    const [ours, ...others] = rates.map((values) => figure(values, UNIT)) as [Figure, ...Figure[]];
    const peers = Object.fromEntries(others.map((each, i) => [contestants[i + 1].name, each]));
    return row(spec.name, ours, peers, { noise: await guard.end([ours, ...others]) });
  } finally {
    for (const { close } of contestants) await close().catch((error: Error) => plan.progress(firstLine(error)));
  }
}

export const offload: Benchmark = {
  summary: 'bytes per second with checksums and segmentation by the device, against without, and against OVS-DPDK',
  rows: ROWS.map(({ name }) => name),

  missing: () => [],

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    return measureEach(
      ROWS.filter(({ name }) => rows.includes(name)),
      plan,
      (spec) => compare(spec, plan),
    );
  },
};
