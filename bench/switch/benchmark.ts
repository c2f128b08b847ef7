/**
 * `bench -- switch`: compares the embedded switch with OVS-DPDK, and VXLAN through it with plain frames. Each switch has one CPU, and the frontends another.
 */
import { rmSync } from 'node:fs';
import { isOvsInstalled } from '../../scripts/ovs.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, timing } from '../common/windows.js';
import { type Figure, figure, type Row, row } from '../report/report.js';
import { check, open, type Pair, untilFlowing } from './pair.js';
import { ROWS, type RowSpec, type Run } from './rows.js';
import { contestantsOf } from './switches.js';

const UNIT = 'frames/s';

async function rate({ load }: Pair, seconds: number): Promise<number> {
  const { frames, seconds: took } = await load.ask<Run>('run', seconds * 1000);
  return Math.round(frames / took);
}

async function compare(spec: RowSpec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const pairs: Pair[] = [];
  try {
    for (const contestant of contestantsOf(spec)) {
      const pair = await open(contestant, spec);
      pairs.push(pair);
      await untilFlowing(pair);
      if (spec.traffic === 'vxlan') await check(pair);
      await rate(pair, warmUp);
      pair.processes.pause();
    }
    const rates = await alternate(pairs, windows, plan, (pair) =>
      pair.processes.during(() => guard.watch([pair.load.child.pid, pair.switch.pid], () => rate(pair, window))),
    );
    const [ours, ...others] = rates.map((values) => figure(values, UNIT)) as [Figure, ...Figure[]];
    const peers = Object.fromEntries(others.map((each, i) => [pairs[i + 1].name, each]));
    return row(spec.name, ours, peers, { noise: await guard.end([ours, ...others]) });
  } finally {
    for (const { processes, folder } of pairs) {
      await processes.stop().catch((error: Error) => plan.progress(error.message.split('\n', 1)[0]));
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

export const switching: Benchmark = {
  summary: 'frames per second through the embedded switch, also by VXLAN, against OVS-DPDK',
  rows: ROWS.map(({ name }) => name),

  missing() {
    if (isOvsInstalled()) return [];
    return ["OVS-DPDK (run 'npm run setup:peers' as root; its Debian package is openvswitch-switch-dpdk)"];
  },

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    const specs = ROWS.filter(({ name }) => rows.includes(name));
    return measureEach(specs, plan, (spec) => compare(spec, plan));
  },
};
