/** The ring of copies: every record comes once, in order and whole, or is counted as lost. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeRecordRing, RecordReader, RecordWriter } from '../../../rings/record-ring.js';

const BYTES = 2 ** 19;
const HEADER = 32;
/** Words of the control block, as the file describes it: where the reader and the writer are. */
const [HEAD, TAIL] = [0, 32];

/** A ring whose positions have run up to `start`, a multiple of 8, already. */
function open(start = 0, bytes = BYTES) {
  const ring = makeRecordRing(bytes);
  const words = new Int32Array(ring);
  words[HEAD] = words[TAIL] = start | 0;
  return { ring, writer: new RecordWriter(ring, 1000), reader: new RecordReader(ring) };
}

const pattern = (number: number, kept: number): Buffer => Buffer.alloc(kept, `${number}:`);

/** Writes a record with the bytes of `number`. Returns whether there was room. */
function write(writer: RecordWriter, number: number, kept: number, alignment = 0): boolean {
  const at = writer.reserve(number, number - 1, kept + 7, number / 4, kept, alignment);
  if (at < 0) return false;
  expect(at & 7).toBe(alignment & 7);
  writer.views.u8.set(pattern(number, kept), at);
  return true;
}

/** Demands that the next record is this one, and is whole. */
function expectNext(reader: RecordReader, number: number, kept: number): void {
  expect(reader.peek()).toBe(true);
  const { tag, reason, length, time, at } = reader;
  expect([tag, reason, length, time, reader.kept]).toEqual([number, number - 1, kept + 7, number / 4, kept]);
  expect(Buffer.compare(reader.views.u8.subarray(at, at + kept), pattern(number, kept))).toBe(0);
}

