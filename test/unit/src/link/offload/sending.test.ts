/**
 * What a stack asks for on the way out is done, whatever the device does of it: on every device the same frames go onto
 * the wire.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  OFFLOAD_CHAIN,
  OFFLOAD_CSUM,
  OFFLOAD_ECN,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
} from '../../../../../drivers/offloads.js';
import { FRAME_OFFSET, frameCapacity } from '../../../../../rings/buffer-pool.js';
import { CHAIN, CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../../../rings/packet-table.js';
import {
  ethernet,
  ipv4,
  naiveChecksum,
  OUR_IP,
  OUR_MAC,
  PEER_IP,
  PEER_MAC,
  udp,
} from '../../../../support/link/frames.js';
import { partsOf, writeParts } from '../../../../support/link/offload-steps.js';
import { ACK, CWR, FIN, PSH, segmentsOf, type TcpFields, tcpPacket } from '../../../../support/link/tcp-packets.js';
import { countersOf, expectNoBufferLost, learnPeer, makeCore, packetsOf } from '../../../../support/link/test-core.js';

const ALL = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN | OFFLOAD_CHAIN;
/** What devices do: nothing, or a chain at least. */
const DEVICES = [0, ...Array.from({ length: 16 }, (_, bits) => bits | OFFLOAD_CHAIN)];
const pattern = (bytes: number, seed = 1): number[] => Array.from({ length: bytes }, (_, i) => (i * 7 + seed) & 0xff);
const ipOf = (frames: Uint8Array[]): number[][] => frames.map((frame) => [...frame.subarray(14)]);

function device(offloads: number, layer: 'ip' | 'ethernet' = 'ip') {
  const t = makeCore({ layer }, { offloads, finish: true, buffers: 512 });
  if (layer === 'ip') learnPeer(t);
  return t;
}

