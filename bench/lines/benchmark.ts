/**
 * `bench -- lines`: what it costs to touch a cache line that the other CPU has just written, against the same touch of a
 * line in the own cache. No code that hands packets from one CPU to another can be faster than its lines.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { allowedCpus, benchCpus } from '../common/cpus.js';
import { NoiseGuard } from '../common/noise.js';
import { timing } from '../common/windows.js';
import { figure, type Row, row } from '../report/report.js';
import { LINES, MEMORY_BYTES, type Spec, type Stride, TOUCHES, type Touch } from './touches.js';
import type { End, LinesWindow } from './turns.worker.js';

const WORKER = new URL('./turns.worker.js', import.meta.url);
const UNIT = 'ns per line';

/** Strides with the numbers of lines at once that are measured. */
const PLACES: readonly (readonly [Stride, readonly number[]])[] = [
  [64, [1, 8, 32, LINES]],
  [128, [1, 32]],
  [256, [1, 32]],
  ['random', [1, 32]],
];
const toSpec = (touch: Touch, stride: Stride, atOnce: number): Spec => ({
  ...{ touch, stride, atOnce },
  name: `${touch}/${stride}/${atOnce}`,
});
const SPECS: readonly Spec[] = TOUCHES.flatMap((touch) =>
  PLACES.flatMap(([stride, counts]) => counts.map((atOnce) => toSpec(touch, stride, atOnce))),
);
const REPRESENTATIVE = /\/(64\/32|random\/(1|32))$/;

async function measureRow(spec: Spec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const { common, contestant } = benchCpus();
  const shared = { memory: new SharedArrayBuffer(MEMORY_BYTES), spec, windows };
  const times = { window: window * 1000, warmUp: warmUp * 1000 };
  const [giver, taker] = (['give', 'take'] as const).map((role) => {
    const end: End = { ...shared, ...times, role, cpu: role === 'give' ? common : contestant };
    return new Worker(WORKER, { workerData: end });
  });
  const [other, own]: [number[], number[]] = [[], []];
  try {
    const fault = once(giver, 'error').then(([error]) => Promise.reject(error));
    // Nobody may be listening when it fails.
    fault.catch(() => {});
    while (other.length < windows) {
      const message = once(taker, 'message', { signal: plan.stop });
      const [found] = (await Promise.race([message, fault])) as [LinesWindow];
      guard.window(found.share);
      other.push(found.other);
      own.push(found.own);
    }
  } finally {
    await Promise.all([giver.terminate(), taker.terminate()]);
  }
  const [ours, theirs] = [figure(other, UNIT), figure(own, UNIT)];
  return row(spec.name, ours, { 'own-line': theirs }, { better: 'less', noise: await guard.end([ours, theirs]) });
}

/** Adds how many lines come in the time of one, where the row with one line at once was measured, too. */
function withParallelism(each: Row, rows: readonly Row[]): Row {
  const [touch, stride, atOnce] = each.name.split('/');
  const single = rows.find(({ name }) => name === `${touch}/${stride}/1`);
  if (atOnce === '1' || single === undefined) return each;
  return { ...each, more: { 'lines in the time of one': Number((single.ours.median / each.ours.median).toFixed(1)) } };
}

export const lines: Benchmark = {
  summary: 'the cost of a cache line that the other CPU has just written, against one in the own cache',
  rows: SPECS.map(({ name }) => name),
  quickRows: SPECS.map(({ name }) => name).filter((name) => REPRESENTATIVE.test(name)),

  missing() {
    return allowedCpus().length < 2 ? ['two CPUs'] : [];
  },

  async measure(rows, plan) {
    const selected = SPECS.filter(({ name }) => rows.includes(name));
    const measured = await measureEach(selected, plan, (spec) => measureRow(spec, plan));
    return measured.map((each) => withParallelism(each, measured));
  },
};
