/** Numbers, charts and names in cells. */
import { describe, expect, it } from 'vitest';
import { bar, bits, milliseconds, percent, short, sparkline } from '../../../../../src/cli/top/figures.js';
import { clean, cut, line, padded, plain, span, widthOf } from '../../../../../src/cli/top/text.js';

describe('a number', () => {
  it('has three digits and a prefix', () => {
    const shown = [0, 0.25, 7, 42.4, 999, 999.7, 1000, 12_345, 999_949, 1e6, 9.996e9, 1e12, 4e18].map(short);
    expect(shown).toEqual([
      '0',
      '0.3',
      '7',
      '42',
      '999',
      '1.00k',
      '1.00k',
      '12.3k',
      '1.00M',
      '1.00M',
      '10.0G',
      '1.00T',
      '4000P',
    ]);
  });

  it('never takes more than six cells below a million million million', () => {
    for (let value = 0.001; value < 1e18; value *= 1.37) expect(short(value).length, `${value}`).toBeLessThanOrEqual(5);
  });

  it('can be bits, a share, a time', () => {
    expect(bits(1.2e9)).toBe('9.60G');
    expect([0, 0.004, 0.5, 1, null].map(percent)).toEqual(['0%', '0%', '50%', '100%', '-']);
    expect([0, 0.042, 0.9999, 1.25, 9.999, 38.4, 99.99, 250].map(milliseconds)).toEqual([
      '0.000',
      '0.042',
      '1.00',
      '1.25',
      '10.0',
      '38.4',
      '100',
      '250',
    ]);
  });
});

describe('a chart of the last minute', () => {
  it('has the present at the right, and nothing where nothing is known', () => {
    expect(sparkline([0, 1, 2, 4], 8, 0, 8)).toBe('    ▁▂▄█');
    expect(sparkline([], 60, 0, 4)).toBe('    ');
    expect(sparkline([Number.NaN, 1], 4, 0, 4)).toBe('   █');
    expect(sparkline([0, 0], 4, 0, 4)).toBe('  ▁▁');
  });

  it('can have a scale', () => {
    expect(sparkline([0.5, 1], 2, 0, 2, 1)).toBe('▄█');
  });

  it('shows the largest of several values, which stay together as they move', () => {
    // Two values a cell: (9 0) (0 6) (0 4); one second later the last pair has begun.
    expect(sparkline([9, 0, 0, 6, 0, 4], 6, 0, 3)).toBe('█▆▄');
    expect(sparkline([0, 0, 6, 0, 4, 0], 6, 1, 3)).toBe('█▆▁');
  });
});

it('a bar shows eighths', () => {
  expect([0, 0.5, 0.8125, 1, 7, -1].map((share) => bar(share, 4))).toEqual([
    '    ',
    '██  ',
    '███▎',
    '████',
    '████',
    '    ',
  ]);
});

describe('a name', () => {
  it('is shown without what acts on a terminal', () => {
    expect(clean('tap0')).toBe('tap0');
    expect(clean('a\x1b[31mb\x9bc\td\ne\u200bf')).toBe('a\\x1b[31mb\\x9bc\\td\\ne\\u200bf');
    expect(clean('e\u0301 a\u0300\u0301\u0302\u0303')).toBe('é à');
    expect(clean('x'.repeat(1000))).toHaveLength(120);
  });

  it('has the width that terminals give it', () => {
    expect([...'a漢é한'].map(widthOf)).toEqual([1, 2, 1, 2]);
    expect(widthOf('漢字ab')).toBe(6);
    expect(widthOf(clean('🚀'))).toBe(2);
  });

  it('is cut between two cells', () => {
    expect([6, 5, 4, 3, 1, 0].map((width) => cut('漢字ab', width))).toEqual(['漢字ab', '漢字…', '漢…', '漢…', '…', '']);
    expect(padded('漢字', 3)).toBe('漢…');
    expect(padded('漢字', 6, 'right')).toBe('  漢字');
    expect(plain(line([span('ab'), span('cd', 'dim'), span('ef')], 3))).toBe('ab…');
  });
});
