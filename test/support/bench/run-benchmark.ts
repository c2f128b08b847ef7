/** Runs the benchmarks of the build, as `npm run bench` does. */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Report } from '../../../bench/report/report.js';
import { Child } from '../../../scripts/child.js';

const BENCH = fileURLToPath(new URL('../../../dist-bench/bench/main.js', import.meta.url));

export const startBenchmark = (...args: string[]): Child => Child.spawn(process.execPath, [BENCH, ...args]);

/** Runs a benchmark with `--quick` to its end. Expects that it succeeds with all contestants; returns its report. */
export async function runBenchmark(name: string, ...args: string[]): Promise<Report> {
  const child = startBenchmark(name, '--quick', '--json', ...args);
  try {
    const { code } = await child.exited;
    expect(code, child.output).toBe(0);
    // A row or a contestant that is missing, and why.
    expect(child.output.match(/^not measured: .*$/gm) ?? [], child.output).toEqual([]);
  } finally {
    await child.stop();
  }
  const report = JSON.parse(child.stdout) as Report;
  expect(report.benchmark).toBe(name);
  return report;
}
