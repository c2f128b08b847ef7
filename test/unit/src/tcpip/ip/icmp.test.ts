/** ICMP (RFC 792; RFC 1122, 3.2.2): errors that come, and errors that may be sent. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IcmpLimits } from '../../../../../src/tcpip/ip/icmp-limits.js';
import { icmpEcho, ipv4, naiveChecksum, OUR_IP, PEER_IP } from '../../../../support/link/frames.js';
import { type IcmpErrorFields, icmpError } from '../../../../support/tcpip/icmp-error.js';
import { type IpFixture, openIp, seededRandom } from '../../../../support/tcpip/ip-fixture.js';

let fixture: IpFixture;

beforeEach(async () => {
  const neighbours = { [PEER_IP]: '02:00:0a:00:00:02' };
  fixture = await openIp({}, { acceptBroadcast: true, acceptMulticast: true, neighbours });
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

/** The beginning of a packet that we have sent. */
const ours = (length = 28, fields = {}): number[] =>
  ipv4([0, 80, 0, 7, 1, 2, 3, 4], {
    source: OUR_IP,
    destination: PEER_IP,
    protocol: 6,
    totalLength: length,
    ...fields,
  });

describe('a received error', () => {
  // Clauses: 1122-3.2.2c, 1122-3.2.2.1b, 1122-3.2.2.4a, 1122-3.2.2.5b
  it.each([
    [3, 0],
    [3, 1],
    [3, 3],
    [3, 13],
    [11, 0],
    [11, 1],
    [12, 0],
  ])('of type %i, code %i goes to the protocol of the packet that it quotes', (type, code) => {
    fixture.exchange(icmpError(ours(), { type, code }), icmpError(ours(28, { protocol: 17 }), { type, code }));
    expect(fixture.tcp.errors).toEqual([{ type, code, mtu: 0, quoted: ours() }]);
    expect(fixture.udp.errors).toHaveLength(1);
    expect(fixture.counted()).toMatchObject({ icmp_rx: 2, icmp_rx_errors: 2 });
  });

  it('tells the MTU, or it follows from the length of the packet (RFC 1191, 5)', () => {
    fixture.exchange(icmpError(ours(1500), { code: 4, mtu: 1400 }), icmpError(ours(1500), { code: 4 }));
    fixture.exchange(icmpError(ours(1492), { code: 4 }), icmpError(ours(1500), { code: 3, mtu: 1400 }));
    expect(fixture.tcp.errors.map(({ mtu }) => mtu)).toEqual([1400, 1492, 1006, 0]);
    // Only TCP knows whether it is true.
    expect(fixture.counted().ip_pmtu_reduced).toBeUndefined();
  });

  it('about a packet with options goes on with all that is quoted', () => {
    const quoted = [...ours(40, { options: [1, 1, 1, 0] }), 9, 9];
    fixture.exchange(icmpError(quoted));
    expect(fixture.tcp.errors).toMatchObject([{ quoted }]);
  });

  it.each<[string, number[], IcmpErrorFields?]>([
    ['another sender', ipv4([0, 80, 0, 7, 1, 2, 3, 4], { protocol: 6, source: '10.0.0.7' })],
    ['another IP version', ipv4([0, 80, 0, 7, 1, 2, 3, 4], { protocol: 6, source: OUR_IP, version: 6 })],
    ['a header length below 20', ipv4([0, 80, 0, 7, 1, 2, 3, 4], { source: OUR_IP, headerWords: 4 })],
    ['a header length beyond the quote', ipv4([0, 80, 0, 7, 1, 2, 3, 4], { source: OUR_IP, headerWords: 6 })],
    ['fewer than 8 bytes of payload', ours().slice(0, 27)],
    ['half a header', ours().slice(0, 10)],
    ['a later fragment', ours(28, { fragment: 1 })],
  ])('that quotes %s is dropped', (_, quoted) => {
    fixture.exchange(icmpError(quoted));
    expect([...fixture.tcp.errors, ...fixture.udp.errors]).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_quote: 1 });
  });

  it('about a protocol that nobody speaks is dropped', () => {
    fixture.exchange(icmpError(ours(28, { protocol: 1 })));
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_protocol: 1 });
  });

  it('with a wrong checksum, or to a group, is dropped', () => {
    const wrong = icmpError(ours());
    wrong[40]! ^= 1;
    fixture.exchange(wrong, icmpError(ours(), { destination: '10.0.0.255' }));
    expect(fixture.tcp.errors).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 2, icmp_rx: 2, icmp_drop_malformed: 1, icmp_drop_broadcast: 1 });
  });
});

describe('a message', () => {
  // Clauses: 1122-3.2.2a, 1122-3.2.2.7a, 1122-3.2.2.9a
  it.each([
    ['echo reply', 0],
    ['source quench', 4],
    ['redirect', 5],
    ['timestamp', 13],
    ['address mask', 17],
    ['unknown', 99],
  ])('that is not used here is counted: %s', (_, type) => {
    expect(fixture.exchange(icmpError(ours(), { type }))).toEqual([]);
    expect(fixture.tcp.errors).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_type: 1 });
  });

  it.each([0, 4, 7])('of %i bytes is too short', (length) => {
    fixture.exchange(ipv4(icmpEcho([]).slice(0, length), { protocol: 1 }));
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_malformed: 1 });
  });
});

