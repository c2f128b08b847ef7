/** Selects the rows that this machine can measure, and runs `bench -- all`. */
import { type Benchmark, firstLine, type Plan } from './common/benchmark.js';
import type { MachineFacts } from './report/machine.js';
import type { Report, Reports } from './report/report.js';

/** Returns the rows that this machine can measure, and what it lacks for the others. */
export function measurable(benchmark: Benchmark, names: readonly string[]): { rows: string[]; missing: Set<string> } {
  const missing = new Set<string>();
  const rows = names.filter((name) => {
    const lacks = benchmark.missing([name]);
    for (const what of lacks) missing.add(what);
    return lacks.length === 0;
  });
  return { rows, missing };
}

/**
 * Measures one benchmark after the other. It rejects only when no row could be measured.
 * @param filter selects rows. Default: all rows; with `isQuick` the representative ones.
 */
export async function measureAll(
  benchmarks: readonly (readonly [string, Benchmark])[],
  filter: RegExp | undefined,
  plan: Plan,
  machine: MachineFacts,
): Promise<Reports> {
  const reports: Report[] = [];
  const notMeasured: Record<string, string> = {};
  const noted: Plan = { ...plan, lost: (row, why) => Object.assign(notMeasured, { [row]: why }) };
  for (const [name, benchmark] of benchmarks) {
    const all = plan.isQuick && filter === undefined ? (benchmark.quickRows ?? benchmark.rows) : benchmark.rows;
    const { rows, missing } = measurable(
      benchmark,
      all.filter((row) => filter?.test(row) ?? true),
    );
    if (missing.size > 0) {
      notMeasured[rows.length > 0 ? `some rows of ${name}` : name] = `needs ${[...missing].join(', and ')}`;
    }
    if (rows.length === 0) continue;
    try {
      reports.push({ benchmark: name, machine, rows: await benchmark.measure(rows, noted) });
    } catch (error) {
      plan.stop.throwIfAborted();
      notMeasured[name] = firstLine(error as Error);
    }
  }
  if (reports.length === 0) {
    const reasons = Object.entries(notMeasured).map(([name, why]) => `${name}: ${why}`);
    throw new Error(`nothing was measured: ${reasons.join('; ') || 'no name of a row matches'}`);
  }
  return { benchmark: 'all', machine, rows: reports.flatMap(({ rows }) => rows), reports, notMeasured };
}
