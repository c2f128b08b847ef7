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

export class SipHash {
  /** The high half of the last hash, an int32. */
  high = 0;
  /** Four words of the key. */
  private readonly key = new Int32Array(new ArrayBuffer(16));
  /** v0 to v3, each low half first. */
  private readonly state = new Int32Array(new ArrayBuffer(32));

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
    const { key, state: v } = this;
    v[0] = V0_LOW ^ key[0];
    v[1] = V0_HIGH ^ key[1];
    v[2] = V1_LOW ^ key[2];
    v[3] = V1_HIGH ^ key[3];
    v[4] = V2_LOW ^ key[0];
    v[5] = V2_HIGH ^ key[1];
    v[6] = V3_LOW ^ key[2];
    v[7] = V3_HIGH ^ key[3];
    compress(v, a, b);
    compress(v, c, d);
    compress(v, 0, LAST_BLOCK_HIGH);
    v[4] ^= 0xff;
    for (let i = 0; i < 4; i++) round(v);
    this.high = v[1] ^ v[3] ^ v[5] ^ v[7];
    return v[0] ^ v[2] ^ v[4] ^ v[6];
  }
}

/** Adds a block of 64 bits. */
function compress(v: Int32Array, low: number, high: number): void {
  v[6] ^= low;
  v[7] ^= high;
  round(v);
  round(v);
  v[0] ^= low;
  v[1] ^= high;
}

/** SipRound. In names, `l` is the low half and `h` the high half. */
function round(v: Int32Array): void {
  let v0l = v[0];
  let v0h = v[1];
  let v1l = v[2];
  let v1h = v[3];
  let v2l = v[4];
  let v2h = v[5];
  let v3l = v[6];
  let v3h = v[7];
  let low = (v0l + v1l) | 0;
  v0h = (v0h + v1h + carry(v0l, v1l, low)) | 0;
  v0l = low;
  low = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
  v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
  v1l = low;
  low = v0h; // Rotated by 32.
  v0h = v0l;
  v0l = low;

  low = (v2l + v3l) | 0;
  v2h = (v2h + v3h + carry(v2l, v3l, low)) | 0;
  v2l = low;
  low = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
  v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
  v3l = low;

  low = (v0l + v3l) | 0;
  v0h = (v0h + v3h + carry(v0l, v3l, low)) | 0;
  v0l = low;
  low = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
  v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
  v3l = low;

  low = (v2l + v1l) | 0;
  v2h = (v2h + v1h + carry(v2l, v1l, low)) | 0;
  v2l = low;
  low = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
  v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
  v1l = low;

  v[0] = v0l;
  v[1] = v0h;
  v[2] = v1l;
  v[3] = v1h;
  v[4] = v2h; // Rotated by 32.
  v[5] = v2l;
  v[6] = v3l;
  v[7] = v3h;
}

/** What a + b carries into the high half, when their low 32 bits are `sum`. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}
