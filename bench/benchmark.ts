/** What a benchmark is to `bench/main.ts`. */
import type { Row } from './report.js';

export interface Plan {
  /** Fewer and shorter windows: whether it works, not how fast. */
  readonly isQuick: boolean;
  /** For what a person who waits may like to know; a line. */
  progress(line: string): void;
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
  /** Measures the rows. Rejects with what went wrong; leaves nothing behind. */
  measure(rows: readonly string[], plan: Plan): Promise<Row[]>;
}

/** Rejects when the benchmark is to end early: to race what takes long. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
