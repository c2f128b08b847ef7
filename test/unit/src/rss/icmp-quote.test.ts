/** ICMP errors: they reach the core of the flow that they are about. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndirectionTable } from '../../../../src/rss/indirection-table.js';
import { Rss } from '../../../../src/rss/rss.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import {
  frameOf,
  ICMP,
  icmpErrorOf,
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

const ERRORS = [3, 4, 5, 11, 12];
const ROUTER = parseIpv4('192.0.2.1');
const US = parseIpv4('10.0.0.1');
const REMOTE = parseIpv4('198.51.100.7');
/** Where the frame begins, so that its IP header lies at a multiple of 4. */
const ALIGNED = 62;
/** The packet that we sent. */
const SENT = { protocol: TCP, source: US, destination: REMOTE, sourcePort: 40_000, destinationPort: 80 };
const table = IndirectionTable.create(4);

/** By Microsoft's key, without symmetry: the order of the addresses and ports counts. */
const byFlow = (protocol: number): number => referenceToeplitz(MICROSOFT, inputOf(reversed({ ...SENT, protocol })));
const byQuotedAddresses = byFlow(ICMP);
const byAddresses = referenceToeplitz(MICROSOFT, inputOf({ protocol: ICMP, source: ROUTER, destination: US }));

/** The hash of a packet, which is the same in every way to compute it. */
function hashOf(packet: readonly number[], symmetric = false, poison = 0): number {
  const frame = frameOf(packet);
  const places: [number, (rss: Rss, at: number) => number][] = [
    [ALIGNED, (rss, at) => rss.hashFrame(at, frame.length)],
    [ALIGNED + 1, (rss, at) => rss.hashFrame(at, frame.length)],
    [ALIGNED, (rss, at) => rss.hashPacket(at + 14, packet.length)],
    [
      ALIGNED,
      (rss, at) => {
        const hashes = new Int32Array(1);
        rss.hashPackets(Uint32Array.of(at + 14), Uint32Array.of(packet.length), hashes, 1);
        return hashes[0]!;
      },
    ],
  ];
  const [first, ...others] = places.map(([at, hash]) =>
    hash(new Rss(memoryWith(frame, at, poison), { symmetric }, table), at),
  );
  expect(others).toEqual(others.map(() => first));
  return first!;
}

describe('an ICMP error', () => {
  it.each(ERRORS)('of type %i has the hash of the packets that answer the quoted packet', (type) => {
    for (const protocol of [TCP, UDP]) {
      const error = icmpErrorOf(packetOf({ ...SENT, protocol }), type, ROUTER);
      expect(hashOf(error)).toBe(byFlow(protocol));
    }
  });

  it('reaches the core that receives the flow, whoever sent it, symmetric or not', () => {
    const address = fc.integer({ min: 0, max: 0xffffffff });
    const port = fc.integer({ min: 0, max: 0xffff });
    const options = fc.constantFrom([], [1, 1, 1, 1], new Array<number>(40).fill(1));
    const type = fc.constantFrom(...ERRORS);
    const protocol = fc.constantFrom(TCP, UDP, ICMP);
    fc.assert(
      fc.property(
        fc.tuple(address, address, address, port, port),
        fc.tuple(protocol, type, options, options, fc.boolean()),
        ([source, destination, router, sourcePort, destinationPort], [protocol, type, outer, inner, symmetric]) => {
          const sent = { protocol, source, destination, sourcePort, destinationPort };
          const error = icmpErrorOf(packetOf(sent, { options: inner }), type, router, { options: outer });
          const answer = packetOf(reversed(sent));
          expect(hashOf(error, symmetric)).toBe(hashOf(answer, symmetric));
          const rss = new Rss(memoryWith([], 0), { symmetric }, table);
          expect(rss.hashFlow(reversed(sent))).toBe(hashOf(error, symmetric));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is hashed by the flow when it quotes more, or ends in padding', () => {
    const quoted = [...packetOf(SENT), ...new Array<number>(50).fill(7)];
    expect(hashOf(icmpErrorOf(quoted, 3, ROUTER))).toBe(byFlow(TCP));
    expect(hashOf([...icmpErrorOf(packetOf(SENT), 3, ROUTER), 0, 0, 0])).toBe(byFlow(TCP));
  });

  const QUOTES: readonly (readonly [string, number, PacketFields])[] = [
    ['the first fragment', byFlow(TCP), { fragment: 0x2000 }],
    ['a packet that may not be fragmented', byFlow(TCP), { fragment: 0x4000 }],
    ['a packet whose total length is wrong', byFlow(TCP), { lengthField: 3 }],
    ['a later fragment', byQuotedAddresses, { fragment: 0x2001 }],
    ['the last fragment', byQuotedAddresses, { fragment: 0x1fff }],
    ['a header length below 20', byAddresses, { headerWords: 4 }],
    ['a header that is cut off', byAddresses, { headerWords: 6 }],
  ];
  it.each(QUOTES)('that quotes %s', (_, expected, fields) => {
    expect(hashOf(icmpErrorOf(packetOf(SENT, fields), 3, ROUTER))).toBe(expected);
  });

  it('about a ping, or another protocol, is hashed by the addresses of answers', () => {
    for (const protocol of [ICMP, 47]) {
      expect(hashOf(icmpErrorOf(packetOf({ ...SENT, protocol }), 11, ROUTER))).toBe(byQuotedAddresses);
    }
  });

  it.each([
    ['a fragment, the first', { fragment: 0x2000 }],
    ['a fragment, a later one', { fragment: 0x0004 }],
    ['shorter by its total length than the quote', { lengthField: 20 + 8 + 20 + 7 }],
    ['without a header length', { headerWords: 0 }],
  ] as const)('that is %s is hashed by its addresses', (_, fields) => {
    expect(hashOf(icmpErrorOf(packetOf(SENT), 3, ROUTER, fields))).toBe(byAddresses);
  });

  it('that quotes another IP version is hashed by its addresses', () => {
    const quoted = packetOf(SENT);
    quoted[0] = 0x65;
    expect(hashOf(icmpErrorOf(quoted, 3, ROUTER))).toBe(byAddresses);
  });

  it('cut off anywhere is hashed by what is left, without reading further', () => {
    const error = icmpErrorOf(packetOf(SENT, { options: [1, 1, 1, 0] }), 3, ROUTER, { options: [1, 1, 1, 0] });
    for (let length = 20; length <= error.length; length++) {
      const expected = length === error.length ? byFlow(TCP) : byAddresses;
      for (const poison of [0, 0x45, 0xff]) expect(hashOf(error.slice(0, length), false, poison)).toBe(expected);
    }
  });
});

describe('another packet that looks like an ICMP error', () => {
  it('of any other type keeps its hash', () => {
    for (let type = 0; type < 256; type++) {
      const expected = ERRORS.includes(type) ? byFlow(TCP) : byAddresses;
      expect(hashOf(icmpErrorOf(packetOf(SENT), type, ROUTER))).toBe(expected);
    }
  });

  it('of another protocol keeps its hash', () => {
    const error = icmpErrorOf(packetOf(SENT), 3, ROUTER);
    error[9] = 47;
    expect(hashOf(error)).toBe(byAddresses);
    error[9] = UDP;
    const ports = { sourcePort: 0x0301, destinationPort: 0 };
    const flow = { protocol: UDP, source: ROUTER, destination: US, ...ports };
    expect(hashOf(error)).toBe(referenceToeplitz(MICROSOFT, inputOf(flow)));
  });
});
