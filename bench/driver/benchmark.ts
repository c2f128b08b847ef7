/**
 * `bench -- driver`: compares our virtio driver over vhost-user with DPDK's virtio-user in `dpdk-testpmd`. Each has a
 * backend of its own, a `dpdk-testpmd` with DPDK's vhost library. While one contestant and its backend are measured,
 * the others are stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isInstalled } from '../../scripts/programs.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, timing } from '../common/windows.js';
import { figure, type Row, row } from '../report/report.js';
import { ContestantWithBackend, type Window } from './contestant-with-backend.js';
import { QUICK, ROWS, type RowSpec } from './rows.js';

const UNIT = 'packets/s';

async function compare(spec: RowSpec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const contestants: ContestantWithBackend[] = [];
  try {
    for (const name of ['tspmd', 'dpdk'] as const) {
      const contestant = await ContestantWithBackend.open(name, spec);
      contestants.push(contestant);
      await sleep(warmUp * 1000);
      contestant.processes.pause();
    }
    const [ours, dpdk] = await alternate(contestants, windows, plan, (contestant) => {
      const { name, processes } = contestant;
      return processes.during(async () => {
        const measured = await guard.watch(processes.pids, () => contestant.measure(window));
        if (measured.rate === 0) throw new Error(`${spec.name}: no packet of ${name} arrived`);
        return measured;
      }, sleep);
    });
    const by = (values: Window[], field: keyof Window) =>
      figure(
        values.map((value) => Math.round(value[field])),
        UNIT,
      );
    const [a, b] = [by(ours, 'rate'), by(dpdk, 'rate')];
    const noise = await guard.end([a, b]);
    // The contestant's own count. If it differs from the backend's count, something is wrong.
    const own = { tspmd: by(ours, 'own').median, dpdk: by(dpdk, 'own').median };
    return row(spec.name, a, { dpdk: b }, { noise, more: { 'counted by itself': own } });
  } finally {
    await Promise.allSettled(contestants.map((contestant) => contestant.close()));
  }
}

export const driver: Benchmark = {
  summary: "packets per second: our virtio driver, bare and through the layer-2 API, against DPDK's in dpdk-testpmd",
  rows: ROWS.map(({ name }) => name),
  quickRows: QUICK.map(({ name }) => name),

  missing: () => (isInstalled('dpdk-testpmd') ? [] : ["dpdk-testpmd (run 'npm run setup:peers' as root)"]),

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    const specs = ROWS.filter(({ name }) => rows.includes(name));
    return measureEach(specs, plan, (spec) => compare(spec, plan));
  },
};
