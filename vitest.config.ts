import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A process a file: koffi is a native addon, and a suite's descriptors and mappings end with it.
    pool: 'forks',
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
