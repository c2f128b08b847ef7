/** `bench -- soak`: what the garbage collector has to do for a million packets when nothing but packets happens. */
import type { Benchmark, Plan } from '../common/benchmark.js';
import { Served } from '../common/serve.js';
import { figure, type Row, row } from '../report/report.js';
import type { Soak } from './contestant.js';

/** Row -> what is soaked. */
const ROWS = { 'soak/driver': 'driver', 'soak/api': 'api' } as const;
const UNIT = 'bytes/Mpacket';

/** Seconds. Nothing is compared, so the windows are long: half a minute a row makes some hundred million packets. */
const timing = (isQuick: boolean): { windows: number; window: number; warmUp: number } =>
  isQuick ? { windows: 5, window: 0.4, warmUp: 1 } : { windows: 5, window: 6, warmUp: 5 };

async function measure(name: string, subject: string, { isQuick, stop }: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(isQuick);
  const served = await Served.start('soak/contestant.js', subject, ['--expose-gc']);
  try {
    await served.ask<Soak>(warmUp * 1000);
    const runs: Soak[] = [];
    for (let turn = 0; turn < windows; turn++) {
      stop.throwIfAborted();
      const run = await served.ask<Soak>(window * 1000);
      if (run.packets === 0) throw new Error(`${name}: no packet came back`);
      runs.push(run);
    }
    const sum = (field: keyof Soak): number => runs.reduce((total, run) => total + run[field], 0);
    const millions = sum('packets') / 1e6;
    const each = (field: keyof Soak): number => Number((sum(field) / millions).toFixed(4));
    const more = {
      'per million packets': { collections: each('collections'), 'pause ms': each('pauseMs') },
      'in all': {
        'million packets': Number(millions.toFixed(1)),
        'longest pause ms': Math.max(...runs.map(({ longestPauseMs }) => longestPauseMs)),
        'heap growth bytes': sum('growth'),
      },
    };
    const allocated = runs.map((run) => Math.round(run.allocated / (run.packets / 1e6)));
    // Counts, not times: whatever else the machine does, they are what they are.
    const noise = { conclusive: true, reasons: [] };
    return row(name, figure(allocated, UNIT), {}, { noise, more });
  } finally {
    await served.stop();
  }
}

export const soak: Benchmark = {
  summary: 'what is allocated and collected for a million packets in steady state',
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
