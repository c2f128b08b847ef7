/** `bench -- gc`: what the garbage collector has to do per million packets in steady state. */

import { BenchProcess } from '../common/bench-process.js';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { figure, type Row, row } from '../report/report.js';
import type { HeapWindow } from './contestant.js';

/** The rows, and what each measures. */
const ROWS = { 'gc/driver': 'driver', 'gc/api': 'api' } as const;
const UNIT = 'bytes/Mpacket';

/** Times in seconds. The windows are long: half a minute per row makes some hundred million packets. */
const timing = (isQuick: boolean): { windows: number; window: number; warmUp: number } =>
  isQuick ? { windows: 3, window: 0.4, warmUp: 0.5 } : { windows: 5, window: 6, warmUp: 5 };

async function measure(name: string, subject: string, { isQuick, stop }: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(isQuick);
  const contestant = await BenchProcess.start('gc/contestant.js', subject, ['--expose-gc']);
  try {
    await contestant.ask<HeapWindow>(warmUp * 1000);
    const runs: HeapWindow[] = [];
    for (let turn = 0; turn < windows; turn++) {
      stop.throwIfAborted();
      const run = await contestant.ask<HeapWindow>(window * 1000);
      if (run.packets === 0) throw new Error(`${name}: no packet came back`);
      runs.push(run);
    }
    const sum = (field: keyof HeapWindow): number => runs.reduce((total, run) => total + run[field], 0);
    const millions = sum('packets') / 1e6;
    const each = (field: keyof HeapWindow): number => Number((sum(field) / millions).toFixed(4));
    const more = {
      'per million packets': { collections: each('collections'), 'pause ms': each('pauseMs') },
      'in all': {
        'million packets': Number(millions.toFixed(1)),
        'longest pause ms': Math.max(...runs.map(({ longestPauseMs }) => longestPauseMs)),
        'heap growth bytes': sum('growth'),
      },
    };
    const allocated = runs.map((run) => Math.round(run.allocated / (run.packets / 1e6)));
    // These are counts, not times, so a busy machine does not change them.
    const noise = { conclusive: true, reasons: [] };
    return row(name, figure(allocated, UNIT), {}, { noise, more });
  } finally {
    await contestant.stop();
  }
}

export const gc: Benchmark = {
  summary: 'garbage collection: bytes allocated and collections per million packets in steady state',
  rows: Object.keys(ROWS),
  missing: () => [],

  async measure(rows, plan) {
    const measured: Row[] = [];
    for (const [name, subject] of Object.entries(ROWS)) {
      if (!rows.includes(name)) continue;
      const done = await measure(name, subject, plan);
      plan.progress(`${name}: ${done.ours.median} ${done.ours.unit}`);
      measured.push(done);
    }
    return measured;
  },
};
