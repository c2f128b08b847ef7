import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../src/wire/address.js';
import { expectNoBufferLost, learnPeer, makeCore, packetTo, type TestCore } from '../support/core.js';
import { arp, BROADCAST, ethernet, OTHER_MAC, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC } from '../support/frames.js';

const ZERO_MAC = [0, 0, 0, 0, 0, 0];

/** The frames are handled, what they cause is sent. */
function receive(t: TestCore, ...frames: Uint8Array[]): void {
  for (const frame of frames) t.device.inject(frame);
  t.core.getRxCount();
  t.core.flush();
}

const isArp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 6;
const arpsOf = ({ device }: TestCore): Uint8Array[] => device.frames.filter(isArp);
const packetsOf = ({ device }: TestCore): Uint8Array[] => device.frames.filter((frame) => !isArp(frame));
const request = (ip: string, destination = BROADCAST): Uint8Array =>
  arp({ senderMac: OUR_MAC, senderIp: OUR_IP, targetMac: ZERO_MAC, targetIp: ip, destination });
const reply = (ip = PEER_IP, mac = PEER_MAC): Uint8Array =>
  arp({ operation: 2, senderMac: mac, senderIp: ip, targetMac: OUR_MAC });

describe('answering', () => {
  it('answers a request for our address to who asked', () => {
    const t = makeCore();
    receive(t, arp());
    const answer = { operation: 2, senderMac: OUR_MAC, senderIp: OUR_IP, targetMac: PEER_MAC, targetIp: PEER_IP };
    expect(t.device.frames).toEqual([arp({ ...answer, destination: PEER_MAC })]);
    expect(t.core.counters()).toMatchObject({ rx_arp: 1, arp_answered: 1, arp_learned: 1 });
    expectNoBufferLost(t);
  });

  it('answers even when no buffer is free', () => {
    const t = makeCore({}, { buffers: 64, holdTx: true });
    t.device.inject(arp());
    while (t.device.pool.get() !== -1);
    t.core.getRxCount();
    expect(t.device.frames).toHaveLength(1);
  });

  it('answers a probe, so that the prober learns that the address is taken (RFC 5227), and learns nothing', () => {
    const t = makeCore();
    receive(t, arp({ senderIp: '0.0.0.0' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0, arp_malformed: 0 });
  });

  it('learns nothing from a probe even where every address is on the link', () => {
    const t = makeCore({ prefixLength: 0 });
    receive(t, arp({ senderIp: '0.0.0.0' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0 });
  });

  it('answers who is not on our link, and does not learn it', () => {
    const t = makeCore();
    receive(t, arp({ senderIp: '192.168.9.9' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0 });
  });

  it('counts when the ring is full', () => {
    const t = makeCore({}, { txRing: 1, holdTx: true });
    for (let i = 0; i < 64; i++) receive(t, arp());
    const { arp_answered, arp_ring_full } = t.core.counters();
    expect([arp_answered, arp_ring_full]).toEqual([33, 31]);
    expectNoBufferLost(t);
  });

  it('leaves requests for others alone', () => {
    const t = makeCore();
    receive(t, arp({ targetIp: '10.0.0.9' }));
    expect(t.device.frames).toEqual([]);
    expect(t.core.counters()).toMatchObject({ arp_not_for_us: 1, arp_learned: 0 });
  });
});

describe('resolving', () => {
  it('asks, parks, and sends in order when the answer comes', () => {
    const t = makeCore();
    for (let n = 0; n < 3; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
    t.core.flush();
    expect(t.device.frames).toEqual([request(PEER_IP)]);
    expect(t.core.held().parked).toBe(3);
    expectNoBufferLost(t);
    receive(t, reply());
    expect(packetsOf(t).map((frame) => frame[34])).toEqual([0, 1, 2]);
    expect([...packetsOf(t)[0]!.subarray(0, 14)]).toEqual([...PEER_MAC, ...OUR_MAC, 8, 0]);
    expect(t.core.counters()).toMatchObject({ tx_parked: 3, tx_queued: 3, arp_learned: 1, arp_requests: 1 });
    expectNoBufferLost(t);
  });

  it('takes a request from the neighbour for an answer, too', () => {
    const t = makeCore();
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    receive(t, arp({ targetIp: '10.0.0.77' }));
    expect(packetsOf(t)).toHaveLength(1);
  });

  it('asks again after 1 s and 2 s, and gives up after 4 s more: the packets are dropped and counted', () => {
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
    expect(arpsOf(t)).toEqual([request(PEER_IP), request(PEER_IP), request(PEER_IP)]);
    expect(t.core.counters()).toMatchObject({ arp_gave_up: 1, tx_drop_unresolved: 2 });
    expectNoBufferLost(t);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(arpsOf(t)).toHaveLength(4);
  });

  it('parks 8 packets a neighbour, the latest ones, and counts the rest', () => {
    const t = makeCore();
    for (let n = 0; n < 11; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
    expect(t.core.held().parked).toBe(8);
    receive(t, reply());
    expect(packetsOf(t).map((frame) => frame[34])).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(t.core.counters().tx_drop_park_full).toBe(3);
    expectNoBufferLost(t);
  });

  it('parks 64 packets in all', () => {
    const t = makeCore();
    for (let n = 0; n < 70; n++) t.core.addBufferToRing(packetTo(t.core, `10.0.0.${100 + n}`));
    expect(t.core.held().parked).toBe(64);
    expect(t.core.counters()).toMatchObject({ tx_parked: 64, tx_drop_park_full: 6, arp_requests: 70 });
    t.pass(8000);
    expect(t.core.counters().tx_drop_unresolved).toBe(64);
    expectNoBufferLost(t);
  });

  it('makes room for more neighbours than the table holds: who waits longest is given up', () => {
    const t = makeCore({ prefixLength: 8 }, { buffers: 256 });
    for (let n = 0; n < 1024; n++) t.core.addBufferToRing(packetTo(t.core, `10.1.${n >>> 8}.${n & 255}`));
    expect(t.core.counters()).toMatchObject({ tx_parked: 64, tx_drop_unresolved: 0 });
    for (let n = 0; n < 1024; n++) t.core.addBufferToRing(packetTo(t.core, `10.2.${n >>> 8}.${n & 255}`));
    t.core.flush();
    // Evicted neighbours' packets are dropped at once, and made room for others.
    expect(t.core.counters().tx_drop_unresolved).toBeGreaterThan(0);
    expect(t.core.held().parked).toBe(64);
    expectNoBufferLost(t);
    t.pass(8000);
    expect(t.core.held().parked).toBe(0);
    expectNoBufferLost(t);
  });

  it('drops and counts where the table holds static entries only', () => {
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
    expect(arpsOf(t)).toEqual([request(PEER_IP)]);
    expectNoBufferLost(t);
  });

  it('drops and counts what the ring has no room for when the answer comes', () => {
    const t = makeCore({}, { txRing: 1, holdTx: true });
    learnPeer(t, '10.0.0.3');
    for (let n = 0; n < 8; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    for (let n = 0; n < 28; n++) t.core.addBufferToRing(packetTo(t.core, '10.0.0.3'));
    receive(t, reply());
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

  it('asks a neighbour that is talked to again after 30 s, by unicast, and goes on sending', () => {
    const t = makeCore();
    learnPeer(t);
    talk(t, 29_000);
    expect(arpsOf(t)).toEqual([]);
    talk(t, 2500);
    expect(arpsOf(t)[0]).toEqual(request(PEER_IP, PEER_MAC));
    expect(t.core.held().parked).toBe(0);
    receive(t, reply());
    const asked = arpsOf(t).length;
    talk(t, 25_000);
    expect(arpsOf(t)).toHaveLength(asked);
    expect(t.core.counters()).toMatchObject({ arp_confirmed: 1, tx_parked: 0 });
  });

  it('asks twice by unicast, once by broadcast, and then knows it no more', () => {
    const t = makeCore();
    learnPeer(t);
    t.pass(31_000);
    talk(t, 3500);
    const expected = [request(PEER_IP, PEER_MAC), request(PEER_IP, PEER_MAC), request(PEER_IP), request(PEER_IP)];
    expect(arpsOf(t)).toEqual(expected);
    expect(t.core.counters().arp_gave_up).toBe(1);
    expect(t.core.held().parked).toBeGreaterThan(0);
  });

  it('does not ask for neighbours that nobody talks to, and forgets them after 10 minutes', () => {
    const t = makeCore();
    learnPeer(t);
    t.pass(599_000);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(packetsOf(t)).toHaveLength(1);
    receive(t, reply());
    t.device.frames.length = 0;
    t.pass(602_000);
    expect(t.device.frames).toEqual([]);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames).toEqual([request(PEER_IP)]);
  });
});

describe('learning', () => {
  it('follows a known neighbour to another MAC address', () => {
    const t = makeCore();
    learnPeer(t);
    receive(t, arp({ senderMac: OTHER_MAC, targetIp: PEER_IP }));
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect([...packetsOf(t)[0]!.subarray(0, 6)]).toEqual(OTHER_MAC);
    expect(t.core.counters().arp_changed).toBe(1);
  });

  it("does not learn from strangers' announcements and replies", () => {
    const t = makeCore();
    receive(t, arp({ targetIp: PEER_IP }), reply());
    expect(t.core.counters()).toMatchObject({ arp_learned: 0, arp_not_for_us: 1, arp_unsolicited: 1 });
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    expect(t.core.held().parked).toBe(1);
  });

  it('learns no more than the table holds from those who ask, and answers them still', () => {
    const t = makeCore({ prefixLength: 8 });
    for (let n = 0; n < 1030; n++) {
      receive(t, arp({ senderIp: `10.1.${n >>> 8}.${n & 255}` }));
      t.device.frames.length = 0;
    }
    expect(t.core.counters()).toMatchObject({ arp_answered: 1030, arp_learned: 1024, arp_table_full: 6 });
    expectNoBufferLost(t);
  });

  it('keeps static entries whatever is said, and warns once', () => {
    const t = makeCore({ neighbours: new Map([[parseIpv4(PEER_IP), Uint8Array.from(PEER_MAC)]]) });
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    receive(t, reply(), reply(PEER_IP, OTHER_MAC), reply(PEER_IP, OTHER_MAC));
    t.pass(40_000);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames.map((frame) => [...frame.subarray(0, 6)])).toEqual([PEER_MAC, PEER_MAC]);
    expect(t.core.counters()).toMatchObject({ arp_static_mismatch: 2, arp_requests: 0, arp_confirmed: 1 });
    expect(t.warnings).toEqual([expect.stringMatching(/10\.0\.0\.2 says it is at 52:54:00:00:00:03/)]);
  });
});

describe('next hop', () => {
  const destinationsOf = (t: TestCore): number[][] => packetsOf(t).map((frame) => [...frame.subarray(0, 6)]);

  it('sends to the gateway what is not on the link', () => {
    const t = makeCore({ gateway: parseIpv4(PEER_IP) });
    learnPeer(t);
    t.core.addBufferToRing(packetTo(t.core, '8.8.8.8'));
    t.core.flush();
    expect(destinationsOf(t)).toEqual([PEER_MAC]);
  });

  it('asks for the gateway, not for the destination', () => {
    const t = makeCore({ gateway: parseIpv4(PEER_IP) });
    t.core.addBufferToRing(packetTo(t.core, '8.8.8.8'));
    t.core.flush();
    expect(t.device.frames).toEqual([request(PEER_IP)]);
  });

  it('maps broadcast and multicast (RFC 1112)', () => {
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
    expect(t.core.counters()[counter]).toBe(1);
    expectNoBufferLost(t);
  });
});

describe('announcing and conflicts', () => {
  const announcement = request(OUR_IP);

  it('announces our address twice, two seconds apart (RFC 5227)', () => {
    const t = makeCore();
    t.core.announce();
    expect(t.device.frames).toEqual([announcement]);
    t.pass(1900);
    expect(t.device.frames).toHaveLength(1);
    t.pass(20_000);
    expect(t.device.frames).toEqual([announcement, announcement]);
    expect(t.core.counters().arp_announcements).toBe(2);
  });

  it('says nothing with layer ethernet', () => {
    const t = makeCore({ layer: 'ethernet' });
    t.core.announce();
    t.pass(5000);
    expect(t.device.frames).toEqual([]);
  });

  it('is not impressed by its own announcement, reflected', () => {
    const t = makeCore();
    receive(t, announcement);
    expect(t.core.counters()).toMatchObject({ arp_reflected: 1, arp_conflict_ip: 0, arp_conflict_mac: 0 });
    expect(t.warnings).toEqual([]);
  });

  it('notices another station with our IP address: counts, warns now and then, defends once in 10 s', () => {
    const t = makeCore();
    const claim = arp({ senderIp: OUR_IP });
    receive(t, claim, claim, claim);
    expect(t.core.counters()).toMatchObject({ arp_conflict_ip: 3, arp_learned: 0, arp_answered: 0 });
    expect(t.warnings).toEqual([expect.stringMatching(/^10\.0\.0\.1 is also used by the station 52:54:00:00:00:02/)]);
    expect(t.device.frames).toEqual([announcement]);
    t.pass(11_000);
    receive(t, claim);
    expect(t.warnings).toHaveLength(2);
    expect(t.device.frames).toEqual([announcement, announcement]);
    expectNoBufferLost(t);
  });

  it('notices another station with our MAC address', () => {
    const t = makeCore();
    receive(t, arp({ senderMac: OUR_MAC, senderIp: PEER_IP }));
    expect(t.core.counters()).toMatchObject({ arp_conflict_mac: 1, arp_learned: 0, arp_answered: 0 });
    expect(t.warnings).toEqual([
      expect.stringMatching(/^our MAC address 52:54:00:00:00:01 is also used by the station 10\.0\.0\.2/),
    ]);
  });
});

describe('malformed ARP', () => {
  const packet = [...arp().slice(14)];
  const changed = (place: number, ...bytes: number[]): number[] => {
    const copy = [...packet];
    copy.splice(place, bytes.length, ...bytes);
    return copy;
  };

  it.each([
    ['hardware type', changed(0, 0, 6)],
    ['protocol type', changed(2, 0x86, 0xdd)],
    ['hardware length', changed(4, 8)],
    ['protocol length', changed(5, 16)],
    ['operation', changed(6, 0, 9)],
    ['length', packet.slice(0, 27)],
    ['sender: a group MAC', changed(8, 1)],
    ['sender: no MAC', changed(8, 0, 0, 0, 0, 0, 0)],
    ['sender: a broadcast address', changed(14, 255, 255, 255, 255)],
    ["sender: the prefix's broadcast address", changed(14, 10, 0, 0, 255)],
    ['sender: a multicast address', changed(14, 224, 0, 0, 1)],
    ['sender: no address, in a reply', changed(6, 0, 2, ...PEER_MAC, 0, 0, 0, 0)],
  ])('%s: counted, nothing more', (_, bytes) => {
    const t = makeCore();
    receive(t, ethernet(bytes, { destination: BROADCAST, type: 0x0806 }));
    expect(t.device.frames).toEqual([]);
    expect(t.core.counters()).toMatchObject({ rx_arp: 1, arp_malformed: 1, arp_learned: 0 });
    expectNoBufferLost(t);
  });
});
