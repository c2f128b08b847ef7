/**
 * The way to a neighbour: which addresses are asked for, what waits meanwhile, how long an answer is valid, and what
 * needs no answer.
 */
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import {
  arp,
  arpReply,
  arpRequest,
  BROADCAST,
  OUR_IP,
  OUR_MAC,
  PEER_IP,
  PEER_MAC,
} from '../../../../support/link/frames.js';
import {
  arpsOf,
  countersOf,
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetsOf,
  packetTo,
  receive,
  type TestCore,
} from '../../../../support/link/test-core.js';

describe('resolving', () => {
  it('asks, parks, and sends in order when the answer comes', () => {
    const t = makeCore();
    for (let n = 0; n < 3; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
    t.core.flush();
    expect(t.device.frames).toEqual([arpRequest(PEER_IP)]);
    expect(t.core.held().parked).toBe(3);
    expectNoBufferLost(t);
    receive(t, arpReply());
    expect(packetsOf(t).map((frame) => frame[34])).toEqual([0, 1, 2]);
    expect([...packetsOf(t)[0]!.subarray(0, 14)]).toEqual([...PEER_MAC, ...OUR_MAC, 8, 0]);
    expect(t.core.counters()).toMatchObject({ tx_parked: 3, tx_queued: 3, arp_learned: 1, arp_requests: 1 });
    expectNoBufferLost(t);
  });

  it('takes a request from the neighbour as an answer, too', () => {
    const t = makeCore();
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    receive(t, arp({ targetIp: '10.0.0.77' }));
    expect(packetsOf(t)).toHaveLength(1);
  });

  it('asks after 1 s and 2 s, and 4 s later drops and counts the packets', () => {
    const t = makeCore();
    const askedAt: number[] = [];
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    for (let ms = 0; ms <= 9000; ms += 100) {
      if (arpsOf(t).length > askedAt.length) askedAt.push(ms);
      t.pass(100);
    }
    expect(askedAt).toEqual([0, 1000, 3000]);
    expect(arpsOf(t)).toEqual([arpRequest(PEER_IP), arpRequest(PEER_IP), arpRequest(PEER_IP)]);
    expect(t.core.counters()).toMatchObject({ arp_gave_up: 1, tx_drop_unresolved: 2 });
    expectNoBufferLost(t);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(arpsOf(t)).toHaveLength(4);
  });

  it('parks 96 packets per neighbour, the latest ones, and counts the rest', () => {
    const t = makeCore();
    for (let n = 0; n < 99; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
    expect(t.core.held().parked).toBe(96);
    receive(t, arpReply());
    expect(packetsOf(t).map((frame) => frame[34])).toEqual(Array.from({ length: 96 }, (_, i) => i + 3));
    expect(t.core.counters().tx_drop_park_full).toBe(3);
    expectNoBufferLost(t);
  });

  it('asks for 64 neighbours and parks 128 packets: a new one replaces the oldest', () => {
    const t = makeCore({}, { buffers: 256 });
    for (let n = 0; n < 70; n++) t.core.addBufferToRing(packetTo(t.core, `10.0.0.${100 + n}`));
    expect(t.core.held().parked).toBe(64);
    expect(t.core.counters()).toMatchObject({ tx_parked: 64, arp_requests: 64 });
    expect(t.core.counters()).toMatchObject({ tx_drop_neighbours_full: 6, arp_limited: 6, tx_drop_park_full: 0 });
    for (let n = 0; n < 64; n++) t.core.addBufferToRing(packetTo(t.core, `10.0.0.${110 + (n % 32)}`));
    expect(t.core.held().parked).toBe(128);
    t.pass(10);
    for (let n = 0; n < 12; n++) t.core.addBufferToRing(packetTo(t.core, `10.0.0.${200 + n}`));
    expect(t.core.counters()).toMatchObject({ arp_requests: 74, tx_drop_neighbours_full: 8, tx_drop_park_full: 10 });
    // 10.0.0.100 is asked for, but its packet had to go: another packet replaces none of another neighbour.
    t.core.addBufferToRing(packetTo(t.core, '10.0.0.100'));
    expect(t.core.counters()).toMatchObject({ arp_requests: 74, tx_drop_park_full: 11 });
    // Within the places of one neighbour the latest packet stays.
    t.core.addBufferToRing(packetTo(t.core, '10.0.0.200', [7]));
    receive(t, arpReply('10.0.0.200'));
    expect(packetsOf(t).map((frame) => frame[34])).toEqual([7]);
    t.pass(8000);
    expect(t.core.counters()).toMatchObject({ tx_drop_unresolved: 127, tx_drop_park_full: 12, arp_gave_up: 73 });
    expect(t.core.held().parked).toBe(0);
    expectNoBufferLost(t);
  });

  it('asks for 256 neighbours at a time: one more replaces the one that waited longest', () => {
    const t = makeCore({ prefixLength: 8 }, { buffers: 256 });
    for (let n = 0; n < 300; n++) {
      t.core.addBufferToRing(packetTo(t.core, `10.1.${n >>> 8}.${n & 255}`));
      t.pass(1);
    }
    expect(t.core.counters()).toMatchObject({ arp_requests: 300, arp_replaced: 44, tx_drop_neighbours_full: 0 });
    receive(t, arpReply('10.1.0.43'), arpReply('10.1.0.44'));
    expect(t.core.counters()).toMatchObject({ arp_unsolicited: 1, arp_learned: 1 });
    t.pass(8000);
    expect(t.core.counters()).toMatchObject({ arp_gave_up: 255, arp_replaced: 44 });
    expect(t.core.held().parked).toBe(0);
    expectNoBufferLost(t);
  });

  it('drops and counts when the table holds only static entries', () => {
    const stations = Array.from({ length: 1024 }, (_, n) => [0x0a030000 + n, Uint8Array.from(PEER_MAC)] as const);
    const t = makeCore({ prefixLength: 8, neighbours: new Map(stations) });
    expect(t.core.addBufferToRing(packetTo(t.core, PEER_IP))).toBe(true);
    expect(t.core.counters()).toMatchObject({ tx_drop_neighbours_full: 1, arp_requests: 0 });
    expectNoBufferLost(t);
  });

  it('counts a request that the ring had no room for', () => {
    const t = makeCore({}, { txRing: 1, holdTx: true });
    learnPeer(t);
    for (let n = 0; n < 32; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.addBufferToRing(packetTo(t.core, '10.0.0.3'));
    expect(t.core.counters()).toMatchObject({ arp_ring_full: 1, arp_requests: 0, tx_parked: 1 });
    expectNoBufferLost(t);
  });

  it('counts a request that no buffer was free for, and asks again later', () => {
    const t = makeCore({}, { buffers: 64 });
    const buffer = packetTo(t.core, PEER_IP);
    const taken: number[] = [];
    for (let handle = t.device.pool.get(); handle !== -1; handle = t.device.pool.get()) taken.push(handle);
    t.core.addBufferToRing(buffer);
    expect(t.core.counters()).toMatchObject({ arp_no_buffer: 1, arp_requests: 0 });
    for (const handle of taken) t.device.pool.put(handle);
    t.pass(1000);
    expect(arpsOf(t)).toEqual([arpRequest(PEER_IP)]);
    expectNoBufferLost(t);
  });

  it('drops and counts what the ring has no room for when the answer comes', () => {
    const t = makeCore({}, { txRing: 1, holdTx: true });
    learnPeer(t, '10.0.0.3');
    for (let n = 0; n < 8; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    for (let n = 0; n < 28; n++) t.core.addBufferToRing(packetTo(t.core, '10.0.0.3'));
    receive(t, arpReply());
    expect(t.core.counters().tx_drop_ring_full).toBe(5);
    expectNoBufferLost(t);
  });
});

describe('ageing', () => {
  /** Sends a packet to the peer every 100 ms for `ms`. */
  function talk(t: TestCore, ms: number): void {
    for (let end = t.time.now + ms; t.time.now < end; ) {
      t.core.addBufferToRing(packetTo(t.core, PEER_IP));
      t.core.flush();
      t.pass(100);
    }
  }

  it('asks a neighbour in use again by unicast after 30 s, and goes on sending', () => {
    const t = makeCore();
    learnPeer(t);
    talk(t, 29_000);
    expect(arpsOf(t)).toEqual([]);
    talk(t, 2500);
    expect(arpsOf(t)[0]).toEqual(arpRequest(PEER_IP, PEER_MAC));
    expect(t.core.held().parked).toBe(0);
    receive(t, arpReply());
    const asked = arpsOf(t).length;
    talk(t, 25_000);
    expect(arpsOf(t)).toHaveLength(asked);
    expect(t.core.counters()).toMatchObject({ arp_confirmed: 1, tx_parked: 0 });
  });

  it('asks twice by unicast and once by broadcast, and then forgets the neighbour', () => {
    const t = makeCore();
    learnPeer(t);
    t.pass(31_000);
    talk(t, 3500);
    const expected = [
      arpRequest(PEER_IP, PEER_MAC),
      arpRequest(PEER_IP, PEER_MAC),
      arpRequest(PEER_IP),
      arpRequest(PEER_IP),
    ];
    expect(arpsOf(t)).toEqual(expected);
    expect(t.core.counters().arp_gave_up).toBe(1);
    expect(t.core.held().parked).toBeGreaterThan(0);
  });

  it('does not ask for neighbours out of use, and forgets them after 10 minutes', () => {
    const t = makeCore();
    learnPeer(t);
    t.pass(599_000);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(packetsOf(t)).toHaveLength(1);
    receive(t, arpReply());
    t.device.frames.length = 0;
    t.pass(602_000);
    expect(t.device.frames).toEqual([]);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames).toEqual([arpRequest(PEER_IP)]);
  });
});

describe('next hop', () => {
  const destinationsOf = (t: TestCore): number[][] => packetsOf(t).map((frame) => [...frame.subarray(0, 6)]);

  it('is the MAC address that packets to an address are sent to, once it is known', () => {
    const t = makeCore({ gateway: parseIpv4('10.0.0.3') });
    const macOf = (ip: string): number[] | null => {
      const mac = t.core.nextHopMac(parseIpv4(ip));
      return mac && [...mac];
    };
    expect(macOf(PEER_IP)).toBeNull();
    expect(macOf('8.8.8.8')).toBeNull();
    learnPeer(t);
    learnPeer(t, '10.0.0.3');
    expect(macOf(PEER_IP)).toEqual(PEER_MAC);
    expect(macOf('200.8.8.8')).toEqual(PEER_MAC);
    expect([macOf(OUR_IP), macOf('10.0.0.255'), macOf('127.0.0.1')]).toEqual([null, null, null]);
    expect(makeCore().core.nextHopMac(parseIpv4('8.8.8.8'))).toBeNull();
  });

  // Clauses: 1122-3.3.1.1a, 1122-3.3.1.2a, 1122-3.2.1.3d
  it('is the gateway for an address that is not on the link', () => {
    const t = makeCore({ gateway: parseIpv4(PEER_IP) });
    learnPeer(t);
    t.core.addBufferToRing(packetTo(t.core, '8.8.8.8'));
    t.core.flush();
    expect(destinationsOf(t)).toEqual([PEER_MAC]);
  });

  it('is asked for as the gateway, not as the destination', () => {
    const t = makeCore({ gateway: parseIpv4(PEER_IP) });
    t.core.addBufferToRing(packetTo(t.core, '8.8.8.8'));
    t.core.flush();
    expect(t.device.frames).toEqual([arpRequest(PEER_IP)]);
  });

  // Clauses: 1122-3.3.6b
  it('is computed for broadcast and multicast (RFC 1112)', () => {
    const t = makeCore();
    for (const ip of ['255.255.255.255', '10.0.0.255', '224.0.0.251', '239.129.2.3']) {
      t.core.addBufferToRing(packetTo(t.core, ip));
    }
    t.core.flush();
    expect(destinationsOf(t)).toEqual([BROADCAST, BROADCAST, [1, 0, 0x5e, 0, 0, 251], [1, 0, 0x5e, 1, 2, 3]]);
  });

  it.each([
    ['8.8.8.8', 'tx_drop_no_route'],
    ['0.0.0.0', 'tx_drop_no_route'],
    ['127.0.0.1', 'tx_drop_no_route'],
    ['240.0.0.1', 'tx_drop_no_route'],
    [OUR_IP, 'tx_drop_to_self'],
  ])('drops and counts a packet to %s without gateway: %s', (ip, counter) => {
    const t = makeCore();
    expect(t.core.addBufferToRing(packetTo(t.core, ip))).toBe(true);
    t.core.flush();
    expect(t.device.frames).toEqual([]);
    expect(countersOf(t)[counter]).toBe(1);
    expectNoBufferLost(t);
  });
});
