import { describe, expect, it } from 'vitest';
import { openLayout } from '../../../../bench/pipeline/layouts.js';

describe('a layout of the pipeline benchmark', () => {
  // With four cores, packets for three of them are held back at the end of a pass.
  it.each([
    ['single', 1, 1],
    ['1kb', 4, 10_000],
    ['2kb', 4, 10_000],
    ['rings-1kb', 4, 10_000],
    ['rings-1kb', 64, 100],
  ] as const)('accounts for every packet: %s, %d cores, %d flows', (mode, cores, flows) => {
    const layout = openLayout(mode, cores, flows);
    for (let pass = 0; pass < 2; pass++) {
      layout.pass();
      expect(layout.lost()).toBe(0);
    }
  });
});
