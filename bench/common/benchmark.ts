/** The interface between `bench/main.ts` and each benchmark. */
import type { Row } from '../report/report.js';

export interface Plan {
  /** Fewer and shorter windows: they show that the benchmark works, not how fast anything is. */
  readonly isQuick: boolean;
  /** Prints a line for a person who waits. */
  progress(line: string): void;
  /** Notes that a row could not be measured. The other rows are measured. */
  lost(row: string, why: string): void;
  /** Aborts when the benchmark must end early. */
  readonly stop: AbortSignal;
}

export interface Benchmark {
  /** One line that tells what is compared. */
  readonly summary: string;
  readonly rows: readonly string[];
  /** A representative selection of rows, which `all --quick` measures. Default: all rows. */
  readonly quickRows?: readonly string[];
  /** Returns what this machine lacks for these rows, each as the end of "needs …". Empty: all rows can be measured. */
  missing(rows: readonly string[]): string[];
  /** Measures the rows. Rejects when no row could be measured. Leaves nothing behind. */
  measure(rows: readonly string[], plan: Plan): Promise<Row[]>;
}

/**
 * Measures one row after the other. A row that fails is measured again, because contestants may get no CPU in time on a
 * busy machine. Rejects when no row could be measured.
 */
export async function measureEach<T extends { readonly name: string }>(
  specs: readonly T[],
  plan: Plan,
  measure: (spec: T) => Promise<Row>,
): Promise<Row[]> {
  const rows: Row[] = [];
  let fault: unknown;
  for (const spec of specs) {
    try {
      const row = await measure(spec).catch((error: Error) => {
        plan.stop.throwIfAborted();
        plan.progress(`${spec.name}: measured again, because ${firstLine(error)}`);
        return measure(spec);
      });
      const ratios = Object.entries(row.ratio).map(([peer, ratio]) => `${ratio} of ${peer}`);
      plan.progress(`${row.name}: ${ratios.join(', ')}${row.noise?.conclusive === false ? ' (in doubt)' : ''}`);
      rows.push(row);
    } catch (error) {
      plan.stop.throwIfAborted();
      fault = error;
      plan.lost(spec.name, firstLine(error as Error));
    }
  }
  if (rows.length === 0) throw fault;
  return rows;
}

/**
 * Returns the first line of a message. If the other lines, which are a child's output, name an error, adds that line.
 */
export function firstLine({ message }: Error): string {
  const [first = '', ...others] = message.split('\n');
  const named = others.find((line) => /error/i.test(line));
  return named === undefined ? first : `${first.slice(0, 80)}…: ${named.trim()}`;
}
