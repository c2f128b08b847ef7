import { describe, expect, it } from 'vitest';
import { HOPS, measureHops } from '../../../../bench/pipeline/hop.js';
import type { Contestant } from '../../../../bench/pipeline/turns.js';

/** Measures rows with layouts that all take 10 ns, except those that fail when `ok` says so. */
async function measure(names: readonly string[], ok: (key: string, windows: number) => boolean) {
  const lost = new Map<string, string>();
  const closed: string[] = [];
  const open = (key: string): Contestant => {
    let windows = 0;
    return {
      key,
      ready: async () => {},
      measure: async () => {
        if (!ok(key, windows++)) throw new Error('8 packets were dropped');
        return 10;
      },
      close: async () => void closed.push(key),
    };
  };
  const rows = await measureHops(
    HOPS.filter(({ name }) => names.includes(name)),
    {
      ...{ isQuick: true, progress: () => {}, stop: new AbortController().signal },
      lost: (row, why) => lost.set(row, why),
    },
    open,
  );
  return { rows: rows.map(({ name, ours }) => [name, ours.median]), lost: Object.fromEntries(lost), closed };
}

describe('rows of the pipeline benchmark', () => {
  it('measures the others when the layout of one row fails at its start', async () => {
    const names = ['hop/1/100', 'hop/4/100', 'flat/4/100', 'flat/64/100', 'hop/1/1'];
    const { rows, lost, closed } = await measure(names, (key) => key !== 'rings-1kb/4/100');
    expect(rows).toEqual([
      ['hop/1/1', 0],
      ['hop/1/100', 0],
      ['flat/64/100', 10],
    ]);
    expect(lost).toEqual({
      'hop/4/100': 'rings-1kb/4/100: 8 packets were dropped',
      'flat/4/100': 'rings-1kb/4/100: 8 packets were dropped',
    });
    expect(closed).toContain('rings-1kb/4/100');
    expect(new Set(closed).size).toBe(closed.length);
  });

  it('measures the others when a layout fails in a later window', async () => {
    const { rows, lost } = await measure(
      ['flat/1/100', 'flat/2/100'],
      (key, windows) => key !== 'rings-1kb/2/100' || windows < 2,
    );
    expect(rows).toEqual([['flat/1/100', 10]]);
    expect(Object.keys(lost)).toEqual(['flat/2/100']);
  });

  it('gives no row when all fail', async () => {
    expect(await measure(['hop/1/1'], () => false)).toMatchObject({
      rows: [],
      lost: { 'hop/1/1': 'single/1/1: 8 packets were dropped' },
    });
  });
});
