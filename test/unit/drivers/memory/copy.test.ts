import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copierFor, copyBetween, type MemoryViews } from '../../../../drivers/memory/index.js';

function memory(): MemoryViews {
  const buffer = new SharedArrayBuffer(8192);
  const u8 = new Uint8Array(buffer);
  for (let i = 0; i < u8.length; i++) u8[i] = (i * 37 + (i >> 8)) & 0xff;
  return { u8, u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

describe('packet copies', () => {
  it('copy exactly the given bytes at any alignment, within a memory and between two', () => {
    const offset = fc.nat(64);
    const length = fc.oneof(fc.nat(40), fc.nat(1600));
    fc.assert(
      fc.property(offset, offset, length, fc.boolean(), (to, from, length, same) => {
        const source = memory();
        const target = same ? source : memory();
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

  it('share one function per memory', () => {
    const one = memory();
    expect(copierFor(one)).toBe(copierFor({ ...one }));
    expect(copierFor(one)).not.toBe(copierFor(memory()));
  });
});
