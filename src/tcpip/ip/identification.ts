/**
 * The identification of datagrams that may be fragmented (RFC 6864, 4.2: unique per source, destination and protocol
 * while fragments may be under way). A packet with "don't fragment" needs none.
 *
 * RFC 7739, 5.3: a counter per group of destinations, which begins at random, plus a keyed offset per destination, so
 * that nobody can conclude from the numbers that he gets to those that others get.
 */
import type { RandomSource } from './random.js';

/** log2 of the number of counters. */
const COUNTERS_SHIFT = 11;

export class Identification {
  private readonly counters = new Uint16Array(1 << COUNTERS_SHIFT);
  private readonly key0: number;
  private readonly key1: number;
  private readonly key2: number;

  constructor(random: RandomSource) {
    for (let i = 0; i < this.counters.length; i++) this.counters[i] = random();
    this.key0 = random();
    this.key1 = random();
    this.key2 = random();
  }

  /**
   * Returns the next identification, 16 bits.
   * @param destination signed
   */
  next(destination: number, protocol: number): number {
    const group = mix(destination ^ this.key0, this.key1) >>> (32 - COUNTERS_SHIFT);
    const offset = mix(mix(destination ^ this.key1, this.key2) ^ protocol, this.key0);
    const count = this.counters[group];
    this.counters[group] = count + 1;
    return (count + offset) & 0xffff;
  }
}

/** Mixes 32 bits with a key between two rounds of multiplication (the finalizer of MurmurHash3). */
function mix(value: number, key: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x85ebca6b) ^ key;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) ^ key;
  return x ^ (x >>> 16);
}
