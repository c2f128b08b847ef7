/** Rows `rr` and `crr`: requests per second while the next request follows the response. */
import type { Plan } from '../../common/benchmark.js';
import { figureOf } from '../../common/kernel-side.js';
import { limitIn } from '../../common/limit.js';
import { NoiseGuard } from '../../common/noise.js';
import { KERNEL_SETTINGS } from '../../common/sides.js';
import { alternate, timing } from '../../common/windows.js';
import { type Figure, type Row, row } from '../../report/report.js';
import { type Contestant, closeAll, NODE, NODE_ONE_CPU, OURS, openContestant, runFor } from './contestants.js';
import type { RequestSetup } from './setup.js';

const CONTESTANTS = [OURS, NODE, NODE_ONE_CPU] as const;
const UNIT = 'requests/s';

export interface RateRow extends Pick<RequestSetup, 'kind' | 'connections'> {
  readonly name: string;
}

export const RATE_ROWS: readonly RateRow[] = [
  { name: 'rr/64/1', kind: 'rr', connections: 1 },
  { name: 'rr/64/128', kind: 'rr', connections: 128 },
  { name: 'crr/64', kind: 'crr', connections: 64 },
];

interface Window {
  readonly perSecond: number;
  /** Requests per second of the server's CPU in which it had work. */
  readonly perBusySecond: number;
  readonly serverBusy: number;
  readonly loadBusy: number;
}

export async function measureRate({ name, ...setup }: RateRow, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const contestants: Contestant[] = [];
  const guard = await NoiseGuard.begin();
  try {
    for (const who of CONTESTANTS) {
      plan.stop.throwIfAborted();
      const contestant = await openContestant(who, { load: 'tcp/requests/load.js', setup });
      contestants.push(contestant);
      await contestant.processes.during(() => rate(name, contestant, warmUp));
    }
    const measured = await alternate(contestants, windows, plan, (contestant) =>
      // Both processes of ours spin, and the load of the others does.
      contestant.processes.during(
        () => guard.watch(spinning(contestant), () => rate(name, contestant, window)),
        (milliseconds) => runFor(contestant, milliseconds),
      ),
    );
    const figures = measured.map((each) => figureOf(each, 'perSecond', UNIT)) as [Figure, ...Figure[]];
    const [ours, ...others] = figures;
    const peers = Object.fromEntries(others.map((each, i) => [CONTESTANTS[i + 1], each]));
    return row(name, ours, peers, { noise: await guard.end(figures), more: moreOf(measured) });
  } finally {
    await closeAll(contestants, plan);
  }
}

const spinning = ({ name, processes, load }: Contestant): readonly number[] =>
  name === OURS ? processes.pids : [load.child.pid];

async function rate(name: string, contestant: Contestant, seconds: number): Promise<Window> {
  const run = await runFor(contestant, seconds * 1000);
  const { requests, errors } = run;
  if (requests === 0)
    throw new Error(`${name}: ${contestant.name} answered nothing; it wrote:\n${contestant.server.output}`);
  if (errors > 0) throw new Error(`${name}: ${contestant.name} ended ${errors} connections`);
  const perSecond = requests / run.seconds;
  const { serverBusy, loadBusy } = run;
  const perBusySecond = Math.round(perSecond / Math.max(serverBusy, 0.01));
  return { perSecond: Math.round(perSecond), perBusySecond, serverBusy, loadBusy };
}

/** What limits each contestant, and what a request costs. */
function moreOf(measured: readonly (readonly Window[])[]): Row['more'] {
  const busy = measured.map((each) => figureOf(each, 'perBusySecond', 'requests/busy s'));
  const limits = measured.map((each, i) => [CONTESTANTS[i], limitIn(each)]);
  return {
    limit: Object.fromEntries(limits),
    'per busy CPU second of the server': Object.fromEntries(busy.map((each, i) => [CONTESTANTS[i], each])),
    'kernel settings': KERNEL_SETTINGS,
  };
}
