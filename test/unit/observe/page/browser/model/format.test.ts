/** Numbers for people, the history of the page, and what it takes as news. */
import { describe, expect, it } from 'vitest';
import { bits, count, percent, pps, short, timeText } from '../../../../../../observe/page/browser/model/format.js';
import { History, rangeOf } from '../../../../../../observe/page/browser/model/history.js';
import { parseNews } from '../../../../../../observe/page/browser/model/told.js';

describe('numbers', () => {
  it.each([
    [0, '0 pps'],
    [0.5, '0.50 pps'],
    [7, '7 pps'],
    [999, '999 pps'],
    [999.6, '1.00 kpps'],
    [1234, '1.23 kpps'],
    [9.996e6, '10.0 Mpps'],
    [123_456_789, '123 Mpps'],
    [1e30, '1000000000000000 Ppps'],
  ])('%d packets per second are %s', (value, text) => {
    expect(pps(value)).toBe(text);
  });

  it('have units, or none', () => {
    expect(bits(1250)).toBe('10.0 kbit/s');
    expect(count(1234567)).toBe('1,234,567');
    expect([1_200_000, 1500, 10, 0].map(short)).toEqual(['1.2M', '1.5k', '10', '0']);
    expect([0, 0.0001, 0.0432, 0.5, 1].map(percent)).toEqual(['0 %', '0 %', '4.3 %', '50 %', '100 %']);
  });

  it('of times have two units', () => {
    expect([0, 59.9, 60, 185, 7620, 360_000].map(timeText)).toEqual([
      '0 s',
      '59 s',
      '1 min',
      '3 min 5 s',
      '2 h 7 min',
      '4 d 4 h',
    ]);
  });
});

describe('the history', () => {
  it('keeps ten minutes, also of columns that come and go', () => {
    const history = new History();
    for (let at = 1; at <= 700; at++) history.add(at, new Map(at === 1 ? [['old', 1]] : at > 650 ? [['new', at]] : []));
    expect(history.times).toHaveLength(600);
    expect(history.times[0]).toBe(101);
    expect(history.keys('')).toEqual(['new']);
    expect(history.column('new').slice(-2)).toEqual([699, 700]);
    expect(history.column('new')).toHaveLength(600);
    expect(history.column('none').every((value) => value === null)).toBe(true);
  });

  it('has gaps, and begins anew when the time goes back', () => {
    const history = new History();
    history.add(1, new Map([['x', 1]]));
    history.gap(2);
    history.add(3, new Map([['x', 3]]));
    expect(history.column('x')).toEqual([1, null, 3]);
    expect(rangeOf(history.column('x'))).toEqual({ now: 3, lowest: 1, highest: 3 });
    history.add(1, new Map([['y', 7]]));
    expect(history.times).toEqual([1]);
    expect(history.keys('')).toEqual(['y']);
    expect(rangeOf([null])).toBeNull();
  });
});

describe('news', () => {
  it.each(['', '{', 'null', '7', '{}', '{"process":{"name":7},"stats":{},"viewers":{}}'])('are not %j', (text) => {
    expect(parseNews(text)).toBeNull();
  });
});
