/**
 * Rows `hop/CORES/FLOWS` and `flat/CORES/FLOWS`: the CPU time of the way through the rings. Each layout runs in a
 * thread of its own. The threads take turns on one CPU; a hop is computed from the differences within one turn.
 *
 * With one core, everything is measured. With more cores, the work of each core is the same, and only the work of the
 * threads that drive the device can grow. That part is measured with relays instead of cores.
 */
import type { Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { NoiseGuard } from '../common/noise.js';
import { figure, type Row, row } from '../report/report.js';
import type { LayoutStart } from './layout.worker.js';
import { LayoutThread } from './layout-thread.js';
import type { Mode } from './layouts.js';
import { type Contestant, measureInTurns } from './turns.js';

export interface Hop {
  readonly name: string;
  readonly kind: 'hop' | 'flat';
  readonly mode: '1kb' | '2kb';
  readonly cores: number;
  readonly flows: number;
}

/** The goal for a hop, in ns per packet and direction. */
const GOAL_NS = 25;
const UNIT = 'ns/packet';
const WORKER = new URL('./layout.worker.js', import.meta.url);

const CORES = [1, 2, 4, 8, 16, 32, 64];
const FLOWS = [1, 100, 10_000, 100_000];

const hop = (kind: Hop['kind'], mode: Hop['mode'], cores: number, flows: number): Hop => {
  return { name: `${kind}${mode === '2kb' ? '-2kb' : ''}/${cores}/${flows}`, kind, mode, cores, flows };
};

export const HOPS: readonly Hop[] = (['hop', 'flat'] as const).flatMap((kind) => [
  ...FLOWS.flatMap((flows) => CORES.map((cores) => hop(kind, '1kb', cores, flows))),
  ...[hop(kind, '2kb', 1, 1), hop(kind, '2kb', 64, 100_000)],
]);

const key = (mode: Mode, cores: number, flows: number): string => `${mode}/${cores}/${flows}`;

/** Returns the layouts from which a row is computed. */
function layoutsOf({ kind, mode, cores, flows }: Hop): string[] {
  const loops = key(`rings-${mode}`, cores, flows);
  if (kind === 'flat') return [loops, key(`rings-${mode}`, 1, 1)];
  const whole = [key('single', 1, flows), key(mode, 1, flows)];
  return cores === 1 ? whole : [...whole, loops, key(`rings-${mode}`, 1, flows)];
}

/** Opens a layout in a thread, by its key. */
function openThread(layout: string): Contestant {
  const [mode, cores, flows] = layout.split('/');
  const start: LayoutStart = {
    mode: mode as Mode,
    ...{ cores: Number(cores), flows: Number(flows), cpu: benchCpus().contestant },
  };
  return new LayoutThread(layout, WORKER, start);
}

/** Measures rows together. They should have the same number of flows. A layout that fails loses the rows that need it. */
async function measureTogether(hops: readonly Hop[], plan: Plan, open: (key: string) => Contestant): Promise<Row[]> {
  const guard = await NoiseGuard.begin(false);
  const { times, faults } = await measureInTurns(new Set(hops.flatMap(layoutsOf)), plan, open);
  const rows: Row[] = [];
  for (const each of hops) {
    const failed = layoutsOf(each).find((layout) => faults.has(layout));
    if (failed === undefined) rows.push(await rowOf(each, times, guard));
    else plan.lost(each.name, `${failed}: ${faults.get(failed)}`);
  }
  return rows;
}

async function rowOf(each: Hop, times: ReadonlyMap<string, readonly number[]>, guard: NoiseGuard): Promise<Row> {
  const [first, second, ...loops] = layoutsOf(each).map((layout) => times.get(layout)!);
  if (each.kind === 'flat') {
    const [ours, one] = [figure(first, UNIT), figure(second, UNIT)];
    const noise = await guard.end([ours, one]);
    return row(each.name, ours, { 'one core, one flow': one }, { better: 'less', noise });
  }
  const [single, whole] = [first, second];
  const extra = single.map((ns, turn) => whole[turn] - ns + ((loops[0]?.[turn] ?? 0) - (loops[1]?.[turn] ?? 0)));
  const ours = figure(
    extra.map((ns) => Number((ns / 2).toFixed(2))),
    `${UNIT} and direction`,
  );
  const noise = await guard.end([figure(single, UNIT), figure(whole, UNIT)]);
  const more = { 'ns a packet, there and back': { 'Case I': middle(single), rings: middle(single) + 2 * ours.median } };
  return row(each.name, ours, { goal: figure([GOAL_NS], ours.unit) }, { better: 'less', noise, more });
}

const middle = (values: readonly number[]): number => figure(values, UNIT).median;

/**
 * Measures these rows. Those that cannot be measured are noted in the plan.
 * @param open opens a layout by its key
 */
export async function measureHops(
  hops: readonly Hop[],
  plan: Plan,
  open: (key: string) => Contestant = openThread,
): Promise<Row[]> {
  const groups = new Map<string, Hop[]>();
  for (const each of hops) {
    const group = `${each.mode}/${each.flows}`;
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  const rows = new Map<string, Row>();
  for (const group of groups.values()) {
    for (const measured of await measureTogether(group, plan, open)) {
      rows.set(measured.name, measured);
      plan.progress(`${measured.name}: ${measured.ours.median} ${measured.ours.unit}`);
    }
  }
  return hops.flatMap(({ name }) => rows.get(name) ?? []);
}
