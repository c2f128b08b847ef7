/** Fragments (RFC 791, 3.2; RFC 1122, 3.3.2; RFC 5722; RFC 3168, 5.3) against a plain model, and each rule by itself. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ip } from '../../../../../src/tcpip/ip/ip.js';
import { ipv4, naiveChecksum } from '../../../../support/link/frames.js';
import { type IpFixture, openIp } from '../../../../support/tcpip/ip-fixture.js';

const MORE = 0x2000;
const UDP = 17;

interface FragmentFields {
  id?: number;
  source?: string;
  destination?: string;
  protocol?: number;
  tos?: number;
  options?: number[];
}

/** The packet with bytes `from` to `to - 1` of the payload of a datagram. */
function fragment(payload: number[], from: number, to: number, fields: FragmentFields = {}): number[] {
  const { id = 1, tos = 0, protocol = UDP, ...others } = fields;
  const more = to < payload.length ? MORE : 0;
  return patch(ipv4(payload.slice(from, to), { protocol, fragment: more | (from / 8), ...others }), id, tos);
}

/** Sets identification and TOS, and corrects the checksum. */
function patch(packet: number[], id: number, tos: number): number[] {
  const header = packet.slice(0, (packet[0]! & 15) * 4);
  header[1] = tos;
  header[4] = id >>> 8;
  header[5] = id & 0xff;
  header[10] = 0;
  header[11] = 0;
  const sum = naiveChecksum(header);
  header[10] = sum >>> 8;
  header[11] = sum & 0xff;
  return [...header, ...packet.slice(header.length)];
}

const bytes = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => (first + i) & 0xff);

let fixture: IpFixture;

