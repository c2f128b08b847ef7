/**
 * The Toeplitz hash of Microsoft's RSS specification ("RSS Hashing Functions"), by tables.
 *
 * The hash is the XOR, over the input's bits that are set, of the 32 bits of the key that begin at that bit's place.
 * XOR lets it be taken a byte at a time: a table of 256 for each of the 36 places, 4 bytes an entry, 36 KiB a key, of
 * which IPv4 with ports uses 12. Tables a nibble at a time fit the first-level cache better and took up to twice as
 * long: V8's time goes into extracting and checking indexes, not into the loads.
 *
 * Input comes as *memory words*, 32 bits as a little-endian machine loads them, the first byte lowest: one load and one
 * bounds check instead of four. Signed or unsigned does not matter. Hashes are *signed* 32 bits, which V8 on 64-bit
 * machines keeps as a small integer; an unsigned one of 2^31 and more is an allocation as soon as it leaves a register.
 * `>>> 0` shows a hash as others print it.
 *
 * A function a shape of tuple, small enough to be inlined with its places constant. IPv6's words are looped over: nine
 * times `word` is more than V8 inlines into one function, and what it leaves as calls took as long again.
 */
import { RSS_KEY_BYTES } from './keys.js';

/** Addresses of IPv6, and ports: the longest input. */
const MAX_INPUT_BYTES = 36;
const TABLE = 256;
const WORD = 4 * TABLE;
/** Words of an IPv6 address. */
export const IPV6_WORDS = 4;

/** The tables of a key of 40 bytes, for the functions here. */
export function toeplitzTables(key: Uint8Array): Int32Array {
  if (key.length !== RSS_KEY_BYTES)
    throw new RangeError(`a Toeplitz key has ${RSS_KEY_BYTES} bytes, not ${key.length}`);
  const tables = new Int32Array(MAX_INPUT_BYTES * TABLE);
  for (let place = 0; place < MAX_INPUT_BYTES; place++) {
    const table = tables.subarray(place * TABLE, (place + 1) * TABLE);
    const high = (key[place]! << 24) | (key[place + 1]! << 16) | (key[place + 2]! << 8) | key[place + 3]!;
    for (let bit = 0; bit < 8; bit++) {
      // The 32 bits from this place's bit on; of bit 0, the shift by 8 leaves nothing of the fifth byte.
      table[0x80 >>> bit] = (high << bit) | (key[place + 4]! >>> (8 - bit));
    }
    // Each value is its lowest bit, whose entry is there, and a smaller value.
    for (let value = 1; value < TABLE; value++) table[value] = table[value & -value]! ^ table[value & (value - 1)]!;
  }
  return tables;
}

/** What a memory word contributes whose first byte is input byte `at / 256`. */
function word(tables: Int32Array, at: number, bytes: number): number {
  return (
    tables[at + (bytes & 0xff)]! ^
    tables[at + TABLE + ((bytes >>> 8) & 0xff)]! ^
    tables[at + 2 * TABLE + ((bytes >>> 16) & 0xff)]! ^
    tables[at + 3 * TABLE + (bytes >>> 24)]!
  );
}

/** The hash of two IPv4 addresses. */
export function toeplitzIpv4(tables: Int32Array, source: number, destination: number): number {
  return word(tables, 0, source) ^ word(tables, WORD, destination);
}

/** The hash of two IPv4 addresses and two ports; `ports` is the memory word of source port and destination port. */
export function toeplitzIpv4Ports(tables: Int32Array, source: number, destination: number, ports: number): number {
  return word(tables, 0, source) ^ word(tables, WORD, destination) ^ word(tables, 2 * WORD, ports);
}

/** The hash of two IPv6 addresses; `source` and `destination` are the places in `words` of their first words. */
export function toeplitzIpv6(tables: Int32Array, words: Uint32Array, source: number, destination: number): number {
  let hash = 0;
  for (let i = 0; i < IPV6_WORDS; i++) {
    hash ^= word(tables, i * WORD, words[source + i]!) ^ word(tables, (IPV6_WORDS + i) * WORD, words[destination + i]!);
  }
  return hash;
}

/** The hash of two IPv6 addresses and two ports. */
export function toeplitzIpv6Ports(
  tables: Int32Array,
  words: Uint32Array,
  source: number,
  destination: number,
  ports: number,
): number {
  return toeplitzIpv6(tables, words, source, destination) ^ word(tables, 2 * IPV6_WORDS * WORD, ports);
}
