/**
 * The hash of soft RSS: Microsoft's vectors, the specification bit by bit, symmetry, and the parts of a frame that are
 * hashed.
 */
import { isIPv4 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_HASH } from '../../../../src/rss/flow-hash.js';
import { IndirectionTable } from '../../../../src/rss/indirection-table.js';
import type { RssOptions } from '../../../../src/rss/keys.js';
import { type FlowTuple, Rss } from '../../../../src/rss/rss.js';
import { createToeplitz } from '../../../../src/rss/toeplitz.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import {
  frameOf,
  ICMP,
  inputOf,
  MICROSOFT,
  memoryWith,
  type PacketFields,
  packetOf,
  referenceToeplitz,
  reversed,
  TCP,
  UDP,
} from '../../../support/rss/reference-hash.js';

const PLAIN: RssOptions = { symmetric: false };
/** Where buffers hold frames: the IP header begins at a multiple of 4. */
const ALIGNED = 62;

/** Microsoft, "Verifying the RSS Hash Calculation". */
type Vector = readonly [string, number, string, number, number, number];
const VECTORS: readonly Vector[] = [
  ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  ['3ffe:2501:200:1fff::7', 2794, '3ffe:2501:200:3::1', 1766, 0x2cc18cd5, 0x40207d3d],
  ['3ffe:501:8::260:97ff:fe40:efab', 14230, 'ff02::1', 4739, 0x0f0c461c, 0xdde51bbf],
  ['3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251, 'fe80::200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef],
];

/** The same IPv4 rows with ports, key 6d5a repeated. */
const REPEATING = [0x9fcc9fcc, 0x60d760d7, 0x3a3e3a3e, 0xd26ed26e, 0xf23ef23e];

function address(text: string): number | Uint8Array {
  if (isIPv4(text)) return parseIpv4(text);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  const words = [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(words.flatMap((value) => [value >>> 8, value & 0xff]));
}

function tupleOf([source, sourcePort, destination, destinationPort]: Vector, protocol: number): FlowTuple {
  return { protocol, source: address(source), sourcePort, destination: address(destination), destinationPort };
}

const table = IndirectionTable.create(4);
const noMemory = memoryWith([], 0);
const hashFlow = (tuple: FlowTuple, options: RssOptions): number => new Rss(noMemory, options, table).hashFlow(tuple);

/** The hash of a frame alone must be the same as in a burst. */
function hashFrame(frame: readonly number[], options: RssOptions = PLAIN, at = ALIGNED, length = frame.length): number {
  const rss = new Rss(memoryWith(frame, at), options, table);
  const hash = rss.hashFrame(at, length);
  const hashes = new Int32Array(2);
  rss.hashFrames(Uint32Array.of(at, at), Uint32Array.of(length, length), hashes, 2);
  expect([...hashes]).toEqual([hash, hash]);
  // The hash of an untagged IPv4 frame must be the same when it is hashed as a packet.
  if (length >= 34 && frame[12] === 8 && frame[13] === 0 && frame[14]! >>> 4 === 4) {
    const ip = at + 14;
    expect(rss.hashPacket(ip, length - 14)).toBe(hash);
    rss.hashPackets(Uint32Array.of(ip, ip), Uint32Array.of(length - 14, length - 14), hashes.fill(0), 2);
    expect([...hashes]).toEqual([hash, hash]);
  }
  return hash;
}

const port = fc.integer({ min: 0, max: 0xffff });
const protocol = fc.constantFrom(TCP, UDP, ICMP, 132);
const ipv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const key = fc.uint8Array({ minLength: 40, maxLength: 40 });
/** Random addresses, equal ones, and some that differ in one bit anywhere: the order has to look at all bits. */
const pairs = fc.oneof(
  fc.tuple(ipv4, ipv4),
  fc.tuple(ipv4, fc.nat(31)).map(([a, bit]): [number, number] => [a, (a ^ (1 << bit)) >>> 0]),
  ipv4.map((a): [number, number] => [a, a]),
  fc.tuple(ipv6, ipv6),
  fc.tuple(ipv6, fc.nat(127)).map(([a, bit]): [Uint8Array, Uint8Array] => {
    return [a, a.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))];
  }),
  ipv6.map((a): [Uint8Array, Uint8Array] => [a, a]),
);
const tuple: fc.Arbitrary<FlowTuple> = fc
  .tuple(protocol, pairs, port, port)
  .map(([protocol, [source, destination], sourcePort, destinationPort]) => {
    return { protocol, source, destination, sourcePort, destinationPort };
  });

