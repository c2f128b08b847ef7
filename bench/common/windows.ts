/**
 * Measurement windows. Contestants take turns, so that a machine that becomes faster or slower affects all of them.
 */
import type { Plan } from './benchmark.js';

export interface Timing {
  /** Number of windows. */
  readonly windows: number;
  /** Length of a window in seconds. */
  readonly window: number;
  /** Time before the first window in seconds, in which V8 compiles the code. */
  readonly warmUp: number;
}

export const timing = (isQuick: boolean): Timing =>
  isQuick ? { windows: 3, window: 0.15, warmUp: 0.3 } : { windows: 7, window: 0.5, warmUp: 1.5 };

/**
 * Measures each contestant once per turn, `windows` times.
 * @returns a list of values per contestant, in the order of the contestants
 */
export async function alternate<C, V>(
  contestants: readonly C[],
  windows: number,
  { stop }: Plan,
  measure: (contestant: C, turn: number) => Promise<V>,
): Promise<V[][]> {
  const values: V[][] = contestants.map(() => []);
  for (let turn = 0; turn < windows; turn++) {
    for (const [i, contestant] of contestants.entries()) {
      stop.throwIfAborted();
      values[i].push(await measure(contestant, turn));
    }
  }
  return values;
}

/** How long a contestant works before its window, in ms. */
const SETTLE_MS = 100;

/** A process; a `Child` is one. */
export interface Pausable {
  readonly pid: number;
  readonly isRunning: boolean;
  signal(signal: NodeJS.Signals): void;
  /** Ends it. */
  stop(): Promise<unknown>;
}

/**
 * Processes that are stopped (SIGSTOP) while others are measured. A stopped process uses no CPU and keeps its compiled
 * code, so it needs neither a start nor a warm-up when its turn comes again.
 */
export class PausableProcesses {
  constructor(private readonly children: readonly Pausable[]) {}

  pause(): void {
    for (const child of this.children) if (child.isRunning) child.signal('SIGSTOP');
  }

  resume(): void {
    for (const child of this.children) if (child.isRunning) child.signal('SIGCONT');
  }

  /**
   * Does some work while the processes run. They are stopped afterwards.
   * @param settle called before, with a time in ms. In the first milliseconds after a stop the processes are slow: caches
   * are cold, timers are due, and what was under way waits.
   */
  async during<T>(work: () => Promise<T>, settle?: (milliseconds: number) => Promise<unknown>): Promise<T> {
    this.resume();
    try {
      await settle?.(SETTLE_MS);
      return await work();
    } finally {
      this.pause();
    }
  }

  get pids(): number[] {
    return this.children.map(({ pid }) => pid);
  }

  /** Ends all processes, in their order. When all have ended, rejects if one had to be killed. */
  async stop(): Promise<void> {
    this.resume();
    const faults: unknown[] = [];
    for (const child of this.children) await child.stop().catch((fault: unknown) => faults.push(fault));
    if (faults.length > 0) throw faults[0];
  }
}