beforeEach(async () => {
  fixture = await openIp({ datagrams: 4 }, { acceptBroadcast: true });
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

const payloads = (): number[][] => fixture.udp.received.map(({ payload }) => payload);

describe('fragments', () => {
  // Clauses: 1122-3.2.1.4a
  it('become a datagram, in any order', () => {
    const payload = bytes(41);
    const cuts = [
      [0, 16],
      [16, 24],
      [24, 41],
    ] as const;
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      fixture.exchange(...order.map((i) => fragment(payload, cuts[i]![0], cuts[i]![1])));
      expect(payloads()).toEqual([payload]);
      fixture.udp.received.length = 0;
    }
    expect(fixture.counted()).toEqual({ ip_rx: 9, ip_frag_rx: 9, ip_frag_reassembled: 3 });
  });

  it('become a datagram with the header of the first, made whole', () => {
    const payload = bytes(20);
    const options = [7, 7, 4, 0, 0, 0, 0, 0];
    fixture.exchange(fragment(payload, 8, 20, { tos: 4 }), fragment(payload, 0, 8, { options, tos: 8 }));
    const [{ header }] = fixture.udp.received as [(typeof fixture.udp.received)[0]];
    expect(header).toHaveLength(28);
    expect([header[1], header[2], header[3], header[6], header[7]]).toEqual([8, 0, 48, 0, 0]);
    expect(header.slice(20)).toEqual(options);
    expect(naiveChecksum(header)).toBe(0);
  });

  it('of datagrams with other addresses, protocol or identification are kept apart', () => {
    const kinds: FragmentFields[] = [{ id: 1 }, { id: 2 }, { source: '10.0.0.3' }, { destination: '10.0.0.255' }];
    fixture.exchange(...kinds.map((fields, i) => fragment(bytes(16, i), 0, 8, fields)));
    expect(payloads()).toEqual([]);
    fixture.exchange(...kinds.map((fields, i) => fragment(bytes(16, i), 8, 16, fields)));
    expect(payloads()).toEqual(kinds.map((_, i) => bytes(16, i)));
    expect(fixture.udp.received.map(({ toUs }) => toUs)).toEqual([true, true, true, false]);
    fixture.exchange(fragment(bytes(16), 0, 8), fragment(bytes(16), 8, 16, { protocol: 6 }));
    expect(payloads()).toHaveLength(4);
  });

  // Clauses: 1122-3.3.2a, 1122-3.3.2b
  it('can make the longest datagram there is', () => {
    const payload = bytes(65_515);
    for (let at = 0; at < payload.length; at += 1480) {
      fixture.exchange(fragment(payload, at, Math.min(at + 1480, payload.length)));
    }
    expect(payloads()).toEqual([payload]);
  });

  it('that come twice do no harm', () => {
    const payload = bytes(24);
    const first = fragment(payload, 0, 8);
    const last = fragment(payload, 16, 24);
    fixture.exchange(first, first, last, last, fragment(payload, 8, 16));
    expect(payloads()).toEqual([payload]);
    expect(fixture.counted()).toMatchObject({ ip_frag_duplicate: 2 });
  });

  it('of a big echo request make a big reply', () => {
    const message = [8, 0, 0, 0, 1, 2, 3, 4, ...bytes(3000)];
    const sum = naiveChecksum(message);
    message[2] = sum >>> 8;
    message[3] = sum & 0xff;
    const parts = [0, 1480, 2960].map((at) => fragment(message, at, Math.min(at + 1480, 3008), { protocol: 1 }));
    const replies = fixture.exchange(...parts);
    expect(replies.map((reply) => [(reply[6]! << 8) | reply[7]!, reply.length])).toEqual([
      [MORE, 1500],
      [MORE | 185, 1500],
      [370, 68],
    ]);
    const reply = replies.flatMap((packet) => [...packet.subarray(20)]);
    expect(reply[0]).toBe(0);
    expect(naiveChecksum(reply)).toBe(0);
    expect(reply.slice(4)).toEqual(message.slice(4));
    expect(new Set(replies.map((packet) => (packet[4]! << 8) | packet[5]!)).size).toBe(1);
  });
});

describe('refused are', () => {
  it.each([
    ['no data', ipv4([], { protocol: UDP, fragment: MORE | 1 })],
    ['a length that is no multiple of 8', ipv4(bytes(12), { protocol: UDP, fragment: MORE })],
    ['an end beyond 65,535 bytes', ipv4(bytes(8), { protocol: UDP, fragment: 0x1fff })],
    ['an end beyond it with the header', ipv4(bytes(12), { protocol: UDP, fragment: 8189 })],
  ])('fragments with %s', (_, packet) => {
    fixture.exchange(packet);
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_frag_rx: 1, ip_drop_frag_malformed: 1 });
    expect(fixture.ip.msToNext(0)).toBe(Number.POSITIVE_INFINITY);
  });

  it('datagrams that the options of the header make too long', () => {
    const payload = bytes(65_515);
    fixture.exchange(fragment(payload, 0, 1480, { options: [1, 1, 1, 0] }));
    for (let at = 1480; at < payload.length; at += 1480) {
      fixture.exchange(fragment(payload, at, Math.min(at + 1480, payload.length)));
    }
    expect(payloads()).toEqual([]);
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_malformed: 1 });
  });

  it('fragments that split the header of TCP (RFC 3128)', () => {
    fixture.exchange(fragment(bytes(40), 0, 8, { protocol: 6 }), fragment(bytes(40), 8, 40, { protocol: 6 }));
    expect(fixture.counted()).toEqual({ ip_rx: 2, ip_frag_rx: 2, ip_drop_frag_tiny: 2 });
    fixture.exchange(fragment(bytes(40), 0, 16, { protocol: 6 }), fragment(bytes(40), 16, 40, { protocol: 6 }));
    expect(fixture.tcp.received).toMatchObject([{ payload: bytes(40) }]);
  });

  const payload = bytes(48);
  const other = bytes(48, 1);
  it.each([
    ['in part', [fragment(payload, 0, 16), fragment(payload, 8, 24)]],
    ['with other bytes', [fragment(payload, 0, 16), fragment(other, 0, 16)]],
    ['and lie within another one, with other bytes', [fragment(payload, 0, 24), fragment(other, 8, 16)]],
    ['and contain another one', [fragment(payload, 8, 16), fragment(payload, 0, 24)]],
    ['the last one', [fragment(payload, 40, 48), fragment(payload, 32, 48)]],
    ['beyond the end', [fragment(payload.slice(0, 24), 16, 24), fragment(payload, 24, 32)]],
    ['behind another end', [fragment(payload.slice(0, 24), 16, 24), fragment(payload, 40, 48)]],
    ['before an end that is too early', [fragment(payload, 24, 32), fragment(payload.slice(0, 20), 16, 20)]],
    ['within what has come, with an end', [fragment(payload, 0, 24), fragment(payload.slice(0, 24), 16, 24)]],
  ])('datagrams whose fragments overlap %s, with all that comes later', (_, packets) => {
    fixture.exchange(...packets);
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_overlap: 1 });
    fixture.exchange(...[0, 16, 32].map((at) => fragment(payload, at, at + 16)));
    expect(payloads()).toEqual([]);
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_overlap: 1, ip_drop_frag_refused: 3 });
    // When its time is over, nothing is sent, and the identification may be used again.
    fixture.pass(30_000);
    expect(fixture.exchange(...[0, 16, 32].map((at) => fragment(payload, at, at + 16)))).toEqual([]);
    expect(payloads()).toEqual([payload]);
  });

  it.each([
    ['congestion is kept', [2, 3], 3],
    ['congestion with ECT(1) is kept', [1, 3], 3],
    ['no congestion: the first counts', [2, 2], 2],
    ['congestion beside a fragment without ECN is refused', [0, 3], null],
  ])('mixed ECN fields: %s', (_, fields, expected) => {
    const [first, last] = fields as [number, number];
    fixture.exchange(fragment(payload, 0, 8, { tos: first }), fragment(payload, 8, 48, { tos: last }));
    const seen = fixture.udp.received.map(({ header }) => header[1]);
    expect(seen).toEqual(expected === null ? [] : [expected]);
    expect(fixture.counted().ip_drop_frag_ecn).toBe(expected === null ? 1 : undefined);
  });
});

