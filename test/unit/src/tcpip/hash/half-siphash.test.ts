import { describe, expect, it } from 'vitest';
import { HalfSipHash } from '../../../../../src/tcpip/hash/half-siphash.js';

describe('HalfSipHash-1-3', () => {
  it('gives what the test vector of the Linux kernel for 8 bytes says', () => {
    const hash = new HalfSipHash(Int32Array.of(0x03020100, 0x07060504));
    expect(hash.hash(0x03020100, 0x07060504) >>> 0).toBe(0x577999b1);
  });

  it('is an int32 that depends on each bit of the words and of the key', () => {
    const seen = new Set<number>();
    const add = (key: [number, number], a: number, b: number) => {
      const value = new HalfSipHash(Int32Array.from(key)).hash(a, b);
      expect(value).toBe(value | 0);
      seen.add(value);
    };
    add([1, 2], 3, 4);
    for (let bit = 0; bit < 32; bit++) {
      add([1 ^ (1 << bit), 2], 3, 4);
      add([1, 2 ^ (1 << bit)], 3, 4);
      add([1, 2], 3 ^ (1 << bit), 4);
      add([1, 2], 3, 4 ^ (1 << bit));
    }
    expect(seen.size).toBe(129);
  });
});
