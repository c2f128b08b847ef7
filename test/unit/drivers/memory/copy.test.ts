import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copierFor, copyBetween, type MemoryViews } from '../../../../drivers/memory/index.js';

function memory(isShared = true): MemoryViews {
  const buffer = isShared ? new SharedArrayBuffer(8192) : new ArrayBuffer(8192);
  const u8 = new Uint8Array(buffer);
  for (let i = 0; i < u8.length; i++) u8[i] = (i * 37 + (i >> 8)) & 0xff;
  return { u8, u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

describe('packet copies', () => {
  it('copy exactly the given bytes at any alignment, within a memory and between two', () => {
    const offset = fc.nat(64);
    const length = fc.oneof(fc.nat(40), fc.nat(1600));
    fc.assert(
      fc.property(offset, offset, length, fc.boolean(), fc.boolean(), (to, from, length, same, isShared) => {
        const source = memory(isShared);
        const target = same ? source : memory(isShared);
        if (!same) target.u8.fill(0xaa);
        const expected = Buffer.from(target.u8);
        const at = 4096 + to;
        expected.set(source.u8.slice(from, from + length), at);
        if (same) copierFor(source)(at, from, length);
        else copyBetween(target, at, source, from, length);
        expect(Buffer.compare(target.u8, expected)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('copy every length up to 70 between all places modulo 8, and nothing beside it', () => {
    const [source, target, expected] = [memory(), memory(), memory()];
    for (let to = 0; to < 8; to++) {
      for (let from = 0; from < 8; from++) {
        for (let length = 0; length <= 70; length++) {
          target.u8.fill(0xaa, 0, 256);
          expected.u8.fill(0xaa, 0, 256);
          for (let i = 0; i < length; i++) expected.u8[64 + to + i] = source.u8[1000 + from + i]!;
          copyBetween(target, 64 + to, source, 1000 + from, length);
          const isSame = Buffer.compare(target.u8.subarray(0, 256), expected.u8.subarray(0, 256)) === 0;
          expect(isSame, `${length} bytes from ${from} to ${to}`).toBe(true);
        }
      }
    }
  });

  it('share one function per memory', () => {
    const one = memory();
    expect(copierFor(one)).toBe(copierFor({ ...one }));
    expect(copierFor(one)).not.toBe(copierFor(memory()));
  });
});
