/**
 * ARP from others: what is answered, what is learned and what is not, which stations have our address, and what is no
 * ARP.
 */
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import {
  arp,
  arpReply,
  arpRequest,
  BROADCAST,
  ethernet,
  OTHER_MAC,
  OUR_IP,
  OUR_MAC,
  PEER_IP,
  PEER_MAC,
} from '../../../../support/link/frames.js';
import {
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetsOf,
  packetTo,
  receive,
} from '../../../../support/link/test-core.js';

describe('answering', () => {
  it('answers a request for our address to the station that asked', () => {
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

  it('answers a probe with our address taken (RFC 5227), and learns nothing from it', () => {
    const t = makeCore();
    receive(t, arp({ senderIp: '0.0.0.0' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0, arp_malformed: 0 });
  });

  it('learns nothing from a probe even where every address is on the link', () => {
    const t = makeCore({ prefixLength: 0 });
    receive(t, arp({ senderIp: '0.0.0.0' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0 });
  });

  it('answers a station that is not on our link, and does not learn it', () => {
    const t = makeCore();
    receive(t, arp({ senderIp: '192.168.9.9' }));
    expect(t.core.counters()).toMatchObject({ arp_answered: 1, arp_learned: 0 });
  });

  it('counts an answer for which the ring is full', () => {
    const t = makeCore({}, { txRing: 1, holdTx: true });
    for (let i = 0; i < 64; i++) receive(t, arp());
    const { arp_answered, arp_ring_full } = t.core.counters();
    expect([arp_answered, arp_ring_full]).toEqual([33, 31]);
    expectNoBufferLost(t);
  });

  it('ignores requests for others', () => {
    const t = makeCore();
    receive(t, arp({ targetIp: '10.0.0.9' }));
    expect(t.device.frames).toEqual([]);
    expect(t.core.counters()).toMatchObject({ arp_not_for_us: 1, arp_learned: 0 });
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

  it('does not learn from announcements and replies of strangers', () => {
    const t = makeCore();
    receive(t, arp({ targetIp: PEER_IP }), arpReply());
    expect(t.core.counters()).toMatchObject({ arp_learned: 0, arp_not_for_us: 1, arp_unsolicited: 1 });
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    expect(t.core.held().parked).toBe(1);
  });

  it('learns no more askers than the table holds, and still answers them', () => {
    const t = makeCore({ prefixLength: 8 });
    for (let n = 0; n < 1030; n++) {
      receive(t, arp({ senderIp: `10.1.${n >>> 8}.${n & 255}` }));
      t.device.frames.length = 0;
    }
    expect(t.core.counters()).toMatchObject({ arp_answered: 1030, arp_learned: 1024, arp_table_full: 6 });
    expectNoBufferLost(t);
  });

  it('keeps static entries whatever comes, and warns once', () => {
    const t = makeCore({ neighbours: new Map([[parseIpv4(PEER_IP), Uint8Array.from(PEER_MAC)]]) });
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    receive(t, arpReply(), arpReply(PEER_IP, OTHER_MAC), arpReply(PEER_IP, OTHER_MAC));
    t.pass(40_000);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames.map((frame) => [...frame.subarray(0, 6)])).toEqual([PEER_MAC, PEER_MAC]);
    expect(t.core.counters()).toMatchObject({ arp_static_mismatch: 2, arp_requests: 0, arp_confirmed: 1 });
    expect(t.warnings).toEqual([expect.stringMatching(/10\.0\.0\.2 says that its MAC address is 52:54:00:00:00:03/)]);
  });
});

describe('announcing and conflicts', () => {
  const announcement = arpRequest(OUR_IP);

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

  it('announces nothing with layer ethernet', () => {
    const t = makeCore({ layer: 'ethernet' });
    t.core.announce();
    t.pass(5000);
    expect(t.device.frames).toEqual([]);
  });

  it('ignores its own announcement when it is reflected', () => {
    const t = makeCore();
    receive(t, announcement);
    expect(t.core.counters()).toMatchObject({ arp_reflected: 1, arp_conflict_ip: 0, arp_conflict_mac: 0 });
    expect(t.warnings).toEqual([]);
  });

  it('notices another station with our IP address: counts, warns and defends at times', () => {
    const t = makeCore();
    const claim = arp({ senderIp: OUR_IP });
    receive(t, claim, claim, claim);
    expect(t.core.counters()).toMatchObject({ arp_conflict_ip: 3, arp_learned: 0, arp_answered: 0 });
    expect(t.warnings).toEqual([expect.stringMatching(/^10\.0\.0\.1 is also used by the station 52:54:00:00:00:02/)]);
    expect(t.device.frames).toEqual([announcement]);
    t.pass(11_000);
    receive(t, claim);
    expect(t.warnings).toHaveLength(3);
    expect(t.warnings[1]).toBe('… 2 more of this kind in the last 11 s: conflict_ip');
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
  ])('%s: is counted, and nothing else happens', (_, bytes) => {
    const t = makeCore();
    receive(t, ethernet(bytes, { destination: BROADCAST, type: 0x0806 }));
    expect(t.device.frames).toEqual([]);
    expect(t.core.counters()).toMatchObject({ rx_arp: 1, arp_malformed: 1, arp_learned: 0 });
    expectNoBufferLost(t);
  });
});
