/**
 * Layouts whose threads have a CPU each. The rows `threads/1kb` and `threads/2kb` compare packets per second with
 * layout single on one CPU. The row `stall/4` measures what three of four cores get while the fourth stands still.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Host } from '../../src/link/host.js';
import { IndirectionTable } from '../../src/rss/indirection-table.js';
import { Rss } from '../../src/rss/rss.js';
import { Interconnect } from '../../src/threads/shared/interconnect.js';
import type { Plan } from '../common/benchmark.js';
import { allowedCpus } from '../common/cpus.js';
import { memoryBytes, viewsOf } from '../common/memory-nic.js';
import { NoiseGuard } from '../common/noise.js';
import { alternate, timing } from '../common/windows.js';
import { figure, type Row, row } from '../report/report.js';
import { planFor } from './make-loops.js';
import { LINK } from './network.js';
import {
  COUNTERS,
  ENDED,
  NO_CORE,
  PAUSED,
  type Role,
  RUNNING,
  SENT,
  STALLED,
  STARTED,
  STATE,
  type ThreadStart,
} from './thread-control.js';

const UNIT = 'packets/s';
const WORKER = new URL('./threads.worker.js', import.meta.url);
const FLOWS = 10_000;
const STALL_CORES = 4;
/** Time for the queues to fill or to become empty after a pause, in ms. */
const SETTLE_MS = 20;
const START_MS = 20_000;

/** The threads of each row's layout. */
const ROLES: Readonly<Record<string, readonly Role[]>> = {
  'threads/1kb': ['rxtx', 'cores'],
  'threads/2kb': ['rx', 'tx', 'cores'],
  [`stall/${STALL_CORES}`]: ['rxtx', 'cores'],
};

export const THREAD_ROWS = Object.keys(ROLES);

/** Returns how many CPUs a row needs. All of them are busy. */
export const cpusFor = (name: string): number => ROLES[name].length;

/** The threads of a layout. They sleep except during a window. */
export class Threads {
  /** What the threads count: places in `thread-control.ts`. */
  readonly counters = new Float64Array(new SharedArrayBuffer(COUNTERS * 8));
  private readonly control = new Int32Array(new SharedArrayBuffer(4096));
  private readonly workers: Worker[];
  private readonly failed: Promise<never>;

  /**
   * @param roles the role of each thread
   * @param program what each thread runs, and further data for it
   */
  constructor(roles: readonly Role[], cores: number, program = WORKER, more: object = {}) {
    const plan = planFor(cores);
    const memory = new SharedArrayBuffer(memoryBytes(plan.buffers));
    const made = Interconnect.create(plan, roles.includes('tx'));
    // The core may begin before the receiving loop has written our address.
    new Host(made.hostMemory()).set(LINK);
    const interconnect = made.shared();
    const rss = new Rss(viewsOf(memory), {}, IndirectionTable.create(cores)).share();
    const shares = { control: this.control.buffer, counters: this.counters.buffer } as Pick<
      ThreadStart,
      'control' | 'counters'
    >;
    this.control[STALLED] = NO_CORE;
    const cpus = allowedCpus();
    this.workers = roles.map((role, i) => {
      const cpu = cpus[i % cpus.length];
      const core = roles.slice(0, i).filter((before) => before === role).length;
      const start: ThreadStart = { role, cpu, core, cores, flows: FLOWS, memory, interconnect, rss, ...shares };
      return new Worker(program, { workerData: { ...start, ...more } });
    });
    this.failed = new Promise((_, reject) => {
      for (const worker of this.workers) worker.once('error', reject);
    });
    this.failed.catch(() => {});
  }

  /** Waits until the threads have started, and lets V8 compile their code. */
  async warmUp(milliseconds: number, stop: AbortSignal): Promise<void> {
    const end = performance.now() + START_MS;
    while (Atomics.load(this.control, STARTED) < this.workers.length) {
      stop.throwIfAborted();
      if (performance.now() > end) throw new Error('the threads of a layout did not start');
      await Promise.race([sleep(10), this.failed]);
    }
    await this.measure(milliseconds);
    stop.throwIfAborted();
  }

  /**
   * Runs for a window.
   * @param stalled the core that stands still, or {@link NO_CORE}
   * @param watched cores to count; none: count the packets that the device has sent
   * @returns packets per second
   */
  async measure(milliseconds: number, stalled = NO_CORE, watched: readonly number[] = []): Promise<number> {
    Atomics.store(this.control, STALLED, stalled);
    this.set(RUNNING);
    try {
      await Promise.race([sleep(SETTLE_MS), this.failed]);
      const [before, start] = [this.count(watched), performance.now()];
      await Promise.race([sleep(milliseconds), this.failed]);
      return Math.round(((this.count(watched) - before) * 1000) / (performance.now() - start));
    } finally {
      this.set(PAUSED);
    }
  }

  async close(): Promise<void> {
    this.set(ENDED);
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private count(watched: readonly number[]): number {
    if (watched.length === 0) return this.counters[SENT];
    return watched.reduce((sum, core) => sum + this.counters[core], 0);
  }

  private set(state: number): void {
    Atomics.store(this.control, STATE, state);
    Atomics.notify(this.control, STATE);
  }
}

async function layoutRow(name: string, plan: Plan, opened: Threads[]): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  opened.push(new Threads(ROLES[name], 1), new Threads(['single'], 1));
  for (const threads of opened) await threads.warmUp(warmUp * 1000, plan.stop);
  const rates = await alternate(opened, windows, plan, (threads) => threads.measure(window * 1000));
  const [ours, single] = rates.map((values) => figure(values, UNIT));
  return row(name, ours, { 'Case I': single }, { noise: await guard.end([ours, single]) });
}

async function stallRow(name: string, plan: Plan, opened: Threads[]): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const guard = await NoiseGuard.begin();
  const threads = new Threads(ROLES[name], STALL_CORES);
  opened.push(threads);
  await threads.warmUp(warmUp * 1000, plan.stop);
  const last = STALL_CORES - 1;
  const others = Array.from({ length: last }, (_, core) => core);
  const rates = await alternate([last, NO_CORE], windows, plan, (stalled) => {
    return threads.measure(window * 1000, stalled, others);
  });
  const [stalled, all] = rates.map((values) => figure(values, UNIT));
  return row(name, stalled, { 'none stalled': all }, { noise: await guard.end([stalled, all]) });
}

export async function measureThreads(name: string, plan: Plan): Promise<Row> {
  const opened: Threads[] = [];
  try {
    const measure = name.startsWith('stall/') ? stallRow : layoutRow;
    return await measure(name, plan, opened);
  } finally {
    await Promise.all(opened.map((threads) => threads.close()));
  }
}
