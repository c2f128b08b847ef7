/** The checksum over a packet in several buffers, against the sum over the same bytes in one piece (RFC 1071). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PacketBuffer } from '../../../../src/link/packet-buffer.js';
import { partialSumOfParts } from '../../../../src/tcpip/packet-data.js';
import { finishSum, partialSum } from '../../../../src/wire/checksum.js';
import { wireMemory } from '../../../../src/wire/memory.js';

const SLOT = 2048;

/** Lays bytes out in parts that begin at the given places of their slots. */
function layOut(bytes: Uint8Array, parts: readonly (readonly [at: number, length: number])[]) {
  const u8 = new Uint8Array((parts.length + 1) * SLOT);
  const views = { ...wireMemory(u8), u32: new Uint32Array(u8.buffer) };
  let next: PacketBuffer | null = null;
  let end = bytes.length;
  for (const [i, [at, length]] of [...parts.entries()].reverse()) {
    const offset = i * SLOT + at;
    u8.set(bytes.subarray(end - length, end), offset);
    end -= length;
    if (i === 0) return { memory: views, offset, room: length, next };
    next = { offset, length, next } as PacketBuffer;
  }
  throw new Error('no parts');
}

describe('the sum over parts', () => {
  it('is that over the bytes in one piece, whatever the lengths and places', () => {
    const part = fc.tuple(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 1900 }));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.integer(), fc.nat(3), (parts, seed, less) => {
        const total = parts.reduce((sum, [, length]) => sum + length, 0);
        const bytes = Uint8Array.from({ length: total }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 24);
        const length = Math.max(0, total - less);
        const { memory, offset, room, next } = layOut(bytes, parts);
        const expected = finishSum(partialSum(wireMemory(bytes), 0, length, 0x1234));
        expect(finishSum(partialSumOfParts(memory, offset, room, next, length, 0x1234))).toBe(expected);
      }),
      { numRuns: 400 },
    );
  });

  it('does not overflow over 64 KB of 0xff', () => {
    const parts = Array.from({ length: 40 }, () => [2, 1637] as const);
    const bytes = new Uint8Array(40 * 1637).fill(0xff);
    const { memory, offset, room, next } = layOut(bytes, parts);
    const sum = partialSumOfParts(memory, offset, room, next, 65_480, 0);
    expect(sum).toBeLessThan(2 ** 17);
    expect(finishSum(sum)).toBe(0);
  });
});
