/**
 * SipHash-2-4 (Aumasson and Bernstein): a keyed hash whose values a peer may see without learning about the key or about
 * other values. The 64-bit words of the state are kept as halves, because numbers of 64 bits would be on the heap.
 */

/** Length of a key. */
export const SIPHASH_KEY_BYTES = 16;

/** "somepseudorandomlygeneratedbytes", by halves, low first. */
const V0_LOW = 0x70736575;
const V0_HIGH = 0x736f6d65;
const V1_LOW = 0x6e646f6d;
const V1_HIGH = 0x646f7261;
const V2_LOW = 0x6e657261;
const V2_HIGH = 0x6c796765;
const V3_LOW = 0x79746573;
const V3_HIGH = 0x74656462;
/** High half of the last block: the length of 16 bytes in its highest byte. */
const LAST_BLOCK_HIGH = 16 << 24;

/** Blocks of 64 bits: two of the message, and the last one. */
const BLOCKS = 3;

export class SipHash {
  /** The high half of the last hash, an int32. */
  high = 0;
  /** Four words of the key. */
  private readonly key = new Int32Array(new ArrayBuffer(16));

  /**
   * @param key 16 random bytes; they are copied
   * @throws RangeError when the key has another length
   */
  constructor(key: Uint8Array) {
    if (key.length !== SIPHASH_KEY_BYTES) {
      throw new RangeError(`a SipHash key of ${key.length} bytes: it must have ${SIPHASH_KEY_BYTES}`);
    }
    for (let i = 0; i < 4; i++) {
      const at = i * 4;
      this.key[i] = key[at] | (key[at + 1] << 8) | (key[at + 2] << 16) | (key[at + 3] << 24);
    }
  }

  /**
   * Hashes four words, as the 16 bytes that they are in little-endian order.
   * @returns the low half of the hash, an int32; {@link high} is the other half
   */
  hash(a: number, b: number, c: number, d: number): number {
    const { key } = this;
    // In names, `l` is the low half and `h` the high half. All are local, so that they stay in registers.
    let v0l = V0_LOW ^ key[0];
    let v0h = V0_HIGH ^ key[1];
    let v1l = V1_LOW ^ key[2];
    let v1h = V1_HIGH ^ key[3];
    let v2l = V2_LOW ^ key[0];
    let v2h = V2_HIGH ^ key[1];
    let v3l = V3_LOW ^ key[2];
    let v3h = V3_HIGH ^ key[3];
    // Three blocks of two rounds, and four rounds at the end.
    for (let block = 0; block < BLOCKS + 1; block++) {
      const isEnd = block === BLOCKS;
      const low = block === 0 ? a : block === 1 ? c : 0;
      const high = block === 0 ? b : block === 1 ? d : isEnd ? 0 : LAST_BLOCK_HIGH;
      const rounds = isEnd ? 4 : 2;
      if (isEnd) v2l ^= 0xff;
      v3l ^= low;
      v3h ^= high;
      for (let i = 0; i < rounds; i++) {
        let sum = (v0l + v1l) | 0;
        v0h = (v0h + v1h + carry(v0l, v1l, sum)) | 0;
        v0l = sum;
        let turned = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = turned;
        turned = v0h; // Rotated by 32.
        v0h = v0l;
        v0l = turned;

        sum = (v2l + v3l) | 0;
        v2h = (v2h + v3h + carry(v2l, v3l, sum)) | 0;
        v2l = sum;
        turned = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = turned;

        sum = (v0l + v3l) | 0;
        v0h = (v0h + v3h + carry(v0l, v3l, sum)) | 0;
        v0l = sum;
        turned = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = turned;

        sum = (v2l + v1l) | 0;
        v2h = (v2h + v1h + carry(v2l, v1l, sum)) | 0;
        v2l = sum;
        turned = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = turned;
        turned = v2h; // Rotated by 32.
        v2h = v2l;
        v2l = turned;
      }
      v0l ^= low;
      v0h ^= high;
    }
    this.high = v0h ^ v1h ^ v2h ^ v3h;
    return v0l ^ v1l ^ v2l ^ v3l;
  }
}

/** What a + b carries into the high half, when their low 32 bits are `sum`. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}
