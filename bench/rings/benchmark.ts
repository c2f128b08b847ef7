/** `bench -- rings`: compares the ring between our threads with DPDK's rte_ring and with ringbuf.js of npm. */
import { createRequire } from 'node:module';
import { isInstalled } from '../../scripts/programs.js';
import { BenchProcess } from '../common/bench-process.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { allowedCpus, benchCpus } from '../common/cpus.js';
import { NoiseGuard } from '../common/noise.js';
import { timing } from '../common/windows.js';
import { figure, type Row, row } from '../report/report.js';
import type { Setup } from './contestant.js';
import type { Kind, Window } from './ring.js';
import { measureRteRing, type RteRing } from './rte-ring.js';

const UNIT = 'elements/s';
const KINDS: readonly Kind[] = ['tspmd', 'ringbuf.js'];
const ROWS = [1, 2].flatMap((threads) =>
  [1, 8, 32, 256].map((burst) => ({ name: `spsc-${threads}thread${threads > 1 ? 's' : ''}/${burst}`, threads, burst })),
);

function hasRingbuf(): boolean {
  try {
    createRequire(import.meta.url).resolve('ringbuf.js');
    return true;
  } catch {
    return false;
  }
}

async function measureRow(
  { name, threads, burst }: (typeof ROWS)[number],
  contestants: ReadonlyMap<Kind, BenchProcess>,
  rteRing: readonly RteRing[],
  plan: Plan,
): Promise<Row> {
  const { windows, window } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin(threads === 2);
  const rates = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  for (let turn = 0; turn < windows; turn++) {
    for (const [kind, contestant] of contestants) {
      plan.stop.throwIfAborted();
      const { rate, share } = await contestant.ask<Window>(threads, burst, window * 1000);
      guard.window(share);
      rates.get(kind)!.push(Math.round(rate));
    }
  }
  const ours = figure(rates.get('tspmd')!, UNIT);
  const theirs = rteRing.flatMap((run) => run.get(name) ?? []).map(Math.round);
  const peers = {
    ...(theirs.length > 0 ? { rte_ring: figure(theirs, UNIT) } : {}),
    'ringbuf.js': figure(rates.get('ringbuf.js')!, UNIT),
  };
  return row(name, ours, peers, { noise: await guard.end([ours, ...Object.values(peers)]) });
}

export const rings: Benchmark = {
  summary: 'elements per second through a ring, in one thread and between two, against rte_ring and ringbuf.js',
  rows: ROWS.map(({ name }) => name),

  missing(rows) {
    const missing = isInstalled('dpdk-test') ? [] : ["dpdk-test (run 'npm run setup:peers' as root)"];
    if (!hasRingbuf()) missing.push("the package ringbuf.js (run 'npm ci')");
    if (allowedCpus().length < 2 && rows.some((name) => name.startsWith('spsc-2'))) missing.push('two CPUs');
    return missing;
  },

  async measure(rows, plan) {
    const { windows } = timing(plan.isQuick);
    const rteRing: RteRing[] = [];
    // One run gives DPDK's figures for all rows.
    const runs = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        plan.stop.throwIfAborted();
        rteRing.push(await measureRteRing());
        plan.progress(`rte_ring: run ${rteRing.length} of ${windows}`);
      }
    };
    const { common, contestant } = benchCpus();
    const contestants = new Map<Kind, BenchProcess>();
    try {
      for (const kind of KINDS) {
        const setup: Setup = { kind, cpus: [contestant, common] };
        contestants.set(kind, await BenchProcess.start('rings/contestant.js', setup));
      }
      await runs(windows);
      const selected = ROWS.filter(({ name }) => rows.includes(name));
      return await measureEach(selected, plan, (each) => measureRow(each, contestants, rteRing, plan));
    } finally {
      await Promise.allSettled([...contestants.values()].map((contestant) => contestant.stop()));
    }
  },
};
