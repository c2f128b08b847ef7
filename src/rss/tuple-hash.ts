/**
 * The hash of a flow's tuple, put in order first where both directions are to hash alike.
 *
 * In order means: the endpoint with the lower address goes first, and its port with it; where the addresses are equal,
 * that with the lower port. Addresses and ports compare as numbers, so that the symmetric hash is Microsoft's hash of
 * the tuple so ordered, and whoever has that can reproduce it. Ports follow the addresses, rather than being ordered by
 * themselves, so that a:1 -> b:2 and a:2 -> b:1, two flows, don't collide.
 *
 * Takes memory words, as toeplitz.ts does.
 */
import {
  IPV6_WORDS,
  toeplitzIpv4,
  toeplitzIpv4Ports,
  toeplitzIpv6,
  toeplitzIpv6Ports,
  toeplitzTables,
} from './toeplitz.js';

/** A memory word as the number that its bytes are in network order, and back. V8 makes two rotations of it. */
export function swapBytes(word: number): number {
  return (((word << 8) | (word >>> 24)) & 0x00ff00ff) | (((word << 24) | (word >>> 8)) & 0xff00ff00);
}

/** Whether memory word `a` is above `b` in network order. */
function isAbove(a: number, b: number): boolean {
  return swapBytes(a) >>> 0 > swapBytes(b) >>> 0;
}

/** The same for IPv6 addresses whose first words are at `a` and `b`. */
function isAboveIpv6(words: Uint32Array, a: number, b: number): boolean {
  for (let i = 0; i < IPV6_WORDS; i++) {
    if (words[a + i] !== words[b + i]) return isAbove(words[a + i]!, words[b + i]!);
  }
  return false;
}

/** Whether the source port is above the destination port. */
function isDescending(ports: number): boolean {
  const both = swapBytes(ports);
  return both >>> 16 > (both & 0xffff);
}

function exchangePorts(ports: number): number {
  return (ports << 16) | (ports >>> 16);
}

/** -1 where addresses are to be exchanged, else 0: which it is nobody can predict, so there is no branch on it. */
function exchangeMask(source: number, destination: number): number {
  return -Number(isAbove(source, destination));
}

export class TupleHash {
  private readonly tables: Int32Array;

  /** @param key 40 bytes */
  constructor(
    key: Uint8Array,
    private readonly symmetric: boolean,
  ) {
    this.tables = toeplitzTables(key);
  }

  ipv4(source: number, destination: number): number {
    if (!this.symmetric) return toeplitzIpv4(this.tables, source, destination);
    const change = (source ^ destination) & exchangeMask(source, destination);
    return toeplitzIpv4(this.tables, source ^ change, destination ^ change);
  }

  ipv4Ports(source: number, destination: number, ports: number): number {
    if (!this.symmetric) return toeplitzIpv4Ports(this.tables, source, destination, ports);
    const difference = source ^ destination;
    const mask = difference === 0 ? -Number(isDescending(ports)) : exchangeMask(source, destination);
    const change = difference & mask;
    const ordered = ports ^ ((ports ^ exchangePorts(ports)) & mask);
    return toeplitzIpv4Ports(this.tables, source ^ change, destination ^ change, ordered);
  }

  /** `source` and `destination` are the places in `words` of the addresses' first words. */
  ipv6(words: Uint32Array, source: number, destination: number): number {
    const exchange = this.symmetric && isAboveIpv6(words, source, destination);
    return toeplitzIpv6(this.tables, words, exchange ? destination : source, exchange ? source : destination);
  }

  ipv6Ports(words: Uint32Array, source: number, destination: number, ports: number): number {
    const exchange =
      this.symmetric &&
      (isAboveIpv6(words, source, destination) || (isDescending(ports) && !isAboveIpv6(words, destination, source)));
    const first = exchange ? destination : source;
    const second = exchange ? source : destination;
    return toeplitzIpv6Ports(this.tables, words, first, second, exchange ? exchangePorts(ports) : ports);
  }
}