describe("Microsoft's vectors", () => {
  it.each(VECTORS)('%s:%i -> %s:%i', (...vector) => {
    const [, , , , addresses, ports] = vector;
    expect(hashFlow(tupleOf(vector, TCP), PLAIN)).toBe(ports | 0);
    expect(hashFlow(tupleOf(vector, UDP), PLAIN)).toBe(ports | 0);
    expect(hashFlow(tupleOf(vector, ICMP), PLAIN)).toBe(addresses | 0);
    expect(hashFrame(frameOf(packetOf(tupleOf(vector, TCP))))).toBe(ports | 0);
    expect(hashFrame(frameOf(packetOf(tupleOf(vector, ICMP))))).toBe(addresses | 0);
  });

  it.each(REPEATING.map((hash, i) => [VECTORS[i]!, hash] as const))('%j with the repeating key', (vector, hash) => {
    for (const symmetric of [true, false]) {
      expect(hashFlow(tupleOf(vector, TCP), { key: 'symmetric', symmetric })).toBe(hash | 0);
    }
  });
});

describe('the tables', () => {
  const views = (input: readonly number[]): Uint32Array => memoryWith(input, 0).u32;

  it('give what the specification gives bit by bit', () => {
    fc.assert(
      fc.property(key, fc.uint8Array({ minLength: 36, maxLength: 36 }), (key, bytes) => {
        const { ipv4, ipv4Ports, ipv6, tuple } = createToeplitz(key);
        const w = views([...bytes]);
        const expected = (length: number): number => referenceToeplitz(key, [...bytes.subarray(0, length)]);
        expect(ipv4(w[0]!, w[1]!)).toBe(expected(8));
        expect(ipv4Ports(w[0]!, w[1]!, w[2]!)).toBe(expected(12));
        tuple.set(w.subarray(0, 9));
        expect(ipv6()).toBe(expected(36));
        tuple[8] = 0;
        expect(ipv6()).toBe(expected(32));
      }),
    );
  });

  it('refuse a key of another length', () => {
    expect(() => createToeplitz(new Uint8Array(39))).toThrow('a Toeplitz key has 40 bytes, not 39');
  });
});

