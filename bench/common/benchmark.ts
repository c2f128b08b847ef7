/** What a benchmark is to `bench/main.ts`. */
import { whenAborted } from '../../drivers/stop-signal.js';
import type { Row } from '../report/report.js';

export interface Plan {
  /** Fewer and shorter windows: whether it works, not how fast. */
  readonly isQuick: boolean;
  /** For what a person who waits may like to know; a line. */
  progress(line: string): void;
  /** A row could not be measured; the others go on. */
  lost(row: string, why: string): void;
  /** Aborts when the benchmark is to end early. */
  readonly stop: AbortSignal;
}

export interface Benchmark {
  /** One line: what is compared. */
  readonly summary: string;
  readonly rows: readonly string[];
  /** The rows that stand for the others: what `all --quick` measures. Default: all. */
  readonly quickRows?: readonly string[];
  /** What this machine lacks for these rows, each as the end of "needs …"; empty when they can be measured. */
  missing(rows: readonly string[]): string[];
  /** Measures the rows. Rejects with what went wrong with all of them; leaves nothing behind. */
  measure(rows: readonly string[], plan: Plan): Promise<Row[]>;
}

/** Rejects when the benchmark is to end early: to race what takes long. */
export async function aborted(signal: AbortSignal): Promise<never> {
  await whenAborted(signal);
  throw signal.reason;
}

/**
 * Measures one row after the other, and each that failed once more: on a busy machine contestants may get no CPU in time.
 * Rejects when none could be measured.
 */
export async function measureEach<T extends { readonly name: string }>(
  scenes: readonly T[],
  plan: Plan,
  measure: (scene: T) => Promise<Row>,
): Promise<Row[]> {
  const rows: Row[] = [];
  let fault: unknown;
  for (const scene of scenes) {
    try {
      const row = await measure(scene).catch((error: Error) => {
        plan.stop.throwIfAborted();
        plan.progress(`${scene.name}: once more, as ${firstLine(error)}`);
        return measure(scene);
      });
      const ratios = Object.entries(row.ratio).map(([peer, ratio]) => `${ratio} of ${peer}`);
      plan.progress(`${row.name}: ${ratios.join(', ')}${row.noise?.conclusive === false ? ' (in doubt)' : ''}`);
      rows.push(row);
    } catch (error) {
      plan.stop.throwIfAborted();
      fault = error;
      plan.lost(scene.name, firstLine(error as Error));
    }
  }
  if (rows.length === 0) throw fault;
  return rows;
}

/** What a child wrote before it failed follows in the other lines; of those, the one that names an error. */
export function firstLine({ message }: Error): string {
  const [first = '', ...others] = message.split('\n');
  const named = others.find((line) => /error/i.test(line));
  return named === undefined ? first : `${first.slice(0, 80)}…: ${named.trim()}`;
}
