/**
 * The identification of datagrams that may be fragmented (RFC 6864, 4.2: unique per source, destination and protocol
 * while fragments may be under way). A packet with "don't fragment" needs none.
 *
 * RFC 7739, 5.3: a counter per group of destinations, which begins at random, plus a keyed offset per destination, so
 * that a peer cannot tell from its own numbers which ones others get.
 */
import { SIPHASH_KEY_BYTES, SipHash } from '../hash/siphash.js';
import type { RandomSource } from './random.js';

/** Number of counters, a power of two. */
const COUNTERS = 2048;

export class Identification {
  private readonly counters = new Uint16Array(COUNTERS);
  private readonly hash: SipHash;

  constructor(random: RandomSource) {
    const key = new Uint8Array(SIPHASH_KEY_BYTES);
    for (let i = 0; i < key.length; i++) key[i] = random();
    this.hash = new SipHash(key);
    for (let i = 0; i < COUNTERS; i++) this.counters[i] = random();
  }

  /**
   * Returns the next identification, 16 bits.
   * @param destination signed
   */
  next(destination: number, protocol: number): number {
    const offset = this.hash.hash(destination, protocol, 0, 0);
    const group = this.hash.high & (COUNTERS - 1);
    const count = this.counters[group];
    this.counters[group] = count + 1;
    return (count + offset) & 0xffff;
  }
}
