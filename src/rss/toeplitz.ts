/**
 * The Toeplitz hash of Microsoft's RSS specification ("RSS Hashing Functions"), by tables.
 *
 * For each bit of the input that is set, the hash is XORed with the 32 bits of the key that begin at the place of that
 * bit. Because of the XOR, this can be done a byte at a time: a table of 256 words for each of the 36 bytes, 36 KiB per
 * key, of which IPv4 with ports uses 12. Tables per nibble fit the first-level cache better but took up to twice as
 * long. Tables per 11 bits need 27 look-ups, are five times as large, and are no faster. V8 spends its time on
 * extracting and checking indexes, not on the loads.
 *
 * The input is *memory words*: 32 bits as a little-endian machine loads them, the first byte lowest. That is one load
 * and one bounds check instead of four. They may be signed or unsigned. A hash is *signed* 32 bits: V8 on 64-bit
 * machines keeps it as a small integer, whereas an unsigned number of 2^31 or more is an allocation as soon as it
 * leaves a register. `>>> 0` shows a hash as other programs print it.
 *
 * Closures: docs/v8.md, "Bursts as closures".
 */
import { RSS_KEY_BYTES } from './keys.js';

/** The longest input: two IPv6 addresses and the ports. */
const MAX_INPUT_BYTES = 36;
const TABLE = 256;

/** The hash with one key: one function per kind of tuple. */
export interface Toeplitz {
  /** The hash of two IPv4 addresses. */
  ipv4(source: number, destination: number): number;
  /** The hash of two IPv4 addresses and two ports; `ports` is the memory word of source port and destination port. */
  ipv4Ports(source: number, destination: number, ports: number): number;
  /**
   * The caller puts the words of an IPv6 tuple here before {@link ipv6}: four of the source, four of the destination,
   * the ports. Without ports the last word is 0: zeros at the end of the input do not change the hash.
   */
  readonly tuple: Int32Array;
  /** The hash of the IPv6 tuple in {@link tuple}. */
  ipv6(): number;
}

/** The tables of a key: entry p * 256 + byte for the byte at place p. */
function tablesOf(key: Uint8Array): Int32Array {
  const tables = new Int32Array(MAX_INPUT_BYTES * TABLE);
  for (let place = 0; place < MAX_INPUT_BYTES; place++) {
    const table = tables.subarray(place * TABLE, (place + 1) * TABLE);
    const high = (key[place] << 24) | (key[place + 1] << 16) | (key[place + 2] << 8) | key[place + 3];
    for (let bit = 7; bit >= 0; bit--) {
      // The 32 bits of the key from this bit on. For the highest bit, the shift by 8 leaves nothing of the fifth byte.
      const window = (high << bit) | (key[place + 4] >>> (8 - bit));
      // Each value whose highest bit is this one is this bit plus a smaller value, whose entry exists already.
      const value = 0x80 >>> bit;
      for (let rest = 0; rest < value; rest++) table[value + rest] = table[rest] ^ window;
    }
  }
  return tables;
}

/** @throws RangeError when the key does not have 40 bytes */
export function createToeplitz(key: Uint8Array): Toeplitz {
  if (key.length !== RSS_KEY_BYTES)
    throw new RangeError(`a Toeplitz key has ${RSS_KEY_BYTES} bytes, not ${key.length}`);
  const t = tablesOf(key);
  // The words of an IPv6 tuple are stored, and its bytes loaded again: one instruction per byte instead of three for
  // shift and mask. The caller stores them, because a call of a function that is too large to be inlined takes 2 ns
  // less without arguments. The arrays have buffers of their own: V8 keeps small arrays on its heap, where their
  // addresses are not constant.
  const tuple = new Int32Array(new ArrayBuffer(MAX_INPUT_BYTES));
  const b = new Uint8Array(tuple.buffer);
  // A store makes V8 compute its value at this point. Otherwise V8 delays all XORs to the end, and the results of 36
  // loads do not fit into registers, which takes a third more time.
  const sum = new Int32Array(new ArrayBuffer(4));

  const ipv4 = (source: number, destination: number): number =>
    t[source & 0xff] ^
    t[0x100 + ((source >>> 8) & 0xff)] ^
    t[0x200 + ((source >>> 16) & 0xff)] ^
    t[0x300 + (source >>> 24)] ^
    t[0x400 + (destination & 0xff)] ^
    t[0x500 + ((destination >>> 8) & 0xff)] ^
    t[0x600 + ((destination >>> 16) & 0xff)] ^
    t[0x700 + (destination >>> 24)];

  const ipv4Ports = (source: number, destination: number, ports: number): number =>
    ipv4(source, destination) ^
    t[0x800 + (ports & 0xff)] ^
    t[0x900 + ((ports >>> 8) & 0xff)] ^
    t[0xa00 + ((ports >>> 16) & 0xff)] ^
    t[0xb00 + (ports >>> 24)];

  /** Written out, because V8 would not inline a call per word: docs/v8.md, "Inlining budget". */
  const ipv6 = (): number => {
    let hash = t[b[0]] ^ t[0x100 + b[1]] ^ t[0x200 + b[2]] ^ t[0x300 + b[3]];
    sum[0] = hash;
    hash ^= t[0x400 + b[4]] ^ t[0x500 + b[5]] ^ t[0x600 + b[6]] ^ t[0x700 + b[7]];
    sum[0] = hash;
    hash ^= t[0x800 + b[8]] ^ t[0x900 + b[9]] ^ t[0xa00 + b[10]] ^ t[0xb00 + b[11]];
    sum[0] = hash;
    hash ^= t[0xc00 + b[12]] ^ t[0xd00 + b[13]] ^ t[0xe00 + b[14]] ^ t[0xf00 + b[15]];
    sum[0] = hash;
    hash ^= t[0x1000 + b[16]] ^ t[0x1100 + b[17]] ^ t[0x1200 + b[18]] ^ t[0x1300 + b[19]];
    sum[0] = hash;
    hash ^= t[0x1400 + b[20]] ^ t[0x1500 + b[21]] ^ t[0x1600 + b[22]] ^ t[0x1700 + b[23]];
    sum[0] = hash;
    hash ^= t[0x1800 + b[24]] ^ t[0x1900 + b[25]] ^ t[0x1a00 + b[26]] ^ t[0x1b00 + b[27]];
    sum[0] = hash;
    hash ^= t[0x1c00 + b[28]] ^ t[0x1d00 + b[29]] ^ t[0x1e00 + b[30]] ^ t[0x1f00 + b[31]];
    sum[0] = hash;
    return hash ^ t[0x2000 + b[32]] ^ t[0x2100 + b[33]] ^ t[0x2200 + b[34]] ^ t[0x2300 + b[35]];
  };

  return { ipv4, ipv4Ports, tuple, ipv6 };
}