describe('a sent error', () => {
  const unknown = (fields = {}): number[] => ipv4([1, 2, 3, 4, 5, 6, 7, 8], { protocol: 99, ...fields });

  it('quotes what fits into 576 bytes, and may be fragmented', () => {
    const packet = ipv4(new Array<number>(1400).fill(7), { protocol: 99 });
    const [answer] = fixture.exchange(packet);
    expect(answer).toHaveLength(576);
    expect(naiveChecksum(answer!.subarray(20))).toBe(0);
    expect([...answer!.subarray(20, 28)]).toEqual([3, 2, answer![22], answer![23], 0, 0, 0, 0]);
    expect([...answer!.subarray(28)]).toEqual(packet.slice(0, 548));
    expect([answer![1], answer![6]]).toEqual([0xc0, 0]);
  });

  // Clauses: 1122-3.2.2e
  it.each([
    ['a broadcast', unknown({ destination: '10.0.0.255' })],
    ['the limited broadcast', unknown({ destination: '255.255.255.255' })],
    ['a multicast', unknown({ destination: '224.0.0.1' })],
  ])('is never about %s', (_, packet) => {
    expect(fixture.exchange(packet)).toEqual([]);
    expect(fixture.counted()).toMatchObject({ ip_drop_protocol: 1, icmp_tx_forbidden: 1 });
  });

  // Clauses: 1122-3.2.2e
  it.each(['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '10.0.0.255'])(
    'never goes to %s',
    (source) => {
      const { core } = fixture.net;
      const buffer = core.getBufferTx()!;
      core.memory.u8.set(unknown({ source }), buffer.offset);
      fixture.ip.sendError(3, 2, core.memory, buffer.offset);
      core.release(buffer);
      expect(fixture.net.sent()).toEqual([]);
      expect(fixture.counted()).toEqual({ icmp_tx_forbidden: 1 });
    },
  );

  // Clauses: 1122-3.2.2e
  it('is never about an error, nor about a fragment other than the first', () => {
    const { core } = fixture.net;
    const buffer = core.getBufferTx()!;
    const tell = (packet: number[]): number => {
      core.memory.u8.set(packet, buffer.offset);
      fixture.ip.sendError(11, 1, core.memory, buffer.offset);
      return fixture.net.sent().length;
    };
    expect(tell(icmpError(ours(), { source: PEER_IP }))).toBe(0);
    expect(tell(unknown({ fragment: 1 }))).toBe(0);
    expect(tell(ipv4([], { protocol: 1 }))).toBe(0);
    expect(fixture.counted()).toEqual({ icmp_tx_forbidden: 3 });
    expect(tell(unknown({ fragment: 0x2000 }))).toBe(1);
    expect(tell(ipv4(icmpEcho([1]), { protocol: 1 }))).toBe(1);
    core.release(buffer);
  });

  it('is sent six times at once to a destination, and then once per second', () => {
    const packets = new Array<number[]>(8).fill(unknown());
    expect(fixture.exchange(...packets)).toHaveLength(6);
    expect(fixture.counted()).toMatchObject({ icmp_tx_errors: 6, icmp_tx_limited: 2 });
    fixture.pass(999);
    expect(fixture.exchange(unknown())).toHaveLength(0);
    fixture.pass(1);
    expect(fixture.exchange(unknown(), unknown())).toHaveLength(1);
    fixture.pass(60_000);
    expect(fixture.exchange(...packets)).toHaveLength(6);
  });

  it('waits for no limit when it is an echo reply', () => {
    const echoes = new Array<number[]>(200).fill(ipv4(icmpEcho([1]), { protocol: 1 }));
    expect(fixture.exchange(...echoes)).toHaveLength(200);
  });
});

describe('the limit for all destinations', () => {
  const allowed = (limits: IcmpLimits, first: number, count: number, ms: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) if (limits.allow((first + i) * 0x10001, ms)) sum++;
    return sum;
  };

  it('is 50 at once, of which chance takes some', () => {
    const sums = [1, 2, 3, 4, 5].map((seed) => allowed(new IcmpLimits(seededRandom(seed), 0), 1, 500, 0));
    for (const sum of sums) {
      expect(sum).toBeGreaterThanOrEqual(17);
      expect(sum).toBeLessThanOrEqual(50);
    }
    expect(new Set(sums).size).toBeGreaterThan(1);
  });

  it.each([0, 2 ** 31 - 2000])('is at most 1000 per second after that (from %i ms)', (start) => {
    const limits = new IcmpLimits(seededRandom(1), start | 0);
    allowed(limits, 1, 500, start | 0);
    let sum = 0;
    for (let ms = 1; ms <= 5000; ms++) sum += allowed(limits, ms * 8, 8, (start + ms) | 0);
    expect(sum).toBeLessThanOrEqual(5050);
    expect(sum).toBeGreaterThan(1600);
  });
});
