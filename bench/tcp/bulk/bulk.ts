/**
 * Measures a row `bulk/…` of `bench -- tcp`: bytes per second of one TCP connection. The load is the same program for all
 * contestants.
 */
import { firstLine, type Plan } from '../../common/benchmark.js';
import { cpuSeconds } from '../../common/cpus.js';
import { figureOf } from '../../common/kernel-side.js';
import { limitIn } from '../../common/limit.js';
import { NoiseGuard } from '../../common/noise.js';
import { KERNEL_SETTINGS, type Side } from '../../common/sides.js';
import { alternate, timing } from '../../common/windows.js';
import { type Row, row } from '../../report/report.js';
import { BULK_CONTESTANTS, type BulkSide, OURS } from './contestants.js';
import type { BulkRow, Check, Run } from './setup.js';

/** Bytes that are compared before anything is measured. */
const CHECKED_BYTES = 16 * 2 ** 20;

interface Window {
  readonly rate: number;
  /** Bytes per CPU second of the server. */
  readonly perCpuSecond: number;
  /** Part of the time in which its loop found something to do. Of a server on the kernel: CPU seconds per second. */
  readonly serverBusy: number;
  /** The same of the load's loop. */
  readonly loadBusy: number;
  readonly retransmitted: number;
}

/** Rejects unless every byte that can be compared is right. */
async function checkBytes({ name, load }: Side, { direction }: BulkRow): Promise<void> {
  const { bytes, wrong } = await load.ask<Check>('check', direction, CHECKED_BYTES);
  if (wrong !== null && wrong > 0) throw new Error(`${name}: ${wrong} of ${bytes} bytes are not those that were sent`);
  // iperf3 stops reading when the test ends.
  const least = wrong === null ? 1 : CHECKED_BYTES;
  if (bytes < least) throw new Error(`${name}: only ${bytes} of ${CHECKED_BYTES} bytes have arrived`);
}

async function measureWindow(side: BulkSide, { direction }: BulkRow, seconds: number): Promise<Window> {
  const { name, server, load, busyMs } = side;
  const busy = (await busyMs?.()) ?? 0;
  const start = performance.now();
  const cpu = cpuSeconds(server.pid);
  const run = await load.ask<Run>('run', direction, seconds * 1000);
  if (run.bytes === 0) throw new Error(`${name}: nothing was transferred; the server wrote:\n${server.output}`);
  // Of the whole connection, because the server does not know when the window has begun.
  const took = (performance.now() - start) / 1000;
  const serverCpu = (cpuSeconds(server.pid) - cpu) / took;
  const serverBusy = busyMs === undefined ? serverCpu : ((await busyMs()) - busy) / (took * 1000);
  const rate = Math.round(run.bytes / run.seconds);
  const perCpuSecond = Math.round(rate / Math.max(serverCpu, 0.01));
  return { rate, perCpuSecond, serverBusy, loadBusy: run.busy, retransmitted: run.retransmitted };
}

/** Opens what can be opened, with checked bytes, warm and stopped. A peer that cannot run here is noted. */
async function openAll(spec: BulkRow, warmUp: number, plan: Plan, opened: BulkSide[]): Promise<void> {
  for (const { name, open, lacks } of BULK_CONTESTANTS) {
    let side: BulkSide | null = null;
    try {
      const lacking = lacks();
      if (lacking !== null) throw new Error(`needs ${lacking}`);
      side = await open(spec);
      await checkBytes(side, spec);
      await measureWindow(side, spec, warmUp);
      side.processes.pause();
      opened.push(side);
    } catch (error) {
      await side?.close().catch(() => {});
      plan.stop.throwIfAborted();
      if (name === OURS) throw error;
      plan.lost(`${spec.name} against ${name}`, firstLine(error as Error));
    }
  }
}

/** Measures one row. Rejects when our side cannot be measured. */
export async function measureBulk(spec: BulkRow, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const sides: BulkSide[] = [];
  try {
    await openAll(spec, warmUp, plan, sides);
    const measured = await alternate(sides, windows, plan, (side) => {
      // The load spins on both sides. A server on the kernel sleeps while it has nothing to do.
      const spinning = side.busyMs === undefined ? [side.load.child.pid] : side.processes.pids;
      return side.processes.during(() => guard.watch(spinning, () => measureWindow(side, spec, window)));
    });
    const byName = <T>(value: (windows: readonly Window[]) => T): Record<string, T> =>
      Object.fromEntries(sides.map(({ name }, i) => [name, value(measured[i])]));
    const { [OURS]: ours, ...peers } = byName((each) => figureOf(each, 'rate', 'bytes/s'));
    const more = {
      limit: byName(limitIn),
      'per CPU second of the server': byName((each) => figureOf(each, 'perCpuSecond', 'bytes/CPU s')),
      'segments that the load sent again': byName((each) =>
        each.reduce((sum, { retransmitted }) => sum + retransmitted, 0),
      ),
      'kernel settings': KERNEL_SETTINGS,
    };
    return row(spec.name, ours, peers, { noise: await guard.end([ours, ...Object.values(peers)]), more });
  } finally {
    for (const { close } of sides) await close().catch((error: Error) => plan.progress(firstLine(error)));
  }
}
