/**
 * `bench -- driver`: our virtio driver over vhost-user next to DPDK's virtio-user in `dpdk-testpmd`, each in front of a
 * `dpdk-testpmd` of its own with DPDK's vhost library. Both pairs are alive all the time of a row; the one that is not
 * being measured is stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isInstalled } from '../../scripts/programs.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { alternate, timing } from '../common/windows.js';
import { NoiseGuard } from '../report/noise.js';
import { figure, type Row, row } from '../report/report.js';
import { QUICK, SCENES, type Scene } from './scene.js';
import { Stage, type Window } from './stage.js';

const UNIT = 'packets/s';
/** For the queues to fill, or run dry, after a pause. */
const SETTLE_MS = 30;

async function compare(scene: Scene, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const stages: Stage[] = [];
  try {
    for (const name of ['tspmd', 'dpdk'] as const) {
      const stage = await Stage.open(name, scene);
      stages.push(stage);
      await sleep(warmUp * 1000);
      stage.pause();
    }
    const [ours, dpdk] = await alternate(stages, windows, plan, async (stage) => {
      stage.resume();
      try {
        await sleep(SETTLE_MS);
        const measured = await guard.watch(stage.pids, () => stage.measure(window));
        if (measured.rate === 0) throw new Error(`${scene.name}: no packet of ${stage.name} arrived`);
        return measured;
      } finally {
        stage.pause();
      }
    });
    const by = (values: Window[], field: keyof Window) =>
      figure(
        values.map((value) => Math.round(value[field])),
        UNIT,
      );
    const [a, b] = [by(ours, 'rate'), by(dpdk, 'rate')];
    const noise = await guard.end([a, b]);
    // Of Tx the sender's count, of Rx the receiver's: a pair of figures that differ would tell of a fault.
    const own = { tspmd: by(ours, 'own').median, dpdk: by(dpdk, 'own').median };
    return row(scene.name, a, { dpdk: b }, { noise, more: { 'counted by itself': own } });
  } finally {
    await Promise.allSettled(stages.map((stage) => stage.close()));
  }
}

export const driver: Benchmark = {
  summary: "packets a second: our virtio driver, bare and through the layer-2 API, against DPDK's in dpdk-testpmd",
  rows: SCENES.map(({ name }) => name),
  quickRows: QUICK.map(({ name }) => name),

  missing: () => (isInstalled('dpdk-testpmd') ? [] : ["dpdk-testpmd (run 'npm run setup:peers' as root)"]),

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    const scenes = SCENES.filter(({ name }) => rows.includes(name));
    return measureEach(scenes, plan, (scene) => compare(scene, plan));
  },
};
