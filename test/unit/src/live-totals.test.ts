/** What a stack reports while it runs: it may be anything, and the stack goes on. */
import { describe, expect, it } from 'vitest';
import { liveTotals } from '../../../src/stack.js';

describe('the totals of a running stack', () => {
  it('are those that are numbers', () => {
    const odd = { packets: 3, text: 'abc', big: 5n, none: undefined, nan: Number.NaN } as unknown as Record<
      string,
      number
    >;
    expect(liveTotals({ report: () => odd })).toEqual({ packets: 3 });
  });

  it('are none when the stack has no report, or throws in it', () => {
    expect(liveTotals(null)).toEqual({});
    expect(liveTotals({})).toEqual({});
    const report = (): Record<string, number> => {
      throw new Error('my bug');
    };
    expect(liveTotals({ report })).toBeUndefined();
  });
});
