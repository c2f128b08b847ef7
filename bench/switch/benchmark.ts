/**
 * `bench -- switch`: compares the embedded switch with OVS-DPDK. Each switch has one CPU, and the frontends another.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from '../../scripts/child.js';
import { isOvsInstalled, Ovs } from '../../scripts/ovs.js';
import { BenchProcess } from '../common/bench-process.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { macBehind, startEmbeddedSwitch } from '../common/embedded-switch.js';
import { hasHugepages, NO_HUGEPAGES } from '../common/hugepages.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, PausableProcesses, timing } from '../common/windows.js';
import { figure, type Row, row } from '../report/report.js';
import { BROADCAST, ROWS, type RowSpec, type Run, type Setup } from './rows.js';

const UNIT = 'frames/s';

interface Pair {
  readonly name: string;
  readonly load: BenchProcess;
  readonly switch: Child;
  readonly processes: PausableProcesses;
  /** Folder of both. It is removed last. */
  readonly folder: string;
}

/** A running switch: the process that forwards, all of its processes, and its sockets. */
interface Started {
  readonly main: Child;
  readonly children: readonly Child[];
  readonly sockets: readonly string[];
}

async function startOurs(folder: string, { ports }: RowSpec): Promise<Started> {
  // As OVS does, it sends no frame back to the port that it came from.
  const { main, sockets } = await startEmbeddedSwitch(folder, ports, ['RETURN=0']);
  return { main, children: [main], sockets };
}

async function startOvs(folder: string, { ports }: RowSpec): Promise<Started> {
  const names = Array.from({ length: ports }, (_, i) => `vhost${i + 1}`);
  const cpu = benchCpus().common;
  const ovs = await Ovs.start({ folder, ports: names.map((name) => ({ name })), cpu, hugepages: hasHugepages() });
  const { daemon: main, children } = ovs;
  try {
    const outputs = names.map((name) => `output:${ovs.numberOf(name)}`);
    for (const [port, output] of outputs.entries()) ovs.addFlow(`dl_dst=${macBehind(port)}`, output);
    // OVS never sends a frame back to the port that it came from.
    ovs.addFlow(`dl_dst=${BROADCAST}`, outputs.join(','));
  } catch (error) {
    await Promise.allSettled(children.map((child) => child.stop()));
    throw error;
  }
  return { main, children, sockets: names.map((name) => join(folder, name)) };
}

async function open(name: string, spec: RowSpec, start: typeof startOurs): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  let started: Started | null = null;
  try {
    started = await start(folder, spec);
    const { sockets, main, children } = started;
    const setup: Setup = { sockets, spec, cpu: benchCpus().contestant, hugepages: hasHugepages() };
    const load = await BenchProcess.start('switch/load.js', setup);
    return { name, load, switch: main, processes: new PausableProcesses([load.child, ...children]), folder };
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

/**
 * How long a switch may take until it forwards to new ports, in ms. OVS tells its thread about new ports by another
 * thread.
 */
const FLOWS_MS = 15_000;

async function untilFlowing(pair: Pair): Promise<void> {
  const deadline = performance.now() + FLOWS_MS;
  while ((await rate(pair, 0.1)) === 0) {
    if (performance.now() > deadline) {
      throw new Error(`no frame came through ${pair.name} for ${FLOWS_MS / 1000} s:\n${pair.switch.output}`);
    }
  }
}

async function compare(spec: RowSpec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const pairs: Pair[] = [];
  try {
    for (const [name, start] of [
      ['tspmd', startOurs],
      ['ovs-dpdk', startOvs],
    ] as const) {
      const pair = await open(name, spec, start);
      pairs.push(pair);
      await untilFlowing(pair);
      await rate(pair, warmUp);
      pair.processes.pause();
    }
    const [ours, ovs] = await alternate(pairs, windows, plan, (pair) =>
      pair.processes.during(() => guard.watch([pair.load.child.pid, pair.switch.pid], () => rate(pair, window))),
    );
    const [a, b] = [figure(ours, UNIT), figure(ovs, UNIT)];
    return row(spec.name, a, { 'ovs-dpdk': b }, { noise: await guard.end([a, b]) });
  } finally {
    for (const { processes, folder } of pairs) {
      await processes.stop().catch((error: Error) => plan.progress(error.message.split('\n', 1)[0]));
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

export const switching: Benchmark = {
  summary: 'frames per second through the embedded switch, against OVS-DPDK',
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
