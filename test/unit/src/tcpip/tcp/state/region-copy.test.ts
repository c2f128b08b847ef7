/** Copies into and out of regions: every alignment, wrapping, and the sums. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyIn, copyOut, copyOutAndSum } from '../../../../../../src/tcpip/tcp/state/region-copy.js';
import { RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';
import { finishSum, foldSum, partialSum } from '../../../../../../src/wire/checksum.js';

const SIZE = 4096;
const MEMORY_BYTES = 8192;

/** Packet memory with bytes that differ from those of the region. */
function packetMemory() {
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  const u8 = new Uint8Array(buffer);
  for (let i = 0; i < u8.length; i++) u8[i] = (i * 37 + (i >> 8) * 11) ^ 0x5a;
  return { u8, u16: new Uint16Array(buffer), u32: new Uint32Array(buffer), i32: new Int32Array(buffer) };
}

const pool = new RegionPool(1 << 20);
const before = pool.allocate(SIZE)!;
const region = pool.allocate(SIZE)!;
/** The region and its neighbours, which show a byte that was written outside. */
const around = region.u8.subarray(before.start, before.start + 3 * SIZE);

function fillRegion(): void {
  for (let i = 0; i < around.length; i++) around[i] = (i * 101 + (i >> 7) * 3) & 0xff;
}

function checkIn(at: number, offset: number, length: number, withWords: boolean): void {
  fillRegion();
  const memory = packetMemory();
  const expected = around.slice();
  for (let i = 0; i < length; i++) expected[SIZE + ((at + i) & (SIZE - 1))] = memory.u8[offset + i]!;
  copyIn(region, at, memory.u8, offset, length, withWords ? memory.i32 : null);
  expect(Buffer.compare(around, expected), `at ${at}, offset ${offset}, length ${length}`).toBe(0);
}

function checkOut(at: number, to: number, length: number): void {
  fillRegion();
  const memory = packetMemory();
  const expected = memory.u8.slice();
  for (let i = 0; i < length; i++) expected[to + i] = around[SIZE + ((at + i) & (SIZE - 1))]!;
  const sum = copyOutAndSum(region, at, memory, to, length);
  const place = `at ${at}, to ${to}, length ${length}`;
  expect(Buffer.compare(memory.u8, expected), place).toBe(0);
  expect(foldSum(sum), place).toBe(foldSum(partialSum(memory, to, length)));
  expect(sum, place).toBeLessThan(2 ** 18);
  const other = packetMemory();
  copyOut(region, at, other.u8, other.i32, to, length);
  expect(Buffer.compare(other.u8, expected), `without the sum: ${place}`).toBe(0);
}

/** A sequence number, often close to where the ring or the number wraps. */
const sequence = fc.oneof(
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  fc.integer({ min: -70, max: 70 }),
  fc.integer({ min: -70, max: 70 }).map((near) => (0x7fff_ffff + near) | 0),
  fc.integer({ min: 0, max: 3000 }).map((near) => -near | 0),
);
const length = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 20 }));

describe('copying into a region', () => {
  it('works at every alignment of source and target, around the end of the ring', () => {
    for (let to = 0; to < 8; to++) {
      for (let from = 0; from < 8; from++) {
        for (const length of [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 95, 96, 333]) {
          checkIn(SIZE - 16 + to, from, length, true);
          checkIn(SIZE - 16 + to, from, length, false);
          checkIn(64 + to, 16 + from, length, true);
        }
      }
    }
  });

  it('is the same as byte by byte for any place and length', () => {
    fc.assert(fc.property(sequence, fc.integer({ min: 0, max: 5000 }), length, fc.boolean(), checkIn), {
      numRuns: 400,
    });
  });

  it('reads no word behind the memory that the bytes need', () => {
    const memory = packetMemory();
    copyIn(region, 0, memory.u8, MEMORY_BYTES - 1001, 1001, memory.i32);
    const copied = region.u8.subarray(region.start, region.start + 1001);
    expect(Buffer.compare(copied, memory.u8.subarray(MEMORY_BYTES - 1001))).toBe(0);
  });

  it('fills a whole region', () => {
    checkIn(1234567, 3, SIZE, true);
    checkIn(-1, 3, SIZE, false);
  });
});

describe('copying out of a region, with and without the sum', () => {
  it('works at every alignment of source and target, around the end of the ring', () => {
    for (let to = 0; to < 8; to++) {
      for (let from = 0; from < 8; from++) {
        for (const length of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 333]) {
          checkOut(SIZE - 16 + from, to, length);
          checkOut(64 + from, 16 + to, length);
        }
      }
    }
  });

  it('is the same as byte by byte for any place and length', () => {
    fc.assert(fc.property(sequence, fc.integer({ min: 0, max: 5000 }), length, checkOut), { numRuns: 400 });
    fc.assert(
      fc.property(sequence, fc.integer({ min: 0, max: 1250 }), length, (at, to, bytes) => checkOut(at, to * 4, bytes)),
      { numRuns: 400 },
    );
  });

  it('reads no word behind the region, and writes none behind the memory', () => {
    const last = new RegionPool(1 << 20).allocate(1 << 20)!;
    for (let i = 0; i < last.size; i++) last.u8[i] = i * 31;
    for (const from of [1001, 1002, 1003, 1004]) {
      const memory = packetMemory();
      copyOut(last, last.size - from, memory.u8, memory.i32, MEMORY_BYTES - from, from);
      expect(Buffer.compare(memory.u8.subarray(MEMORY_BYTES - from), last.u8.subarray(last.size - from))).toBe(0);
    }
  });

  it('adds up 65535 bytes of 0xff', () => {
    const region = new RegionPool(1 << 20).allocate(65_536)!;
    region.u8.fill(0xff, region.start, region.start + 65_536);
    const buffer = new ArrayBuffer(65_536);
    const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    for (const at of [0, 1, 2, 3, 65_000]) {
      const sum = copyOutAndSum(region, at, memory, 0, 65_535);
      expect(finishSum(sum)).toBe(finishSum(partialSum(memory, 0, 65_535)));
    }
  });

  it('gives a sum that goes on with the sum of a header', () => {
    const memory = packetMemory();
    const header = partialSum(memory, 100, 32);
    const body = copyOutAndSum(region, 77, memory, 132, 1001);
    expect(finishSum(header + body)).toBe(finishSum(partialSum(memory, 100, 1033)));
  });
});
