/**
 * Rows `scale/1kb` and `scale/2kb`: the CPU time of a TCP request by the number of stack cores, of all threads together.
 *
 * With one core, everything is measured. With more cores, the work of each stack per request is the same, and only the
 * work of the threads that drive the device can grow. That part is measured with relays instead of stacks: many stacks
 * on one thread would push each other out of the cache, which does not happen on separate threads.
 */
import type { Plan } from '../../common/benchmark.js';
import { benchCpus } from '../../common/cpus.js';
import { NoiseGuard } from '../../common/noise.js';
import { LayoutThread } from '../../pipeline/layout-thread.js';
import { type Contestant, measureInTurns } from '../../pipeline/turns.js';
import { COST_BY_CORES, type Figure, figure, type Row, row } from '../../report/report.js';
import type { TcpRows } from '../rows.js';
import type { Mode } from './layouts.js';
import type { ScaleStart } from './scale.worker.js';
import { measureThreads } from './threads.js';

const UNIT = 'ns/request';
const WORKER = new URL('./scale.worker.js', import.meta.url);
const CORES = [1, 2, 4, 8, 16, 32, 64];
const MOST = 64;

const SCALES: Readonly<Record<string, Mode>> = { 'scale/1kb': '1kb', 'scale/2kb': '2kb' };

/** With so many cores, all stacks are measured on one thread besides: more than a request costs on many. */
const ON_ONE_THREAD = [4, 16, 64];

const loops = (cores: number): string => `loops/${cores}`;
const stacks = (cores: number): string => `stacks/${cores}`;

export const scaleRows: TcpRows = {
  names: Object.keys(SCALES),
  quick: ['scale/1kb'],
  missing: () => [],
  measure: measureScale,
};

async function measureScale(name: string, plan: Plan): Promise<Row> {
  const open = (key: string): Contestant => {
    const [what, cores] = key.split('/');
    const start: ScaleStart = {
      ...{ mode: SCALES[name], cores: Number(cores), stacks: what === 'stacks', cpu: benchCpus().contestant },
    };
    return new LayoutThread(key, WORKER, start);
  };
  const crowded = plan.isQuick ? [] : ON_ONE_THREAD;
  const keys = [stacks(1), ...CORES.map(loops), ...crowded.map(stacks)];
  const guard = await NoiseGuard.begin(false);
  const { times, faults } = await measureInTurns(keys, plan, open);
  for (const [key, fault] of faults) throw new Error(`${key}: ${fault}`);
  const costs = new Map(CORES.map((cores) => [cores, costOf(times, cores)]));
  const [ours, one] = [costs.get(MOST)!, costs.get(1)!];
  const curve = Object.fromEntries([...costs].map(([cores, { median }]) => [cores, median]));
  const medians = (list: readonly number[], keyOf: (cores: number) => string) =>
    Object.fromEntries(list.map((cores) => [cores, figure(times.get(keyOf(cores))!, UNIT).median]));
  const noise = await guard.end([ours, one]);
  const threads = await measureThreads(SCALES[name], plan);
  const more = {
    [COST_BY_CORES]: curve,
    'ns of the loops by cores': medians(CORES, loops),
    ...(plan.isQuick ? {} : { 'ns with all stacks on one thread': medians(crowded, stacks) }),
    'requests/s by cores, with threads': threads,
  };
  return row(name, ours, { 'one core': one }, { better: 'less', noise, more });
}

/** The cost of a request with so many cores, turn by turn. */
function costOf(times: ReadonlyMap<string, readonly number[]>, cores: number): Figure {
  const [whole, one, all] = [stacks(1), loops(1), loops(cores)].map((key) => times.get(key)!);
  return figure(
    whole.map((ns, turn) => Number((ns + all[turn] - one[turn]).toFixed(1))),
    UNIT,
  );
}
