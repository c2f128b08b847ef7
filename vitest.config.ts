import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// A process a file: koffi is a native addon, and a suite's descriptors and mappings end with it.
const common = { pool: 'forks' as const, testTimeout: 20_000, hookTimeout: 30_000 };

export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // By default a machine with two CPUs would use one of them.
          maxWorkers: Math.max(2, availableParallelism() - 1),
        },
      },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          // Polling programs starve their neighbours on a small machine: one suite at a time, after the unit tests.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
          // An emulated guest takes a whole CPU: two suites at a time, last, and patiently.
          maxWorkers: Math.min(2, availableParallelism()),
          sequence: { groupOrder: 2 },
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
