/** Row `latency/64`: how long requests take that come on a schedule, at half of the rate that the slowest server reaches. */
import { firstLine, type Plan } from '../../common/benchmark.js';
import type { LoopRun } from '../../common/load/closed-loop.js';
import { NoiseGuard } from '../../common/noise.js';
import { KERNEL_SETTINGS } from '../../common/sides.js';
import { alternate, timing } from '../../common/windows.js';
import { sumOf, threadsOf, type Waits, waitsBetween } from '../../latency/waits.js';
import { type Figure, figure, type Row, row } from '../../report/report.js';
import { type Contestant, type ContestantName, closeAll, NODE, OURS, openContestant, SOCKPERF } from './contestants.js';
import { type PacedRun, PERCENTS, type RequestSetup } from './setup.js';

export const LATENCY_ROW = 'latency/64';
const CONNECTIONS = 16;
const UNIT = 'us (p99)';
/** The percentile in the figures of the row. The others are in `more`. */
const MAIN = 99;
/** A schedule that was kept to less than this part was too fast for the server, or for the load. */
const KEPT = 0.98;
/** Windows are not shorter: p99.9 needs some thousand requests. */
const MIN_WINDOW = 0.5;

const setup: Pick<RequestSetup, 'kind' | 'connections'> = { kind: 'paced', connections: CONNECTIONS };

/** sockperf has failed. The row does without it. */
class SockperfFault extends Error {}

export async function measureLatency(plan: Plan): Promise<Row> {
  try {
    return await compare([OURS, NODE, SOCKPERF], plan);
  } catch (error) {
    plan.stop.throwIfAborted();
    if (!(error instanceof SockperfFault)) throw error;
    plan.lost(`${LATENCY_ROW} against ${SOCKPERF}`, firstLine(error));
    return compare([OURS, NODE], plan);
  }
}

async function compare(selected: readonly ContestantName[], plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const contestants: Contestant[] = [];
  const guard = await NoiseGuard.begin();
  try {
    await openAll(selected, plan, contestants);
    const peaks: number[] = [];
    for (const contestant of contestants) {
      await contestant.processes.during(() => peak(contestant, warmUp));
      peaks.push(await contestant.processes.during(() => peak(contestant, Math.max(window, MIN_WINDOW))));
    }
    const rate = Math.round(Math.min(...peaks) / 2);
    for (const contestant of contestants) await contestant.processes.during(() => pace(contestant, rate, warmUp));
    const measured = await alternate(contestants, windows, plan, (contestant) =>
      contestant.processes.during(
        () => guard.watch([contestant.load.child.pid], () => pace(contestant, rate, Math.max(window, MIN_WINDOW))),
        (milliseconds) => run(contestant, milliseconds),
      ),
    );
    const names = contestants.map(({ name }) => name);
    const figures = measured.map((runs) => percentile(runs, MAIN)) as [Figure, ...Figure[]];
    const [ours, ...others] = figures;
    const peers = Object.fromEntries(others.map((each, i) => [names[i + 1], each]));
    const slow = measured.flat().filter((run) => run.rate < rate * KEPT || run.unsent > 0).length;
    for (let i = 0; i < slow; i++) guard.disturb('requests were late by their schedule');
    const more = {
      'requests per second': rate,
      peaks: Object.fromEntries(peaks.map((each, i) => [names[i], each])),
      percentiles: Object.fromEntries(measured.map((runs, i) => [names[i], percentilesOf(runs)])),
      ratios: Object.fromEntries(others.map((_, i) => [names[i + 1], ratios(measured[0], measured[i + 1])])),
      'waited for their CPUs': Object.fromEntries(measured.map((runs, i) => [names[i], waitsOf(runs)])),
      'kernel settings': KERNEL_SETTINGS,
    };
    return row(LATENCY_ROW, ours, peers, { better: 'less', noise: await guard.end(figures), more });
  } finally {
    await closeAll(contestants, plan);
  }
}

/** Opens the contestants, stopped. The row does without a peer that cannot run here. */
async function openAll(selected: readonly ContestantName[], plan: Plan, contestants: Contestant[]): Promise<void> {
  for (const name of selected) {
    plan.stop.throwIfAborted();
    try {
      const contestant = await openContestant(name, { load: 'tcp/requests/load.js', setup });
      contestants.push(contestant);
      contestant.processes.pause();
    } catch (error) {
      plan.stop.throwIfAborted();
      if (name !== SOCKPERF) throw error;
      plan.lost(`${LATENCY_ROW} against ${name}`, firstLine(error as Error));
    }
  }
}

/** Requests per second while each connection has one under way. */
async function peak(contestant: Contestant, seconds: number): Promise<number> {
  const { name } = contestant;
  const { requests, seconds: took, errors } = await run(contestant, seconds * 1000);
  if (requests === 0 || errors > 0) throw fault(name, `answered ${requests}, with ${errors} errors`);
  return Math.round(requests / took);
}

const run = ({ load, server }: Contestant, milliseconds: number): Promise<LoopRun> =>
  load.ask('run', milliseconds, server.pid);

/** A window, and how long the server and the load waited for their CPUs in it. */
interface Window extends PacedRun {
  readonly waits: readonly (Waits | null)[];
}

async function pace({ name, load, server }: Contestant, rate: number, seconds: number): Promise<Window> {
  const pids = [server.pid, load.child.pid];
  const before = pids.map(threadsOf);
  const run = await load.ask<PacedRun>('paced', rate, seconds * 1000);
  const waits = pids.map((pid, i) => waitsBetween(before[i], threadsOf(pid)));
  if (run.errors > 0) throw fault(name, `ended ${run.errors} connections; it wrote:\n${server.output}`);
  return { ...run, waits };
}

function fault(name: string, what: string): Error {
  return new (name === SOCKPERF ? SockperfFault : Error)(`${LATENCY_ROW}: ${name} ${what}`);
}

/** The figure of one percentile of all windows. */
function percentile(runs: readonly PacedRun[], percent: (typeof PERCENTS)[number]): Figure {
  const values = runs.map(({ percentiles }) => Number(percentiles[PERCENTS.indexOf(percent)].toFixed(1)));
  return figure(values, UNIT);
}

const percentilesOf = (runs: readonly PacedRun[]): Record<string, number> =>
  Object.fromEntries(PERCENTS.map((percent) => [`p${percent}`, percentile(runs, percent).median]));

const waitsOf = (runs: readonly Window[]): Record<string, Waits | null> => ({
  server: sumOf(runs.map(({ waits }) => waits[0])),
  load: sumOf(runs.map(({ waits }) => waits[1])),
});

const ratios = (ours: readonly PacedRun[], theirs: readonly PacedRun[]): Record<string, number> =>
  Object.fromEntries(
    PERCENTS.map((percent) => {
      const ratio = percentile(theirs, percent).median / percentile(ours, percent).median;
      return [`p${percent}`, Number(ratio.toFixed(3))];
    }),
  );
