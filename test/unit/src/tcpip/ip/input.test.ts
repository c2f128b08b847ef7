/** What IP accepts, whom it hands it to, and what it drops: RFC 791 and RFC 1122, 3.2.1. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import { icmpEcho, ipv4, OUR_IP, PEER_IP } from '../../../../support/link/frames.js';
import { type IpFixture, openIp } from '../../../../support/tcpip/ip-fixture.js';

let fixture: IpFixture;

beforeEach(async () => {
  fixture = await openIp({}, { acceptBroadcast: true, acceptMulticast: true });
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

describe('a received packet', () => {
  // Clauses: 1122-3.1a
  it('goes to the protocol that it is for', () => {
    fixture.exchange(ipv4([1, 2, 3], { protocol: 6 }), ipv4([4], { protocol: 17 }));
    expect(fixture.tcp.received).toMatchObject([{ payload: [1, 2, 3], toUs: true }]);
    expect(fixture.udp.received).toMatchObject([{ payload: [4], toUs: true }]);
    expect(fixture.counted()).toEqual({ ip_rx: 2 });
  });

  // Clauses: 1122-3.2.1.7b
  it('may be empty, and may have a time to live of 0', () => {
    fixture.exchange(ipv4([], { protocol: 6, ttl: 0 }));
    expect(fixture.tcp.received).toMatchObject([{ payload: [] }]);
  });

  it('is not handed on with padding of the link', () => {
    fixture.exchange([...ipv4([9], { protocol: 6 }), 0xaa, 0xaa]);
    expect(fixture.tcp.received).toMatchObject([{ payload: [9] }]);
  });

  it('to a broadcast or multicast address is marked as such', () => {
    for (const destination of ['255.255.255.255', '10.0.0.255', '224.0.0.1']) {
      fixture.exchange(ipv4([1], { protocol: 17, destination }));
    }
    expect(fixture.udp.received.map(({ toUs }) => toUs)).toEqual([false, false, false]);
  });

  // Clauses: 1122-3.2.1.2a, 1122-3.1b
  it('with a wrong header checksum is dropped', () => {
    const packet = ipv4([1], { protocol: 6 });
    packet[10]! ^= 1;
    expect(fixture.exchange(packet)).toEqual([]);
    expect(fixture.tcp.received).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_drop_header: 1 });
  });

  // Clauses: 1122-3.2.2.1a, 1122-3.2.2b
  it('of a protocol that nobody speaks is answered', () => {
    const packet = ipv4([...Array(40).keys()], { protocol: 99 });
    const [answer] = fixture.exchange(packet);
    expect([...answer!.subarray(20, 22)]).toEqual([3, 2]);
    expect([...answer!.subarray(28)]).toEqual(packet);
    expect(fixture.counted()).toMatchObject({ ip_drop_protocol: 1, icmp_tx_errors: 1 });
  });
});

describe('IP options', () => {
  // Clauses: MUST-50, 1122-3.2.1.8c
  it.each([
    ['none that matter', [1, 1, 1, 0]],
    ['unknown ones', [0x5e, 4, 7, 7]],
    ['a timestamp', [68, 8, 5, 0, 0, 0, 0, 0]],
    ['nothing after their end', [0, 131, 0, 0]],
  ])('are skipped: %s', (_, options) => {
    fixture.exchange(ipv4([1, 2], { protocol: 6, options }));
    expect(fixture.tcp.received).toMatchObject([{ payload: [1, 2] }]);
    expect(fixture.tcp.received[0]!.header).toHaveLength(20 + options.length);
  });

  it.each([
    ['loose', 131],
    ['strict', 137],
  ])('with a %s source route are refused', (_, kind) => {
    fixture.exchange(ipv4([1], { protocol: 6, options: [1, kind, 7, 4, 10, 0, 0, 1] }));
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_drop_source_route: 1 });
  });

  it.each([
    ['of length 0', [7, 0, 0, 0]],
    ['of length 1', [7, 1, 0, 0]],
    ['beyond the header', [7, 5, 0, 0]],
    ['without a length', [1, 1, 1, 7]],
  ])('that are %s are refused', (_, options) => {
    fixture.exchange(ipv4([1], { protocol: 6, options }));
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_drop_options: 1 });
  });
});

describe('a sent packet', () => {
  const peer = parseIpv4(PEER_IP) | 0;

  // Clauses: 1122-3.2.1.3a, 1122-3.2.1.6a, 1122-3.2.1.7a
  it('has the header that its protocol asks for', () => {
    const { ip, net } = fixture;
    const buffer = ip.begin()!;
    net.core.memory.u8.set([5, 6, 7], buffer.offset + 20);
    expect(ip.send(buffer, 6, peer, 3, 2)).toBe(true);
    const [packet] = net.sent();
    const expected = ipv4([5, 6, 7], { source: OUR_IP, destination: PEER_IP, protocol: 6, ttl: 64, fragment: 0x4000 });
    const same = (at: number): boolean => ![1, 4, 5, 10, 11].includes(at);
    expect([...packet!].filter((_, at) => same(at))).toEqual(expected.filter((_, at) => same(at)));
    expect(packet![1]).toBe(2);
    // Its own receiver accepts it.
    packet!.set(packet!.slice(12, 16), 16);
    packet!.set([10, 0, 0, 2], 12);
    fixture.exchange(packet!);
    expect(fixture.tcp.received).toMatchObject([{ payload: [5, 6, 7] }]);
  });

  it('is counted when no buffer is free, and when the ring is full', async () => {
    const neighbours = { [PEER_IP]: '02:00:0a:00:00:02' };
    const full = await openIp({}, { neighbours, device: { txRing: 2, holdTx: true, buffers: 64 } });
    const { ip, net } = full;
    const buffers = [];
    for (let buffer = ip.begin(); buffer !== null; buffer = ip.begin()) buffers.push(buffer);
    expect(full.counted()).toEqual({ ip_tx_no_buffer: 1 });
    const sent = buffers.filter((buffer) => ip.send(buffer, 6, peer, 1)).length;
    expect(full.counted()).toMatchObject({ ip_tx: sent, ip_tx_ring_full: buffers.length - sent });
    expect(net.held).toBe(0);
    await net.stop();
  });
});

describe('an echo request', () => {
  // Clauses: 1122-3.2.2.6a, 1122-3.3.4.2a
  it('is answered with its bytes', () => {
    const [reply] = fixture.exchange(ipv4(icmpEcho([1, 2, 3]), { protocol: 1 }));
    expect([...reply!.subarray(12, 20)]).toEqual([10, 0, 0, 1, 10, 0, 0, 2]);
    expect([...reply!.subarray(20)]).toEqual(icmpEcho([1, 2, 3], 0));
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_tx: 1, icmp_rx: 1, icmp_echo_replies: 1 });
  });

  it('with IP options is answered without them', () => {
    const [reply] = fixture.exchange(ipv4(icmpEcho([8]), { protocol: 1, options: [7, 7, 4, 0, 0, 0, 0, 0] }));
    expect(reply![0]).toBe(0x45);
    expect([...reply!.subarray(20)]).toEqual(icmpEcho([8], 0));
  });

  it.each(['10.0.0.255', '224.0.0.1'])('to %s is not answered', (destination) => {
    expect(fixture.exchange(ipv4(icmpEcho([1]), { protocol: 1, destination }))).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_broadcast: 1 });
  });

  it('with a wrong checksum is not answered', () => {
    const message = icmpEcho([1]);
    message[2]! ^= 0x40;
    expect(fixture.exchange(ipv4(message, { protocol: 1 }))).toEqual([]);
    expect(fixture.counted()).toEqual({ ip_rx: 1, icmp_rx: 1, icmp_drop_malformed: 1 });
  });
});

it('a protocol other than TCP and UDP cannot be registered', () => {
  expect(() => fixture.ip.register(1, fixture.tcp)).toThrow(/protocol 1 is neither TCP/);
});