describe('segments', () => {
  it.each(DEVICES)('are the same from a device that does 0x%s', (offloads) => {
    const fields: TcpFields = { flags: ACK | PSH | FIN | CWR, sequence: 0xfffffe00, identification: 0xfffe };
    const payload = pattern(20_001);
    const t = device(offloads);
    const { bytes, tcp } = tcpPacket(payload, { ...fields, checksum: 'partial' });
    const packet = writeParts(t.core, bytes, [40, 1001, 1, 3000]);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(1448, 4, true);
    expect(t.core.addBufferToRing(packet)).toBe(true);
    t.core.flush();
    expect(ipOf(packetsOf(t))).toEqual(segmentsOf(payload, 1448, fields));
    expectNoBufferLost(t);
  });

  it('have any size and lie in any buffers, with any headers, over IPv4 and IPv6', () => {
    const choice = fc.record({
      version: fc.constantFrom(4 as const, 6 as const),
      flags: fc.integer({ min: 0, max: 0xff }),
      sequence: fc.integer({ min: 0, max: 0xffffffff }),
      identification: fc.integer({ min: 0, max: 0xffff }),
      options: fc.constantFrom([], [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
      ipOptions: fc.constantFrom([], [7, 4, 4, 0]),
      bytes: fc.oneof(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 65_400 })),
      size: fc.integer({ min: 300, max: 1424 }),
      sizes: fc.array(fc.integer({ min: 1, max: 1900 }), { maxLength: 8 }),
      offloads: fc.constantFrom(...DEVICES),
    });
    const property = fc.property(choice, ({ version, bytes: length, size, sizes, offloads, ...rest }) => {
      const fields: TcpFields = { ...rest, version, ipOptions: version === 4 ? rest.ipOptions : [] };
      const payload = pattern(length, length);
      const t = device(offloads, 'ethernet');
      const { bytes, tcp, headers } = tcpPacket(payload, { ...fields, checksum: 'partial' });
      const ethernetHeader = [...PEER_MAC, ...OUR_MAC, ...(version === 4 ? [8, 0] : [0x86, 0xdd])];
      const packet = writeParts(t.core, [...ethernetHeader, ...bytes], [14 + headers, ...sizes]);
      packet.requestChecksum(14 + tcp, 16);
      packet.requestSegmentation(size, version, (rest.flags & CWR) !== 0);
      expect(t.core.addBufferToRing(packet)).toBe(true);
      t.core.flush();
      expect(ipOf(t.device.frames)).toEqual(segmentsOf(payload, size, fields));
      expectNoBufferLost(t);
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('are cut by the device if it does that, and the packet is not touched', () => {
    const t = device(ALL);
    const { bytes, tcp } = tcpPacket(pattern(9000), { checksum: 'partial' });
    const packet = writeParts(t.core, bytes, [40]);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(1460);
    t.core.addBufferToRing(packet);
    t.core.flush();
    const { flags, gsoSize, csumStart, csumOffset, frame } = t.device.packets.at(-1)!;
    expect({ flags, gsoSize, csumStart, csumOffset }).toEqual({
      flags: CHAIN | CHECKSUM_PARTIAL | GSO_TCP4,
      ...{ gsoSize: 1460, csumStart: 34, csumOffset: 16 },
    });
    expect([...frame.subarray(14)]).toEqual(bytes);
    expect(t.core.counters().tx_queued).toBe(1);
  });

  it('of a packet with one segment are that packet, which asks for its checksum alone', () => {
    const t = device(ALL);
    const { bytes, tcp } = tcpPacket(pattern(1000), { checksum: 'partial', flags: ACK | PSH | CWR });
    const packet = writeParts(t.core, bytes);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(1000, 4, true);
    t.core.addBufferToRing(packet);
    t.core.flush();
    expect(t.device.packets.at(-1)!.flags).toBe(CHECKSUM_PARTIAL);
    expect(ipOf(packetsOf(t))).toEqual([tcpPacket(pattern(1000), { flags: ACK | PSH | CWR }).bytes]);
  });

  it('that find no buffer are dropped and counted; the others are sent', () => {
    const t = makeCore({}, { offloads: OFFLOAD_CHAIN, finish: true, buffers: 64, holdTx: true });
    learnPeer(t);
    t.device.complete();
    const payload = pattern(40_000);
    const { bytes, tcp } = tcpPacket(payload, { checksum: 'partial' });
    const packet = writeParts(t.core, bytes, [40]);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(400);
    expect(t.core.addBufferToRing(packet)).toBe(true);
    t.core.flush();
    const sent = packetsOf(t).length;
    expect(sent).toBeGreaterThan(10);
    expect(ipOf(packetsOf(t))).toEqual(segmentsOf(payload, 400, {}).slice(0, sent));
    expect(countersOf(t).tx_drop_segments).toBe(100 - sent);
    expectNoBufferLost(t);
  });

  it('wait in the packet when the ring has no room for the first one', () => {
    const t = makeCore({}, { offloads: 0, buffers: 256, txRing: 1, holdTx: true });
    learnPeer(t);
    const filler = (): boolean => t.core.addBufferToRing(writeParts(t.core, ipv4([1], { destination: PEER_IP })));
    let refused = 0;
    while (refused === 0) {
      const buffer = writeParts(t.core, ipv4([1], { source: OUR_IP, destination: PEER_IP }));
      if (t.core.addBufferToRing(buffer)) continue;
      t.core.release(buffer);
      refused++;
    }
    const payload = pattern(3000);
    const { bytes, tcp } = tcpPacket(payload, { checksum: 'partial' });
    const packet = writeParts(t.core, bytes, [40]);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(1000);
    expect(t.core.addBufferToRing(packet)).toBe(false);
    expect(partsOf(packet).length).toBeGreaterThan(1);
    t.device.frames.length = 0;
    for (let round = 0; round < 100; round++) {
      t.device.complete();
      t.core.flush();
    }
    expect(t.core.addBufferToRing(packet)).toBe(true);
    for (let round = 0; round < 100; round++) {
      t.core.flush();
      t.device.complete();
    }
    expect(ipOf(packetsOf(t)).slice(-3)).toEqual(segmentsOf(payload, 1000, {}));
    expect(filler()).toBe(true);
    t.core.flush();
    expectNoBufferLost(t);
  });
});

describe('checksums', () => {
  it.each([
    ['of TCP', 16, 6],
    ['of UDP', 6, 17],
  ])('%s are right over parts of any length', (_, field, protocol) => {
    const choice = fc.record({
      payload: fc.uint8Array({ minLength: 1, maxLength: 1400 }),
      sizes: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 9 }),
      offloads: fc.constantFrom(...DEVICES),
    });
    const property = fc.property(choice, ({ payload, sizes, offloads }) => {
      const right =
        protocol === 6
          ? tcpPacket(payload).bytes
          : ipv4(udp([...payload], 7, 9, OUR_IP, PEER_IP), { protocol, source: OUR_IP, destination: PEER_IP });
      const length = right.length - 20;
      const pseudo = [...right.slice(12, 20), 0, protocol, length >>> 8, length & 0xff];
      const sum = ~naiveChecksum(pseudo) & 0xffff;
      const bytes = [...right];
      bytes.splice(20 + field, 2, sum >>> 8, sum & 0xff);
      const t = device(offloads);
      const packet = writeParts(t.core, bytes, [44, ...sizes]);
      packet.requestChecksum(20, field);
      t.core.addBufferToRing(packet);
      t.core.flush();
      expect(ipOf(packetsOf(t))).toEqual([right]);
      expectNoBufferLost(t);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('of UDP are never 0, which would mean that there is none', () => {
    // The sum over the datagram and its pseudo header is 0xffff.
    const t = device(0);
    const bytes = ipv4([0, 7, 0, 9, 0, 10, 0, 0, 0, 0], { protocol: 17, source: OUR_IP, destination: PEER_IP });
    const rest = naiveChecksum([...bytes.slice(12, 20), 0, 17, 0, 10, ...bytes.slice(20)]);
    bytes.splice(28, 2, rest >>> 8, rest & 0xff);
    const pseudo = ~naiveChecksum([...bytes.slice(12, 20), 0, 17, 0, 10]) & 0xffff;
    bytes.splice(26, 2, pseudo >>> 8, pseudo & 0xff);
    const packet = writeParts(t.core, bytes);
    packet.requestChecksum(20, 6);
    t.core.addBufferToRing(packet);
    t.core.flush();
    expect([...packetsOf(t)[0]!.subarray(40, 42)]).toEqual([0xff, 0xff]);
  });
});

describe('a packet that cannot be sent', () => {
  const gso = (change: (bytes: number[]) => void, size = 1000) => {
    const { bytes, tcp } = tcpPacket(pattern(3000), { checksum: 'partial' });
    change(bytes);
    return { bytes, tcp, size };
  };
  const none = (): void => {};
  it.each<[string, () => { bytes: number[]; tcp: number; size: number }, string]>([
    ['another length in its IP header', () => gso((bytes) => bytes.splice(2, 2, 1, 0)), 'tx_drop_request'],
    ['another protocol than TCP', () => gso((bytes) => bytes.splice(9, 1, 17)), 'tx_drop_request'],
    ['a fragment', () => gso((bytes) => bytes.splice(6, 2, 0x20, 0)), 'tx_drop_request'],
    ['a TCP header that is too short', () => gso((bytes) => bytes.splice(32, 1, 0x40)), 'tx_drop_request'],
    ['a TCP header beyond its first buffer', () => gso((bytes) => bytes.splice(32, 1, 0xf0)), 'tx_drop_request'],
    ['no size of segments', () => gso(none, 0), 'tx_drop_request'],
    ['another place of the TCP header', () => ({ ...gso(none), tcp: 24 }), 'tx_drop_request'],
    ['a negative place', () => ({ ...gso(none), tcp: -2 }), 'tx_drop_request'],
    ['a place beyond its first buffer', () => ({ ...gso(none), tcp: 60 }), 'tx_drop_request'],
    ['segments longer than the MTU', () => gso(none, 1461), 'tx_drop_length'],
    ['another version of IP', () => gso((bytes) => bytes.splice(0, 1, 0x65)), 'tx_drop_version'],
  ])('because of %s is dropped and counted', (_, make, counter) => {
    for (const offloads of [0, ALL]) {
      const t = device(offloads);
      const { bytes, tcp, size } = make();
      const packet = writeParts(t.core, bytes, [40]);
      packet.requestChecksum(tcp, 16);
      packet.requestSegmentation(size);
      expect(t.core.addBufferToRing(packet)).toBe(true);
      t.core.flush();
      expect(packetsOf(t)).toEqual([]);
      expect(countersOf(t)[counter]).toBe(1);
      expectNoBufferLost(t);
    }
  });

  it.each([
    ['longer than the MTU', [40, 700, 700, 700]],
    ['shorter than its header', [12, 100]],
    ['with an empty part', [40, 0, 100]],
  ])('because it is %s is dropped and counted', (_, sizes) => {
    const t = device(ALL);
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    const packet = writeParts(t.core, tcpPacket(pattern(total - 40)).bytes, [total]);
    const parts = sizes.slice(1).map((bytes) => {
      const part = t.core.getBufferTx()!;
      part.length = bytes;
      return part;
    });
    packet.length = sizes[0]!;
    for (const part of parts) packet.append(part);
    t.core.addBufferToRing(packet);
    t.core.flush();
    expect(packetsOf(t)).toEqual([]);
    expect(countersOf(t).tx_drop_length).toBe(1);
    expectNoBufferLost(t);
  });

  it('without a checksum request asks for no segments', () => {
    const t = device(ALL);
    const packet = writeParts(t.core, tcpPacket(pattern(10)).bytes);
    expect(() => packet.requestSegmentation(5)).toThrow('requestSegmentation: call requestChecksum first');
    t.core.release(packet);
  });
});

describe('a chain', () => {
  it('waits for ARP, is sent, is lost, and is dropped, as a whole', () => {
    const t = makeCore({}, { offloads: ALL, finish: true, buffers: 512 });
    const send = (ip: string): void => {
      const bytes = ipv4(pattern(300), { source: OUR_IP, destination: ip });
      expect(t.core.addBufferToRing(writeParts(t.core, bytes, [20, 100]))).toBe(true);
    };
    for (let i = 0; i < 5; i++) send(PEER_IP);
    expect(t.core.held().parked).toBe(15);
    expectNoBufferLost(t);
    learnPeer(t);
    expect(t.device.packets.filter(({ flags }) => flags === CHAIN)).toHaveLength(5);
    expectNoBufferLost(t);
    // Nobody answers; one neighbour gets more than it may.
    for (let i = 0; i < 100; i++) send('10.0.0.77');
    expect(t.core.counters().tx_drop_park_full).toBe(4);
    t.pass(10_000);
    expect(t.core.counters().tx_drop_unresolved).toBe(96);
    send('10.9.9.9');
    expect(t.core.counters().tx_drop_no_route).toBe(1);
    expectNoBufferLost(t);
    t.device.lose();
    for (let i = 0; i < 10; i++) send(PEER_IP);
    t.core.flush();
    expect(t.core.counters().tx_lost_link_down).toBeGreaterThan(0);
    expectNoBufferLost(t);
  });

  it('leaves its buffers as new', () => {
    const t = device(ALL);
    const packet = writeParts(t.core, ipv4(pattern(300), { source: OUR_IP, destination: PEER_IP }), [20, 100]);
    const parts = partsOf(packet);
    expect(parts.map(({ length }) => length)).toEqual([20, 100, 200]);
    expect(parts[1]!.offset % 8).not.toBe(packet.offset % 8);
    packet.requestChecksum(20, 6);
    t.core.addBufferToRing(packet);
    t.core.flush();
    for (const { flags, next, last, owner, capacity, offset, handle } of parts) {
      expect({ flags, next, last, owner }).toEqual({ flags: 0, next: null, last: null, owner: 0 });
      expect(capacity).toBe(frameCapacity(11) - 14);
      expect(offset - t.device.pool.offsetOf(handle)).toBe(FRAME_OFFSET + 14);
    }
  });

  it('is owned by its first buffer', () => {
    const t = device(ALL);
    const packet = writeParts(t.core, ipv4(pattern(300)), [20, 100]);
    const part = packet.next!;
    const chain = /buffer \d+ belongs to a chain: pass the first buffer of the packet/;
    expect(() => t.core.release(part)).toThrow(chain);
    expect(() => t.core.addBufferToRing(part)).toThrow(chain);
    expect(() => packet.append(part)).toThrow(chain);
    expect(() => part.append(t.core.getBufferTx()!)).toThrow(chain);
    expect(() => packet.append(packet)).toThrow('cannot follow itself');
    const foreign = device(ALL).core.getBufferTx()!;
    expect(() => packet.append(foreign)).toThrow('append: buffer');
    t.core.release(packet);
    expect(() => packet.append(t.core.getBufferTx()!)).toThrow('is not yours');
    expect(() => t.core.release(part)).toThrow('is not yours');
  });

  it('can follow another one', () => {
    const t = device(ALL);
    const bytes = ipv4(pattern(600), { source: OUR_IP, destination: PEER_IP });
    const head = writeParts(t.core, bytes.slice(0, 120), [20]);
    const rest = writeParts(t.core, bytes.slice(120), [100, 100]);
    head.append(rest);
    expect(partsOf(head)).toHaveLength(5);
    expect(head.totalLength).toBe(620);
    t.core.addBufferToRing(head);
    t.core.flush();
    expect(packetsOf(t)).toEqual([ethernet(bytes, { destination: PEER_MAC, source: OUR_MAC })]);
    expectNoBufferLost(t);
  });
});