describe('a datagram that stays in pieces', () => {
  // Clauses: 1122-3.3.2d
  it('is given up after 30 s; the sender is told if the first fragment came', () => {
    const first = fragment(bytes(24), 0, 8);
    fixture.exchange(first, fragment(bytes(24), 16, 24, { id: 2 }));
    expect(fixture.ip.msToNext(fixture.clock.ms)).toBe(30_000);
    fixture.pass(29_999);
    fixture.exchange(fragment(bytes(24), 16, 24));
    expect(fixture.ip.msToNext(fixture.clock.ms)).toBe(1);
    expect(fixture.net.sent()).toEqual([]);
    fixture.pass(1);
    const [message, ...none] = fixture.net.sent();
    expect(none).toEqual([]);
    expect([...message!.subarray(20, 22)]).toEqual([11, 1]);
    expect([...message!.subarray(28)]).toEqual(first);
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_timeout: 2, icmp_tx_errors: 1 });
    expect(fixture.ip.msToNext(fixture.clock.ms)).toBe(Number.POSITIVE_INFINITY);
    fixture.exchange(fragment(bytes(24), 8, 16));
    expect(payloads()).toEqual([]);
  });

  it('makes room for a newer one: the oldest goes', () => {
    for (let id = 1; id <= 5; id++) {
      fixture.exchange(fragment(bytes(16, id), 0, 8, { id }));
      fixture.pass(10);
    }
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_replaced: 1 });
    // All but the first are still there.
    fixture.exchange(...[2, 3, 4, 5].map((id) => fragment(bytes(16, id), 8, 16, { id })));
    expect(payloads()).toEqual([2, 3, 4, 5].map((id) => bytes(16, id)));
    fixture.exchange(fragment(bytes(16, 1), 8, 16, { id: 1 }));
    expect(payloads()).toHaveLength(4);
  });

  it('outlives one that was refused', () => {
    fixture.exchange(fragment(bytes(16), 0, 8, { id: 1 }), fragment(bytes(24), 0, 16, { id: 2 }));
    fixture.exchange(fragment(bytes(24), 8, 16, { id: 2 }), fragment(bytes(24, 1), 8, 16, { id: 2 }));
    for (let id = 3; id <= 5; id++) fixture.exchange(fragment(bytes(16), 0, 8, { id }));
    expect(fixture.counted().ip_drop_frag_replaced).toBeUndefined();
    fixture.exchange(fragment(bytes(16), 8, 16, { id: 1 }));
    expect(payloads()).toEqual([bytes(16)]);
  });
});

