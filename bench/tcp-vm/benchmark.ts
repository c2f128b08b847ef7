/**
 * `bench -- tcp-vm`: TCP servers in a guest, above our driver and stack, and on the guest's kernel. The guests are alike,
 * and so are their NICs, which are ports of the embedded switch. The load is on the host.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whenAborted } from '../../drivers/stop-signal.js';
import { isInstalled } from '../../scripts/programs.js';
import { findGuest, isNoIommuPossible, NO_IOMMU_REMEDY } from '../../scripts/vm/cache.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate } from '../common/windows.js';
import type { Row } from '../report/report.js';
import { GuestSide } from './guest-side.js';
import { Measured } from './measured.js';
import { type Group, VM_ROWS, type VmRow } from './rows.js';
import { serversOf } from './servers.js';

const SETUP = "run 'npm run setup:peers' as root";
/** A machine ends by itself after so many seconds for each row and contestant: the longest time on a busy host. */
const ROW_SECONDS = 240;

/** Times in seconds. */
interface Timing {
  /** CPU time that the guest gets at least in the warm-up of a row, and the longest warm-up. */
  readonly warmUp: readonly [number, number];
  readonly windows: number;
  readonly window: number;
}

const timing = (isQuick: boolean): Timing =>
  isQuick ? { warmUp: [0, 1], windows: 2, window: 0.5 } : { warmUp: [10, 60], windows: 7, window: 1 };

/** Measures one row. All sides are paused before and after. */
async function measure(row: VmRow, sides: readonly GuestSide[], plan: Plan): Promise<Row> {
  const { warmUp, windows, window } = timing(plan.isQuick);
  // The round trip of a cache line between the CPUs matters little to an emulated guest.
  const measured = new Measured(row, await NoiseGuard.begin(false));
  for (const side of sides) {
    await side.processes.during(async () => {
      await side.begin(row.work);
      await side.warmUp(...warmUp);
    });
  }
  await alternate(sides, windows, plan, (side) =>
    side.processes.during(async () => {
      const work = (): ReturnType<GuestSide['measure']> => side.measure(window * 1000);
      const [done, shares] = await measured.guard.watch([side.load.child.pid], work);
      measured.add(side.name, done, shares);
    }),
  );
  for (const side of sides) await side.processes.during(() => side.end());
  return measured.row(sides.map(({ output }) => output).join(''));
}

/** Measures the rows of a group, whose servers are the same. */
async function measureGroup(group: Group, rows: readonly VmRow[], plan: Plan): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const sides: GuestSide[] = [];
  const play = async (): Promise<Row[]> => {
    for (const server of serversOf(group, folder)) {
      const side = await GuestSide.open(server, (rows.length + 1) * 2 * ROW_SECONDS);
      sides.push(side);
      side.processes.pause();
    }
    return measureEach(rows, plan, (row) => measure(row, sides, plan));
  };
  const ended = whenAborted(plan.stop).then((): never => {
    throw plan.stop.reason;
  });
  try {
    return await Promise.race([play(), ended]);
  } finally {
    await Promise.allSettled(sides.map((side) => side.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

const select = (names: readonly string[]): VmRow[] => VM_ROWS.filter(({ name }) => names.includes(name));

export const tcpVm: Benchmark = {
  summary: "TCP servers in a guest VM: requests and bytes per second, against Node and nginx on the guest's kernel",
  rows: VM_ROWS.map(({ name }) => name),

  missing(names) {
    const needs = ['qemu-system-x86_64', 'ethtool'];
    if (select(names).some(({ group }) => group === 'http')) needs.push('nginx');
    const missing = needs.filter((program) => !isInstalled(program)).map((program) => `${program} (${SETUP})`);
    if (findGuest() === undefined) missing.push(`a guest VM (${SETUP})`);
    else if (!isNoIommuPossible()) missing.push(`a vfio.ko for guests without an IOMMU (${NO_IOMMU_REMEDY})`);
    return missing;
  },

  async measure(names, plan) {
    const rows = select(names);
    const measured: Row[] = [];
    let fault: unknown;
    for (const group of new Set(rows.map((row) => row.group))) {
      const own = rows.filter((row) => row.group === group);
      try {
        measured.push(...(await measureGroup(group, own, plan)));
      } catch (error) {
        plan.stop.throwIfAborted();
        fault = error;
        for (const { name } of own) plan.lost(name, (error as Error).message);
      }
    }
    if (measured.length === 0) throw fault;
    return measured;
  },
};
