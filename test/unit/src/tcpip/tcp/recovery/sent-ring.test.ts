import { beforeEach, describe, expect, it } from 'vitest';
import {
  BITS,
  END,
  NEXT,
  NO_RECORD,
  RUN,
  SEGMENT_SACKED,
  SEQ,
  SentRing,
} from '../../../../../../src/tcpip/tcp/recovery/sent-ring.js';
import { RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';
import {
  LOST_LIST,
  RACK_NEXT,
  RING_HEAD,
  RING_TAIL,
  ROW_WORDS,
  Rows,
} from '../../../../../../src/tcpip/tcp/state/rows.js';

const R = ROW_WORDS;
let rows: Rows;
let regions: RegionPool;
let ring: SentRing;

function append(count: number, from = 0): void {
  for (let i = 0; i < count; i++) expect(ring.append(R, (from + i) * 10, 10, 1, i, i)).toBe(true);
}

/** The sequence numbers of all records. */
function all(): number[] {
  const seqs: number[] = [];
  ring.select(R);
  for (let n = rows.i32[R + RING_HEAD]!; n !== rows.i32[R + RING_TAIL]; n = ring.after(n)) {
    seqs.push(ring.words[ring.at(n) + SEQ]!);
  }
  return seqs;
}

describe('SentRing', () => {
  beforeEach(() => {
    rows = new Rows(3);
    regions = new RegionPool(1 << 20);
    ring = new SentRing(rows, regions);
    ring.open(R);
  });

  it('keeps segments in order, grows, and gives its memory back when it is empty', () => {
    append(1000);
    expect(all()).toEqual(Array.from({ length: 1000 }, (_, i) => i * 10));
    expect(regions.used).toBe(1024 * 32);
    for (let i = 0; i < 999; i++) ring.dropHead(R);
    expect(all()).toEqual([9990]);
    ring.dropHead(R);
    expect(regions.used).toBe(0);
    expect(ring.count(R)).toBe(0);
  });

  it('takes no memory for one segment in flight', () => {
    for (let i = 0; i < 5; i++) {
      append(1, i);
      expect(all()).toEqual([i * 10]);
      expect(regions.used).toBe(0);
      ring.dropHead(R);
    }
    append(2);
    expect(all()).toEqual([0, 10]);
    expect(regions.used).toBe(1024);
  });

  it('works around its end many times', () => {
    append(20);
    for (let i = 20; i < 500; i++) {
      append(1, i);
      ring.dropHead(R);
    }
    expect(all()).toEqual(Array.from({ length: 20 }, (_, i) => (480 + i) * 10));
    expect(regions.used).toBe(1024);
  });

  it('wraps the numbers of records', () => {
    append(1);
    rows.i32[R + RING_HEAD] = 0x7ffffffd;
    rows.i32[R + RING_TAIL] = 0x7ffffffd;
    append(100);
    expect(all()).toEqual(Array.from({ length: 100 }, (_, i) => i * 10));
    expect(rows.i32[R + RING_TAIL]).toBe(97);
    expect(ring.find(R, 555)).toBe(52);
    expect(ring.has(R, 0x7ffffffe)).toBe(true);
    expect(ring.has(R, 97)).toBe(false);
    for (let i = 0; i < 100; i++) ring.dropHead(R);
    expect(regions.used).toBe(0);
  });

  it('finds the record of a sequence number', () => {
    append(77);
    for (let n = 0; n < 77; n++) {
      expect(ring.find(R, n * 10)).toBe(n);
      expect(ring.find(R, n * 10 + 9)).toBe(n);
    }
    expect(ring.find(R, 770)).toBe(77);
  });

  it('finds sequence numbers that wrap', () => {
    const start = 0x7fffffff - 25;
    ring.append(R, start, 10, 10, 0, 0);
    for (let i = 0; i < 10; i++) expect(ring.find(R, (start + i * 10 + 5) | 0)).toBe(i);
    expect(ring.words[ring.at(9) + END]).toBe((start + 100) | 0);
  });

  it('skips runs of SACKed records, and shortens the way', () => {
    append(100);
    for (let n = 10; n < 90; n++) {
      ring.words[ring.at(n) + BITS] = SEGMENT_SACKED;
      ring.words[ring.at(n) + RUN] = n + 1;
    }
    expect(ring.skipSacked(R, 10)).toBe(90);
    for (let i = 0; i < 7; i++) ring.skipSacked(R, 10);
    expect(ring.words[ring.at(10) + RUN]).toBe(90);
    expect(ring.skipSacked(R, 9)).toBe(9);
  });

  it('links records, also while the ring grows', () => {
    append(30);
    const list = R + LOST_LIST;
    for (const n of [3, 7, 29, 12]) ring.link(list, n);
    append(100, 30);
    ring.unlink(list, 7);
    const linked: number[] = [];
    for (let n = rows.i32[list]!; n !== NO_RECORD; n = ring.words[ring.at(n) + NEXT]!) linked.push(n);
    expect(linked).toEqual([3, 29, 12]);
    ring.unlink(list, 12);
    ring.unlink(list, 3);
    ring.unlink(list, 29);
    expect([rows.i32[list], rows.i32[list + 1]]).toEqual([NO_RECORD, NO_RECORD]);
  });

  it('says so when there is no memory, and keeps what it has', () => {
    regions = new RegionPool(2048);
    ring = new SentRing(rows, regions);
    ring.open(R);
    append(32);
    expect(ring.append(R, 320, 10, 1, 0, 0)).toBe(false);
    expect(all()).toHaveLength(32);
    ring.open(0);
    expect(ring.append(0, 0, 10, 1, 0, 0)).toBe(true);
    ring.close(0);
    ring.close(R);
    expect(regions.used).toBe(0);
  });

  it('moves the pointers of RACK with the oldest record', () => {
    append(5);
    ring.dropHead(R);
    expect(rows.i32[R + RACK_NEXT]).toBe(1);
  });
});