describe('with several cores', () => {
  it('a segment that is put together on the core without the connection is dropped', () => {
    const { net, clock, tcp, udp } = fixture;
    // Of two cores this is the first; an odd port of the peer leads to the second.
    const first: typeof net.core = Object.create(net.core, {
      count: { value: 2 },
      rssCoreForPorts: { value: (_source: number, _destination: number, port: number) => port & 1 },
    });
    const own = new Ip(first, clock);
    own.register(6, tcp);
    own.register(UDP, udp);
    for (const protocol of [6, UDP]) {
      for (const port of [8, 9]) {
        const payload = [0, port, 0, 80, ...bytes(28)];
        for (const [from, to] of [
          [0, 16],
          [16, 32],
        ] as const) {
          net.inject(Uint8Array.from(fragment(payload, from, to, { protocol, id: port })));
          for (let count = net.core.getRxCount(); count > 0; count--) own.input(net.core.getBufferRx()!);
        }
      }
    }
    expect(tcp.received.map(({ payload }) => payload[1])).toEqual([8]);
    expect(udp.received.map(({ payload }) => payload[1])).toEqual([8, 9]);
    expect(own.report()).toMatchObject({ ip_frag_reassembled: 4, ip_drop_frag_core: 1 });
  });
});

/** Cuts a payload at multiples of 8. */
const datagramOf = fc
  .record({
    length: fc.integer({ min: 9, max: 400 }),
    first: fc.nat(255),
    cuts: fc.array(fc.nat(49), { maxLength: 8 }),
  })
  .map(({ length, first, cuts }) => {
    const inside = [...new Set(cuts.map((cut) => cut * 8).filter((cut) => cut > 0 && cut < length))].sort(
      (a, b) => a - b,
    );
    if (inside.length === 0) inside.push(8);
    const ends = [...inside, length];
    return { payload: bytes(length, first), parts: [0, ...inside].map((from, i) => [from, ends[i]!] as const) };
  });

describe('any fragments', () => {
  it('are put together as a plain model does it, in any order, with any duplicates', async () => {
    const cases = fc.record({
      datagrams: fc.array(datagramOf, { minLength: 1, maxLength: 4 }),
      order: fc.infiniteStream(fc.nat()),
      extra: fc.nat(6),
    });
    const many = await openIp({ datagrams: 4 });
    let id = 0;
    fc.assert(
      fc.property(cases, ({ datagrams, order, extra }) => {
        many.udp.received.length = 0;
        const base = id & 0xffff;
        id += datagrams.length;
        const left = datagrams.flatMap(({ payload, parts }, i) =>
          parts.map(([from, to]) => fragment(payload, from, to, { id: (base + i) & 0xffff })),
        );
        const sent = left.slice();
        const random = (below: number): number => order.next().value! % below;
        const again: number[][] = [];
        const arrived = new Set<number[]>();
        const expected: number[][] = [];
        const isWhole = (i: number): boolean =>
          sent.filter((packet) => idOf(packet) === ((base + i) & 0xffff)).every((packet) => arrived.has(packet));
        while (left.length > 0) {
          // Only of a datagram that is not whole yet: a duplicate that is late begins a new one.
          const repeat = again.length < extra && arrived.size > 0 && random(3) === 0;
          const open = [...arrived].filter((packet) => !isWhole((idOf(packet) - base) & 0xffff));
          if (repeat && open.length > 0) {
            const packet = open[random(open.length)]!;
            again.push(packet);
            many.exchange(packet);
            continue;
          }
          const [packet] = left.splice(random(left.length), 1);
          many.exchange(packet!);
          arrived.add(packet!);
          const i = (idOf(packet!) - base) & 0xffff;
          if (isWhole(i)) expected.push(datagrams[i]!.payload);
        }
        expect(many.udp.received.map(({ payload }) => payload)).toEqual(expected);
        expect(expected).toHaveLength(datagrams.length);
        expect(many.net.held).toBe(0);
        // Nothing is kept of a datagram that is whole.
        expect(many.ip.msToNext(many.clock.ms)).toBe(Number.POSITIVE_INFINITY);
      }),
      { numRuns: 100 },
    );
    await many.net.stop();
  });
});

const idOf = (packet: number[]): number => (packet[4]! << 8) | packet[5]!;
