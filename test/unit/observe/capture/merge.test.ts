/** The records of several rings: the oldest first, and their times to the nanosecond. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MergedRings, timeOf } from '../../../../observe/capture/merge.js';
import { makeRecordRing, type RecordReader, RecordWriter } from '../../../../rings/record-ring.js';
import { SMALL_RING } from '../../../support/observe/records.js';

/** Rings whose times count from these origins. */
function open(...origins: number[]) {
  const rings = origins.map(() => makeRecordRing(SMALL_RING));
  const writers = rings.map((ring, i) => new RecordWriter(ring, origins[i]!));
  return { rings: new MergedRings(rings), writers };
}

function write(writer: RecordWriter, tag: number, time: number, kept = 8): void {
  writer.see();
  writer.reserve(tag, 0, kept, time, kept, 0);
  writer.publish();
}

/** The tags of what comes, until `take` wants no more. */
function tags(rings: MergedRings, until = Number.POSITIVE_INFINITY, most = Number.POSITIVE_INFINITY): number[] {
  const found: number[] = [];
  rings.read(until, ({ tag }) => found.push(tag) < most);
  return found;
}

describe('several rings', () => {
  it('give their records in the order of their times, whatever these count from', () => {
    const { rings, writers } = open(1000, 5000, 3000);
    write(writers[0]!, 1, 0);
    write(writers[0]!, 6, 9000);
    write(writers[1]!, 3, 10);
    write(writers[1]!, 5, 30);
    write(writers[2]!, 2, 1000);
    write(writers[2]!, 4, 2020);
    expect(tags(rings)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(tags(rings)).toEqual([]);
  });

  it('give any sequences merged', () => {
    const times = fc.array(fc.nat(50), { maxLength: 30 }).map((all) => all.sort((one, other) => one - other));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), times), { minLength: 1, maxLength: 4 }), (all) => {
        const { rings, writers } = open(...all.map(([origin]) => origin));
        for (const [i, [origin, own]] of all.entries()) for (const t of own) write(writers[i]!, origin + t, t);
        const expected = all.flatMap(([origin, own]) => own.map((t) => origin + t));
        expect(tags(rings)).toEqual(expected.sort((one, other) => one - other));
      }),
    );
  });

  it('keep what is younger than asked for', () => {
    const { rings, writers } = open(1000, 900);
    for (const time of [1, 3, 5]) write(writers[0]!, time, time);
    for (const time of [2, 4, 6]) write(writers[1]!, time, time + 100);
    expect(tags(rings, 1000.5)).toEqual([]);
    expect(tags(rings, 1004)).toEqual([1, 2, 3, 4]);
    expect(tags(rings, 1004)).toEqual([]);
    expect(tags(rings)).toEqual([5, 6]);
  });

  it('stop when no more is wanted, and go on there', () => {
    const { rings, writers } = open(0, 0);
    for (const time of [1, 2, 3, 4, 5]) write(writers[time % 2]!, time, time);
    expect(tags(rings, Number.POSITIVE_INFINITY, 1)).toEqual([1]);
    expect(tags(rings, Number.POSITIVE_INFINITY, 2)).toEqual([2, 3]);
    expect(tags(rings)).toEqual([4, 5]);
  });

  it('give the room of what was read back', () => {
    const { rings, writers } = open(0, 0);
    for (let i = 0; i < 100; i++) {
      for (const writer of writers) write(writer, i, i, 65_600);
      expect(tags(rings)).toEqual([i, i]);
    }
    expect([rings.seen, rings.lost]).toEqual([200, 0]);
  });

  it('count together what was found and what was lost, and sample together', () => {
    const { rings, writers } = open(0, 0, 0);
    for (let i = 0; i < 10; i++) write(writers[0]!, i, i, 65_600);
    for (let i = 0; i < 9; i++) write(writers[2]!, i, i, 65_600);
    expect([rings.seen, rings.lost]).toEqual([19, 5]);
    rings.sample(8);
    expect(writers.map(({ every }) => every)).toEqual([8, 8, 8]);
  });
});

/** The numerator of a number over 2^80, exactly. */
function over2to80(value: number): bigint {
  const words = new DataView(new ArrayBuffer(8));
  words.setFloat64(0, value);
  const bits = words.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  if (exponent === 0) return 0n;
  const fraction = (bits & ((1n << 52n) - 1n)) | (1n << 52n);
  const shift = BigInt(exponent - 1023 - 52 + 80);
  return shift >= 0n ? fraction << shift : fraction >> -shift;
}

describe('the time of a record', () => {
  const nanosecondsOf = (origin: number, time: number): bigint => {
    const { seconds, nanoseconds } = timeOf({ origin, time } as RecordReader);
    expect(Number.isInteger(seconds) && Number.isInteger(nanoseconds)).toBe(true);
    expect(nanoseconds >= 0 && nanoseconds < 1e9).toBe(true);
    return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  };

  it('is origin and time to the nanosecond', () => {
    const origin = fc.double({ min: 0, max: 4e12, noNaN: true });
    const time = fc.double({ min: 0, max: 1e11, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(origin, fc.nat(2 ** 31)), fc.oneof(time, fc.nat(2 ** 31)), (from, passed) => {
        const exact = (over2to80(from) + over2to80(passed)) * 1_000_000n;
        const difference = (nanosecondsOf(from, passed) << 80n) - exact;
        // Half a nanosecond, and what the addition of the fractions rounds.
        const most = (1n << 79n) + (1n << 62n);
        expect(difference <= most && difference >= -most).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('carries what rounds up to a whole second', () => {
    expect(nanosecondsOf(999, 0.9999999)).toBe(1_000_000_000n);
    expect(nanosecondsOf(1_700_000_000_999.75, 0.25)).toBe(1_700_000_001_000_000_000n);
    expect(nanosecondsOf(1_700_000_000_999.75, 0.75)).toBe(1_700_000_001_000_500_000n);
    expect(nanosecondsOf(0, 0)).toBe(0n);
  });
});