describe('a ring of records', () => {
  it('carries records in order, each with its fields and bytes', () => {
    const { writer, reader } = open();
    for (let n = 1; n <= 9; n++) expect(write(writer, n, n * 3, n)).toBe(true);
    expect(reader.peek()).toBe(false);
    writer.publish();
    for (let n = 1; n <= 9; n++) {
      expectNext(reader, n, n * 3);
      // A second look finds the same.
      expectNext(reader, n, n * 3);
      reader.release();
    }
    expect(reader.peek()).toBe(false);
  });

  it('shows the origin, the sample and the counts to the other side', () => {
    const { writer, reader } = open();
    expect([writer.every, reader.origin]).toEqual([1, 1000]);
    reader.sample(64);
    for (let i = 0; i < 3; i++) writer.see();
    expect([writer.every, reader.seen, reader.lost]).toEqual([64, 3, 0]);
  });

  it('takes records without bytes, and the longest frame, with any alignment', () => {
    const { writer, reader } = open();
    for (let round = 0; round < 5; round++) {
      for (let alignment = 0; alignment < 8; alignment++) {
        for (const kept of [0, 1, 65_600]) {
          expect(write(writer, 5, kept, alignment + 40)).toBe(true);
          writer.publish();
          expectNext(reader, 5, kept);
          reader.release();
        }
      }
    }
    expect(reader.lost).toBe(0);
  });

  it('goes on at the front when a record does not fit before the end', () => {
    const { writer, reader, ring } = open(BYTES - 64);
    const mark = new Int32Array(ring, 384 + BYTES - 64, 1);
    expect(write(writer, 1, 100)).toBe(true);
    writer.publish();
    expect(mark[0]).toBe(-1);
    expectNext(reader, 1, 100);
    expect(reader.at).toBe(384 + HEADER);
    reader.release();
    // The room before the end is free again, too: the ring takes all that it can hold.
    const records = Math.floor((BYTES - 136) / 136);
    for (let n = 0; n < records; n++) expect(write(writer, n, 100)).toBe(true);
  });

  it('needs no mark when a record ends exactly at the end', () => {
    const { writer, reader } = open(BYTES - 136);
    expect([write(writer, 1, 100), write(writer, 2, 100)]).toEqual([true, true]);
    writer.publish();
    expectNext(reader, 1, 100);
    expect(reader.at).toBe(384 + BYTES - 136 + HEADER);
    reader.release();
    expectNext(reader, 2, 100);
    expect(reader.at).toBe(384 + HEADER);
  });

  it('takes exactly as much as it has room for, and counts what it loses', () => {
    for (const start of [0, 2 ** 31 - 64, 2 ** 31, 2 ** 32 - BYTES]) {
      const { writer, reader } = open(start & ~(BYTES - 1));
      for (let n = 0; n < BYTES / 128; n++) expect(write(writer, n, 96)).toBe(true);
      writer.publish();
      expect([write(writer, 1, 0), write(writer, 1, 96), reader.lost]).toEqual([false, false, 2]);
      expectNext(reader, 0, 96);
      reader.release();
      expect([write(writer, BYTES / 128, 96), write(writer, 1, 0), reader.lost]).toEqual([true, false, 3]);
      writer.publish();
      for (let n = 1; n <= BYTES / 128; n++, reader.release()) expectNext(reader, n, 96);
      expect(reader.peek()).toBe(false);
    }
  });

  it('counts the room that a record leaves before the end', () => {
    const { writer, reader } = open();
    const records = BYTES / 128 - 1;
    for (let n = 0; n < records; n++) expect(write(writer, n, 96)).toBe(true);
    expect(write(writer, records, 32)).toBe(true);
    writer.publish();
    expectNext(reader, 0, 96);
    reader.release();
    // 64 bytes before the end and 128 at the front are free: a record of 136 needs 64 and 136, also when it is tried again.
    expect([write(writer, 1, 100), write(writer, 1, 100), reader.lost]).toEqual([false, false, 2]);
    expect(write(writer, records + 1, 96)).toBe(true);
    writer.publish();
    for (let n = 1; n < records; n++, reader.release()) expectNext(reader, n, 96);
    expectNext(reader, records, 32);
    reader.release();
    expectNext(reader, records + 1, 96);
  });

  it('is as a queue of bounded size, wherever its positions are', () => {
    const start = fc.constantFrom(0, 2 ** 31 - BYTES, 2 ** 31 - 8, 2 ** 32 - BYTES / 2, 2 ** 32 - 8);
    const kept = fc.oneof(fc.nat(200), fc.nat(65_600), fc.constantFrom(0, 60, 1514, 65_600));
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kept, alignment: fc.nat(15) }) },
      fc.constant('publish' as const),
      { weight: 3, arbitrary: fc.constant('read' as const) },
    );
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 80 }), (from, steps) => {
        const { writer, reader } = open(from);
        // What the ring must do, with positions that are never cut.
        let [head, tail, lost, number] = [from, from, 0, 0];
        const all: { number: number; kept: number; end: number }[] = [];
        let shown = 0;
        for (const each of steps) {
          if (each === 'publish') {
            writer.publish();
            shown = all.length;
          } else if (each === 'read') {
            if (shown === 0) {
              expect(reader.peek()).toBe(false);
              continue;
            }
            const next = all.shift()!;
            expectNext(reader, next.number, next.kept);
            reader.release();
            head = next.end;
            shown--;
          } else {
            const size = Math.ceil((HEADER + (each.alignment % 8) + each.kept) / 8) * 8;
            const toEnd = BYTES - (tail % BYTES);
            const needed = size <= toEnd ? size : toEnd + size;
            const hasRoom = tail + needed - head <= BYTES;
            expect(write(writer, ++number, each.kept, each.alignment)).toBe(hasRoom);
            if (hasRoom) {
              tail += needed;
              all.push({ number, kept: each.kept, end: tail });
            } else {
              lost++;
            }
          }
          expect(reader.lost).toBe(lost);
        }
        writer.publish();
        for (const next of all) {
          expectNext(reader, next.number, next.kept);
          reader.release();
        }
        expect(reader.peek()).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('goes on where both sides were, for ends that are made later', () => {
    const { writer, reader, ring } = open(2 ** 31 - 8);
    expect([write(writer, 1, 10), write(writer, 2, 10)]).toEqual([true, true]);
    writer.publish();
    expect(reader.peek()).toBe(true);
    reader.release();
    expectNext(new RecordReader(ring), 2, 10);
    const other = new RecordWriter(ring, 2000);
    expect(write(other, 3, 10)).toBe(true);
    other.publish();
    expectNext(reader, 2, 10);
    reader.release();
    expectNext(reader, 3, 10);
    expect(reader.origin).toBe(2000);
  });

  it('has a size that is a power of two, and room for four of the longest frames', () => {
    for (const bytes of [0, -1, Number.NaN, 2 ** 18, 2 ** 19 + 8, 2 ** 31]) {
      expect(() => makeRecordRing(bytes)).toThrow(`record ring of ${bytes} bytes: it must be a power of two`);
    }
    expect(makeRecordRing(2 ** 20).byteLength).toBe(2 ** 20 + 384);
  });
});
