import { describe, expect, it } from 'vitest';
import { openScale } from '../../../../../bench/tcp/scale/layouts.js';

describe('a layout with TCP on one thread', () => {
  it.each([
    ['1kb', 1, true],
    ['1kb', 3, true],
    ['2kb', 2, true],
    ['1kb', 16, false],
    ['2kb', 16, false],
  ] as const)('answers requests: %s, %d cores, TCP/IP stacks: %s', (mode, cores, stacks) => {
    const layout = openScale(mode, cores, stacks);
    expect(layout.run(500)).toBeGreaterThan(10_000);
    expect(layout.faults()).toBe('');
  });
});
