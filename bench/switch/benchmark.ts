/** `bench -- switch`: the embedded switch next to OVS-DPDK, each on one CPU, the same frontends on another. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { isOvsInstalled, Ovs } from '../../scripts/ovs.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { Served } from '../common/serve.js';
import { alternate, Troupe, timing } from '../common/windows.js';
import { NoiseGuard } from '../report/noise.js';
import { figure, type Row, row } from '../report/report.js';
import { BROADCAST, macOf, type Run, SCENES, type Scene, type Setup } from './scene.js';

const UNIT = 'frames/s';
const SCRIPT = fileURLToPath(new URL('../../../bess/forward_n.bess', import.meta.url));

interface Pair {
  readonly name: string;
  readonly load: Served;
  readonly switch: Child;
  readonly troupe: Troupe;
  /** Of both; removed last. */
  readonly folder: string;
}

/** A switch that has started: its process that forwards, all of its processes, its sockets. */
interface Started {
  readonly main: Child;
  readonly children: readonly Child[];
  readonly sockets: readonly string[];
}

async function startOurs(folder: string, { ports }: Scene): Promise<Started> {
  // Pinned by taskset, as BESS's add_worker would; the script is the one that BESS runs.
  const cpu = String(benchCpus().common);
  const command = Child.commandLine('switch', SCRIPT, `NPORTS=${ports}`, `DIR=${folder}`, '--idle', 'spin');
  const main = Child.spawn('taskset', ['-c', cpu, ...command]);
  try {
    await main.waitFor(/^ready: /m);
  } catch (error) {
    await main.stop();
    throw error;
  }
  const sockets = Array.from({ length: ports }, (_, i) => join(folder, `vhost${i + 1}.sock`));
  return { main, children: [main], sockets };
}

async function startOvs(folder: string, { ports }: Scene): Promise<Started> {
  const names = Array.from({ length: ports }, (_, i) => `vhost${i + 1}`);
  const cpu = benchCpus().common;
  const ovs = await Ovs.start({ folder, ports: names.map((name) => ({ name })), cpu, hugepages: hasHugepages() });
  const { daemon: main, children } = ovs;
  try {
    const outputs = names.map((name) => `output:${ovs.numberOf(name)}`);
    for (const [port, output] of outputs.entries()) ovs.addFlow(`dl_dst=${macOf(port)}`, output);
    // OVS never sends a frame back to where it came from.
    ovs.addFlow(`dl_dst=${BROADCAST}`, outputs.join(','));
  } catch (error) {
    await Promise.allSettled(children.map((child) => child.stop()));
    throw error;
  }
  return { main, children, sockets: names.map((name) => join(folder, name)) };
}

async function open(name: string, scene: Scene, start: typeof startOurs): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  let started: Started | null = null;
  try {
    started = await start(folder, scene);
    const { sockets, main, children } = started;
    const setup: Setup = { sockets, scene, cpu: benchCpus().contestant, hugepages: hasHugepages() };
    const load = await Served.start('switch/load.js', setup);
    return { name, load, switch: main, troupe: new Troupe([load.child, ...children]), folder };
  } catch (error) {
    await Promise.allSettled((started?.children ?? []).map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function rate({ load }: Pair, seconds: number): Promise<number> {
  const { frames, seconds: took } = await load.ask<Run>(seconds * 1000);
  return Math.round(frames / took);
}

/** A switch may need a while until its thread knows of new ports: OVS's tells it by another thread. */
const FLOWS_MS = 15_000;

async function untilFlowing(pair: Pair): Promise<void> {
  const deadline = performance.now() + FLOWS_MS;
  while ((await rate(pair, 0.1)) === 0) {
    if (performance.now() > deadline) {
      throw new Error(`no frame came through ${pair.name} for ${FLOWS_MS / 1000} s:\n${pair.switch.output}`);
    }
  }
}

async function compare(scene: Scene, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const pairs: Pair[] = [];
  try {
    for (const [name, start] of [
      ['tspmd', startOurs],
      ['ovs-dpdk', startOvs],
    ] as const) {
      const pair = await open(name, scene, start);
      pairs.push(pair);
      await untilFlowing(pair);
      await rate(pair, warmUp);
      pair.troupe.pause();
    }
    const [ours, ovs] = await alternate(pairs, windows, plan, async (pair) => {
      pair.troupe.resume();
      try {
        return await guard.watch([pair.load.child.pid, pair.switch.pid], () => rate(pair, window));
      } finally {
        pair.troupe.pause();
      }
    });
    const [a, b] = [figure(ours, UNIT), figure(ovs, UNIT)];
    return row(scene.name, a, { 'ovs-dpdk': b }, { noise: await guard.end([a, b]) });
  } finally {
    for (const { troupe, folder } of pairs) {
      await troupe.stop().catch((error: Error) => plan.progress(error.message.split('\n', 1)[0]));
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

export const switching: Benchmark = {
  summary: 'the embedded switch: frames a second that arrive, against OVS-DPDK',
  rows: SCENES.map(({ name }) => name),

  missing() {
    if (isOvsInstalled()) return [];
    return ["OVS-DPDK (run 'npm run setup:peers' as root; its Debian package is openvswitch-switch-dpdk)"];
  },

  async measure(rows, plan) {
    if (!hasHugepages()) plan.progress(NO_HUGEPAGES);
    const scenes = SCENES.filter(({ name }) => rows.includes(name));
    return measureEach(scenes, plan, (scene) => compare(scene, plan));
  },
};
