/** Windows of measurement: contestants take turns, so that a change of the machine's mood meets all of them. */
import type { Child } from '../../scripts/child.js';
import type { Plan } from './benchmark.js';

/** How often and how long is measured. Seconds. */
export interface Timing {
  readonly windows: number;
  readonly window: number;
  /** For the compiler, before the first window. */
  readonly warmUp: number;
}

export const timing = (isQuick: boolean): Timing =>
  isQuick ? { windows: 5, window: 0.15, warmUp: 0.5 } : { windows: 7, window: 0.5, warmUp: 1.5 };

/**
 * Measures each contestant once a turn, `windows` times.
 * @returns a list of values a contestant, in their order
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

/**
 * Processes that are stopped while others are measured. Stopped, they cost nothing and forget nothing: neither a start nor
 * a warm-up is needed when their turn comes again.
 */
export class Troupe {
  constructor(private readonly children: readonly Child[]) {}

  pause(): void {
    for (const child of this.children) if (child.isRunning) child.signal('SIGSTOP');
  }

  resume(): void {
    for (const child of this.children) if (child.isRunning) child.signal('SIGCONT');
  }

  get pids(): number[] {
    return this.children.map(({ pid }) => pid);
  }

  /** Ends them all, those first that come first; rejects when one had to be killed, but not before all are gone. */
  async stop(): Promise<void> {
    this.resume();
    const faults: unknown[] = [];
    for (const child of this.children) await child.stop().catch((fault: unknown) => faults.push(fault));
    if (faults.length > 0) throw faults[0];
  }
}
