/**
 * The hash of the tuple of a flow. The tuple is put in order first when both directions must have the same hash.
 *
 * In order means: the endpoint with the lower address comes first, and its port with it; with equal addresses, the
 * endpoint with the lower port. Addresses and ports are compared as numbers, so the symmetric hash is Microsoft's hash
 * of the ordered tuple, which everybody can compute. A port stays with its address, so that the two flows a:1 -> b:2
 * and a:2 -> b:1 do not collide.
 *
 * Takes memory words, and is made of closures, as toeplitz.ts.
 */
import { createToeplitz } from './toeplitz.js';

/** Words of an IPv6 address. */
const IPV6_WORDS = 4;

export interface TupleHash {
  ipv4(source: number, destination: number): number;
  /** `ports` is the memory word of source port and destination port. */
  ipv4Ports(source: number, destination: number, ports: number): number;
  /**
   * `source` and `destination` are the indexes in `words` of the first word of each address; `ports` is 0 without
   * ports.
   */
  ipv6(words: Int32Array, source: number, destination: number, ports: number): number;
}

/**
 * -1 when memory word `a` is above `b` in network order, otherwise 0. The first byte in which they differ decides; it
 * contains the lowest bit in which they differ. A subtraction instead of a comparison, which V8 would compile to a
 * branch that cannot be predicted. It is this short because V8 would otherwise, at times, compile a call per packet
 * (docs/v8.md, "Inlining budget").
 */
function aboveMask(a: number, b: number): number {
  const difference = a ^ b;
  // For equal words it is 24; the bytes are then equal, too, and the mask is 0.
  const shift = ~Math.clz32(difference & -difference) & 24;
  return (((b >>> shift) & 0xff) - ((a >>> shift) & 0xff)) >> 31;
}

/** -1 when the source port is above the destination port, otherwise 0. */
function descendingMask(ports: number): number {
  return aboveMask(ports & 0xffff, ports >>> 16);
}

/** Exchanges source and destination port in their memory word. */
export function exchangePorts(ports: number): number {
  return (ports << 16) | (ports >>> 16);
}

/** For two IPv6 addresses with the same first word: -1 when the ends of the tuple must be exchanged, otherwise 0. */
function laterMask(words: Int32Array, source: number, destination: number, ports: number): number {
  for (let i = 1; i < IPV6_WORDS; i++) {
    const a = words[source + i];
    const b = words[destination + i];
    if (a !== b) return aboveMask(a, b);
  }
  return descendingMask(ports);
}

/** @param key 40 bytes */
export function createTupleHash(key: Uint8Array, symmetric: boolean): TupleHash {
  const toeplitz = createToeplitz(key);
  const { ipv4: hashIpv4, ipv4Ports: hashIpv4Ports, ipv6: hashIpv6, tuple } = toeplitz;

  const ipv4 = (source: number, destination: number): number => {
    if (!symmetric) return hashIpv4(source, destination);
    const change = (source ^ destination) & aboveMask(source, destination);
    return hashIpv4(source ^ change, destination ^ change);
  };

  const ipv4Ports = (source: number, destination: number, ports: number): number => {
    if (!symmetric) return hashIpv4Ports(source, destination, ports);
    const difference = source ^ destination;
    const mask = difference === 0 ? descendingMask(ports) : aboveMask(source, destination);
    const change = difference & mask;
    const ordered = ports ^ ((ports ^ exchangePorts(ports)) & mask);
    return hashIpv4Ports(source ^ change, destination ^ change, ordered);
  };

  const ipv6 = (words: Int32Array, source: number, destination: number, ports: number): number => {
    let first = source;
    let second = destination;
    let ordered = ports;
    if (symmetric) {
      const a = words[source];
      const b = words[destination];
      const mask = a !== b ? aboveMask(a, b) : laterMask(words, source, destination, ports);
      const change = (source ^ destination) & mask;
      first ^= change;
      second ^= change;
      ordered ^= (ports ^ exchangePorts(ports)) & mask;
    }
    tuple[0] = words[first];
    tuple[1] = words[first + 1];
    tuple[2] = words[first + 2];
    tuple[3] = words[first + 3];
    tuple[4] = words[second];
    tuple[5] = words[second + 1];
    tuple[6] = words[second + 2];
    tuple[7] = words[second + 3];
    tuple[8] = ordered;
    return hashIpv6();
  };

  return { ipv4, ipv4Ports, ipv6 };
}
