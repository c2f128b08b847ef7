/** SipHash-2-4 against the vectors of its authors, and against a slow implementation with 64-bit integers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SipHash } from '../../../../../src/tcpip/hash/siphash.js';

const MASK = (1n << 64n) - 1n;
const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & MASK;

function referenceSipHash(key: Uint8Array, message: Uint8Array): bigint {
  const word = (bytes: Uint8Array, at: number): bigint => Buffer.from(bytes).readBigUInt64LE(at);
  const k0 = word(key, 0);
  const k1 = word(key, 8);
  const v = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn, k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n];
  let [v0, v1, v2, v3] = v as [bigint, bigint, bigint, bigint];
  const round = (): void => {
    v0 = (v0 + v1) & MASK;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const padded = new Uint8Array(((message.length >> 3) + 1) * 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  for (let at = 0; at < padded.length; at += 8) {
    const m = word(padded, at);
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

const ascending = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

function ours(hash: SipHash, words: Int32Array): bigint {
  const low = hash.hash(words[0]!, words[1]!, words[2]!, words[3]!);
  expect(low).toBe(low | 0);
  expect(hash.high).toBe(hash.high | 0);
  return (BigInt(hash.high >>> 0) << 32n) | BigInt(low >>> 0);
}

describe('SipHash-2-4', () => {
  it.each([
    [0, 0x726fdb47dd0e0e31n],
    [1, 0x74f839c593dc67fdn],
    [8, 0x93f5f5799a932462n],
    [15, 0xa129ca6149be45e5n],
    [16, 0x3f2acc7f57c29bdbn],
    [63, 0x958a324ceb064572n],
  ])('of the slow implementation has the official vector of %i bytes', (length, hash) => {
    expect(referenceSipHash(ascending(16), ascending(length))).toBe(hash);
  });

  it('has the official vector of 16 bytes', () => {
    const words = new Int32Array(ascending(16).buffer);
    expect(ours(new SipHash(ascending(16)), words)).toBe(0x3f2acc7f57c29bdbn);
  });

  it('is what the slow implementation computes for any key and words', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, bytes, (key, message) => {
        const words = new Int32Array(message.slice().buffer);
        expect(ours(new SipHash(key), words)).toBe(referenceSipHash(key, message));
      }),
      { numRuns: 500 },
    );
  });

  it('wants a key of 16 bytes', () => {
    expect(() => new SipHash(new Uint8Array(8))).toThrow('a SipHash key of 8 bytes: it must have 16');
  });
});
