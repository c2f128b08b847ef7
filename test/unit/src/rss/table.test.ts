/** Soft RSS: keys, the indirection table, what is sent to a worker, and how evenly flows spread. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INDIRECTION_ENTRIES, IndirectionTable } from '../../../../src/rss/indirection-table.js';
import { parseRssKey, resolveRss } from '../../../../src/rss/keys.js';
import { Rss } from '../../../../src/rss/rss.js';
import { MICROSOFT, memoryWith, TCP } from '../../../support/rss/reference-hash.js';

const count = (entries: readonly number[], core: number): number => entries.filter((entry) => entry === core).length;

describe('a key', () => {
  it('can be given by its name, its digits, its bytes', () => {
    const microsoft = new Uint8Array(MICROSOFT);
    expect(parseRssKey('microsoft')).toEqual(microsoft);
    expect(parseRssKey(MICROSOFT.toString('hex').toUpperCase())).toEqual(microsoft);
    expect(parseRssKey(microsoft)).toEqual(microsoft);
    expect(parseRssKey(microsoft)).not.toBe(microsoft);
    expect(Buffer.from(parseRssKey('symmetric')).toString('hex')).toBe('6d5a'.repeat(20));
  });

  it.each([
    ['toeplitz', "'toeplitz' is not an RSS key (possible are microsoft, symmetric, or 80 hex digits)"],
    ['6d5a'.repeat(19), 'is not an RSS key'],
    ['constructor', "'constructor' is not an RSS key"],
    [new Uint8Array(52), 'an RSS key of 52 bytes: it must have 40'],
    [7 as unknown as string, '7 is not an RSS key'],
  ])('cannot be %j', (key, message) => {
    expect(() => parseRssKey(key)).toThrow(message);
  });

  it("is Microsoft's by default, on tuples in order", () => {
    expect(resolveRss()).toEqual({ key: new Uint8Array(MICROSOFT), symmetric: true });
    expect(resolveRss({ symmetric: false }).symmetric).toBe(false);
    expect(() => resolveRss({ symmetric: 'no' as unknown as boolean })).toThrow(
      'RSS symmetric: no is not true or false',
    );
  });
});

describe('the indirection table', () => {
  it('names the cores in turn at first', () => {
    const table = IndirectionTable.create(3);
    expect(table.get().slice(0, 5)).toEqual([0, 1, 2, 0, 1]);
    expect(table.get()).toHaveLength(INDIRECTION_ENTRIES);
  });

  it('is indexed by the low 7 bits of signed and unsigned hashes', () => {
    const table = IndirectionTable.create(128);
    expect([0, 127, 128, -1, 0x80000005, -128].map((hash) => table.coreOf(hash))).toEqual([0, 127, 0, 127, 5, 0]);
  });

  it('can be replaced, and is the same for all threads that attach', () => {
    const table = IndirectionTable.create(4);
    const other = IndirectionTable.attach(structuredClone(table.share()));
    const entries = Array.from({ length: INDIRECTION_ENTRIES }, (_, i): number => (i < 100 ? 3 : 1));
    table.set(entries);
    expect(other.get()).toEqual(entries);
    expect(other.coreOf(99)).toBe(3);
    expect(other.cores).toBe(4);
    entries[0] = 0;
    expect(table.get()[0]).toBe(3);
  });

  it.each([
    [new Array(127).fill(0), 'has 128 entries, found 127'],
    [[...new Array(127).fill(0), 4], 'entry 127: 4 is not a core (there are 4, from 0)'],
    [[-1, ...new Array(127).fill(0)], 'entry 0: -1 is not a core'],
    [[0.5, ...new Array(127).fill(0)], 'entry 0: 0.5 is not a core'],
  ])('refuses entries that are wrong, and stays as it is', (entries, message) => {
    const table = IndirectionTable.create(4);
    const before = table.get();
    expect(() => table.set(entries)).toThrow(message);
    expect(table.get()).toEqual(before);
  });

  it.each([0, -1, 1.5, 65537, Number.NaN])('is not for %d cores', (cores) => {
    expect(() => IndirectionTable.create(cores)).toThrow(`an indirection table for ${cores} cores`);
  });

  it('gives the entries of one core to the others evenly, and moves no other entry', () => {
    const arrangement = fc.integer({ min: 2, max: 16 }).chain((cores) => {
      return fc.tuple(
        fc.constant(cores),
        fc.nat(cores - 1),
        fc.array(fc.nat(cores - 1), { minLength: 128, maxLength: 128 }),
      );
    });
    fc.assert(
      fc.property(arrangement, fc.boolean(), ([cores, dead, entries], roundRobin) => {
        const table = IndirectionTable.create(cores);
        if (!roundRobin) table.set(entries);
        const before = table.get();
        const others = Array.from({ length: cores }, (_, core) => core).filter((core) => core !== dead);
        expect(table.moveFrom(dead, others)).toBe(count(before, dead));
        const after = table.get();
        expect(count(after, dead)).toBe(0);
        before.forEach((core, entry) => {
          if (core !== dead) expect(after[entry]).toBe(core);
        });
        if (roundRobin) {
          const loads = others.map((core) => count(after, core));
          expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it.each([
    [1, [], "entries of core 1 can't move to []"],
    [1, [0, 1], "entries of core 1 can't move to [0, 1]"],
    [1, [0, 9], 'a core to move to: 9 is not a core'],
    [9, [0], 'the core to move from: 9 is not a core'],
  ])('moves nothing from %d to %j', (from, to, message) => {
    const table = IndirectionTable.create(4);
    expect(() => table.moveFrom(from, to)).toThrow(message);
    expect(count(table.get(), 1)).toBe(32);
  });
});

describe('soft RSS', () => {
  const memory = memoryWith([], 0);
  const flow = (seed: number): { protocol: number; source: number; destination: number } & Record<string, number> => ({
    protocol: TCP,
    source: Math.imul(seed, 0x9e3779b1) ^ (seed >>> 3),
    destination: Math.imul(seed + 77, 0x85ebca6b) ^ (seed >>> 5),
    sourcePort: Math.imul(seed, 0xc2b2ae35) >>> 16,
    destinationPort: Math.imul(seed, 0x27d4eb2f) >>> 16,
  });

  it('is the same in a thread that was sent it, with changes of the table', () => {
    const rss = new Rss(memory, { key: '0123456789'.repeat(8), symmetric: false }, IndirectionTable.create(5));
    const other = Rss.attach(memory, structuredClone(rss.share()));
    expect(other.hashFlow(flow(1))).toBe(rss.hashFlow(flow(1)));
    rss.table.set(new Array(INDIRECTION_ENTRIES).fill(4));
    expect(other.coreForFlow(flow(1))).toBe(4);
  });

  it.each(Array.from({ length: 15 }, (_, i) => i + 2))('spreads random flows over %i cores', (cores) => {
    const rss = new Rss(memory, {}, IndirectionTable.create(cores));
    const flows = 100_000;
    const received = new Array<number>(cores).fill(0);
    for (let i = 0; i < flows; i++) received[rss.coreForFlow(flow(i))]!++;
    for (const packets of received) expect(Math.abs(packets / flows - 1 / cores)).toBeLessThan(0.02);
    // The spread follows the table: 128 entries cannot be divided evenly among all numbers of cores.
    received.forEach((packets, core) => {
      const due = (flows * count(rss.table.get(), core)) / INDIRECTION_ENTRIES;
      expect(Math.abs(packets / due - 1)).toBeLessThan(0.06);
    });
  });
});