describe('a flow', () => {
  it('has the same hash in both directions, whatever the key', () => {
    fc.assert(
      fc.property(tuple, key, (tuple, key) => {
        for (const options of [{}, { key }, { key: 'symmetric', symmetric: false }]) {
          expect(hashFlow(reversed(tuple), options)).toBe(hashFlow(tuple, options));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("has Microsoft's hash of the tuple with the lower endpoint first", () => {
    fc.assert(
      fc.property(tuple, key, (tuple, key) => {
        const [forth, back] = [inputOf(tuple), inputOf(reversed(tuple))];
        // Addresses have one length, so comparing all bytes compares first the addresses and then the ports.
        const isOrdered = Buffer.compare(Buffer.from(forth), Buffer.from(back)) <= 0;
        expect(hashFlow(tuple, { key })).toBe(referenceToeplitz(key, isOrdered ? forth : back));
        expect(hashFlow(tuple, { key, symmetric: false })).toBe(referenceToeplitz(key, forth));
      }),
      { numRuns: 300 },
    );
  });

  it('has the same hash by four numbers, signed or unsigned', () => {
    const address = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(address, address, port, port, (source, destination, sourcePort, destinationPort) => {
        const hash = hashFlow({ protocol: UDP, source, destination, sourcePort, destinationPort }, {});
        const rss = new Rss(noMemory, {}, table);
        expect(rss.hashPorts(source, destination, sourcePort, destinationPort)).toBe(hash);
        expect(rss.hashPorts(source | 0, destination | 0, sourcePort, destinationPort)).toBe(hash);
      }),
    );
  });

  it('differs from the flow with the ports exchanged', () => {
    const flow = { protocol: TCP, source: 0x0a000001, destination: 0x0a000002, sourcePort: 1, destinationPort: 2 };
    expect(hashFlow({ ...flow, sourcePort: 2, destinationPort: 1 }, {})).not.toBe(hashFlow(flow, {}));
  });

  it('differs by direction in the plain hash', () => {
    const flow = tupleOf(VECTORS[0]!, TCP);
    expect(hashFlow(reversed(flow), PLAIN)).not.toBe(hashFlow(flow, PLAIN));
  });

  it.each([
    [{ protocol: TCP, source: 1, destination: 2, sourcePort: 1 }, 'needs ports of 0 to 65535, found undefined'],
    [{ protocol: UDP, source: 1, destination: 2, sourcePort: 65536, destinationPort: 1 }, 'found 65536'],
    [{ protocol: ICMP, source: 1, destination: new Uint8Array(16) }, 'found a number'],
    [{ protocol: ICMP, source: new Uint8Array(16), destination: new Uint8Array(4) }, 'found 4 bytes'],
  ])('is not hashed if it is %j', (tuple, message) => {
    expect(() => hashFlow(tuple, {})).toThrow(message);
  });
});

describe('a frame', () => {
  const v4: FlowTuple = tupleOf(VECTORS[0]!, TCP);
  const v6: FlowTuple = tupleOf(VECTORS[7]!, UDP);
  const withPorts = (tuple: FlowTuple): number => referenceToeplitz(MICROSOFT, inputOf(tuple));
  const addresses = (tuple: FlowTuple): number => referenceToeplitz(MICROSOFT, inputOf({ ...tuple, protocol: ICMP }));

  it('has the hash of its flow: tagged, as a packet, at any offset, with any options', () => {
    const tags = fc.array(fc.constantFrom(0x8100, 0x88a8), { maxLength: 2 });
    const symmetric = fc.boolean();
    const extra = fc.record({
      options: fc.constantFrom([], [1, 1, 1, 0]),
      extensions: fc.array(fc.tuple(fc.constantFrom(0, 43, 60), fc.constantFrom(8, 24)), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(tuple, tags, symmetric, extra, fc.nat(7), (tuple, tags, symmetric, fields, shift) => {
        const packet = packetOf(tuple, fields as PacketFields);
        const frame = frameOf(packet, tags);
        const at = ALIGNED + shift;
        const rss = new Rss(memoryWith(frame, at), { symmetric }, table);
        const hash = rss.hashFlow(tuple);
        expect(rss.hashFrame(at, frame.length)).toBe(hash);
        const ip = at + frame.length - packet.length;
        expect(rss.hashPacket(ip, packet.length)).toBe(hash);
        const hashes = new Int32Array(2);
        rss.hashFrames(Uint32Array.of(at), Uint32Array.of(frame.length), hashes, 1);
        expect([...hashes]).toEqual([hash, 0]);
        hashes.fill(0);
        rss.hashPackets(Uint32Array.of(ip), Uint32Array.of(packet.length), hashes, 1);
        expect([...hashes]).toEqual([hash, 0]);
        expect(rss.coreForFlow(tuple)).toBe(rss.coreOf(hash));
      }),
      { numRuns: 300 },
    );
  });

  it('is hashed by its addresses and ports even with padding behind them', () => {
    const padded = [...frameOf(packetOf(v4)), ...new Array<number>(20).fill(0)];
    expect(hashFrame(padded)).toBe(withPorts(v4));
  });

  const BY_ADDRESSES: readonly (readonly [string, FlowTuple, PacketFields])[] = [
    ['an IPv4 fragment, the first', v4, { fragment: 0x2000 }],
    ['an IPv4 fragment, the last', v4, { fragment: 0x0001 }],
    ['an IPv4 fragment with a large offset', v4, { fragment: 0x1fff }],
    ['an IPv4 header length below 20', v4, { headerWords: 4 }],
    ['an IPv4 header longer than the packet', v4, { headerWords: 15 }],
    ['IPv4 ports beyond the total length', v4, { lengthField: 23 }],
    ['an IPv6 fragment', v6, { extensions: [[44, 8]] }],
    [
      'an IPv6 fragment behind options',
      v6,
      {
        extensions: [
          [0, 8],
          [60, 16],
          [44, 8],
        ],
      },
    ],
    ['an IPv6 extension header that is not known', v6, { extensions: [[139, 8]] }],
    ['IPv6 with authentication', v6, { extensions: [[51, 24]] }],
    ['nine IPv6 extension headers', v6, { extensions: new Array(9).fill([60, 8]) }],
    ['IPv6 ports beyond the payload length', v6, { lengthField: 3 }],
    ['an IPv6 jumbogram', v6, { lengthField: 0 }],
    ['an IPv6 extension header beyond the payload length', v6, { extensions: [[0, 8]], lengthField: 7 }],
  ];
  it.each(BY_ADDRESSES)('%s: by addresses', (_, tuple, fields) => {
    expect(hashFrame(frameOf(packetOf(tuple, fields)))).toBe(addresses(tuple));
  });

  it.each([
    ['IPv4 that may not be fragmented', v4, { fragment: 0x4000 }],
    ['eight IPv6 extension headers', v6, { extensions: new Array(8).fill([60, 8]) }],
  ] as const)('%s: by addresses and ports', (_, tuple, fields) => {
    expect(hashFrame(frameOf(packetOf(tuple, fields as PacketFields)))).toBe(withPorts(tuple));
  });

  const packet = packetOf(v4);
  it.each([
    ['ARP', [...new Array<number>(12).fill(0xff), 8, 6, ...new Array<number>(28).fill(1)]],
    ['three VLAN tags', frameOf(packet, [0x88a8, 0x8100, 0x8100])],
    ['a tag of another type', frameOf(packet, [0x9100])],
    ['IPv6 under the EtherType of IPv4', [...frameOf(packet).slice(0, 14), ...packetOf(v6)]],
    ['IPv4 under the EtherType of IPv6', [...frameOf(packetOf(v6)).slice(0, 14), ...packet, ...packet]],
    ['IP version 5', frameOf([0x55, ...packet.slice(1)])],
    ['nothing', []],
  ])('%s: no hash', (_, frame) => {
    expect(hashFrame(frame)).toBe(NO_HASH);
  });

  it.each([
    ['IPv4', v4, {}, []],
    ['IPv4 with options, tagged', v4, { options: [1, 1, 1, 0] }, [0x8100]],
    ['IPv6', v6, {}, []],
    [
      'IPv6 with extension headers, tagged twice',
      v6,
      {
        extensions: [
          [0, 8],
          [43, 24],
        ] as const,
      },
      [0x88a8, 0x8100],
    ],
  ] as const)('%s cut off anywhere: hashed by what is left, without reading further', (_, tuple, fields, tags) => {
    const packet = packetOf(tuple, fields);
    const frame = frameOf(packet, tags);
    const ip = frame.length - packet.length;
    const fixed = ip + (typeof tuple.source === 'number' ? 20 : 40);
    for (const at of [ALIGNED, ALIGNED + 1]) {
      for (let length = 0; length <= frame.length; length++) {
        const cut = frame.slice(0, length);
        const hashes = [0, 0x45, 0x60, 0xff].map((poison) =>
          new Rss(memoryWith(cut, at, poison), PLAIN, table).hashFrame(at, length),
        );
        const expected = length < fixed ? NO_HASH : length < frame.length - 4 ? addresses(tuple) : withPorts(tuple);
        expect(hashes).toEqual(new Array(4).fill(expected));
      }
    }
  });

  it('of random bytes: depends only on its own bytes, and is signed 32 bits', () => {
    const head = fc.constantFrom(
      ...[v4, v6].flatMap((tuple) => [[], [0x8100]].map((tags) => frameOf(packetOf(tuple), tags))),
    );
    const damage = fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(head, damage, fc.nat(100), fc.nat(3), (head, damage, length, shift) => {
        const frame = [...head];
        for (const [place, value] of damage) if (place < frame.length) frame[place] = value;
        const cut = frame.slice(0, length);
        const [first, ...others] = [0, 6, 0x2b, 0xff].map((poison) => {
          const rss = new Rss(memoryWith(cut, ALIGNED + shift, poison), {}, table);
          return rss.hashFrame(ALIGNED + shift, cut.length);
        });
        expect(others).toEqual([first, first, first]);
        expect(first).toBe(first! | 0);
      }),
      { numRuns: 500 },
    );
  });
});
