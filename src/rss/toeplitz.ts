/**
 * The Toeplitz hash of Microsoft's RSS specification ("RSS Hashing Functions"), by tables.
 *
 * The hash is the XOR, over the input's bits that are set, of the 32 bits of the key that begin at that bit's place.
 * XOR lets it be taken a byte at a time: a table of 256 for each of the 36 places, 4 bytes an entry, 36 KiB a key, of
 * which IPv4 with ports uses 12. Tables a nibble at a time fit the first-level cache better and took up to twice as
 * long, tables of 11 bits are 27 look-ups and five times as large, and no faster: V8's time goes into extracting and
 * checking indexes (it checks each, also one that cannot be too large), not into the loads.
 *
 * Input comes as *memory words*, 32 bits as a little-endian machine loads them, the first byte lowest: one load and one
 * bounds check instead of four. Signed or unsigned does not matter. Hashes are *signed* 32 bits, which V8 on 64-bit
 * machines keeps as a small integer; an unsigned one of 2^31 and more is an allocation as soon as it leaves a register.
 * `>>> 0` shows a hash as others print it.
 *
 * Closures, not methods: of a thread's only key, V8 makes the tables' address and length part of the code.
 */
import { RSS_KEY_BYTES } from './keys.js';

/** Words of an IPv6 address. */
export const IPV6_WORDS = 4;
/** Addresses of IPv6, and ports: the longest input. */
const MAX_INPUT_BYTES = 36;
const TABLE = 256;

/** The hash by one key, a function a shape of tuple. */
export interface Toeplitz {
  /** Of two IPv4 addresses. */
  ipv4(source: number, destination: number): number;
  /** Of two IPv4 addresses and two ports; `ports` is the memory word of source port and destination port. */
  ipv4Ports(source: number, destination: number, ports: number): number;
  /**
   * Where the words of an IPv6 tuple are put for {@link ipv6}: four of the source, four of the destination, the ports.
   * Without ports the last is 0: zeros at the end of the input add nothing to the hash.
   */
  readonly tuple: Int32Array;
  /** Of the IPv6 tuple in {@link tuple}. */
  ipv6(): number;
}

/** The tables of a key: of place p, entry p * 256 + byte. */
function tablesOf(key: Uint8Array): Int32Array {
  const tables = new Int32Array(MAX_INPUT_BYTES * TABLE);
  for (let place = 0; place < MAX_INPUT_BYTES; place++) {
    const table = tables.subarray(place * TABLE, (place + 1) * TABLE);
    const high = (key[place] << 24) | (key[place + 1] << 16) | (key[place + 2] << 8) | key[place + 3];
    for (let bit = 7; bit >= 0; bit--) {
      // The 32 bits from this place's bit on; of bit 0, the shift by 8 leaves nothing of the fifth byte.
      const window = (high << bit) | (key[place + 4] >>> (8 - bit));
      // Each value with this as its highest bit is that and a smaller value, whose entry is there.
      const value = 0x80 >>> bit;
      for (let rest = 0; rest < value; rest++) table[value + rest] = table[rest] ^ window;
    }
  }
  return tables;
}

/** @throws RangeError where the key has not 40 bytes */
export function createToeplitz(key: Uint8Array): Toeplitz {
  if (key.length !== RSS_KEY_BYTES)
    throw new RangeError(`a Toeplitz key has ${RSS_KEY_BYTES} bytes, not ${key.length}`);
  const t = tablesOf(key);
  // An IPv6 tuple's words are stored and its bytes loaded again: one instruction a byte, where shift and mask are three.
  // The caller stores them: a function that is too large to be inlined is called for 2 ns less without arguments. In
  // buffers of their own: V8 keeps small arrays on its heap, where their addresses are no constants.
  const tuple = new Int32Array(new ArrayBuffer(MAX_INPUT_BYTES));
  const b = new Uint8Array(tuple.buffer);
  // What is stored V8 has to compute there and then. Else it puts off all XORs to the end, and what 36 loads have got
  // until then does not fit into registers: a third more time.
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

  /** Written out: of calls of a function for each word, V8 would not inline all. */
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
