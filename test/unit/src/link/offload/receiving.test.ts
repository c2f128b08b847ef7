/** Received packets of which the device knows more than their length. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_TSO4 } from '../../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_TCP4 } from '../../../../../rings/packet-table.js';
import { Checksum } from '../../../../../src/link/packet-buffer.js';
import type { InjectOptions } from '../../../../../src/testing/fake-entries.js';
import { arp, ethernet, ipv4, isArp, OTHER_MAC, OUR_IP, PEER_IP, udp } from '../../../../support/link/frames.js';
import { bytesOf, partsOf } from '../../../../support/link/offload-steps.js';
import { segmentsOf, tcpPacket } from '../../../../support/link/tcp-packets.js';
import {
  countersOf,
  expectEveryFrameCounted,
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetsOf,
  receive,
} from '../../../../support/link/test-core.js';

const pattern = (bytes: number): number[] => Array.from({ length: bytes }, (_, i) => (i * 5 + (i >>> 8)) & 0xff);
const device = (offloads = OFFLOAD_CHAIN, layer: 'ip' | 'ethernet' = 'ip') =>
  makeCore({ layer }, { offloads, finish: true, buffers: 256 });
/** A packet of 20 KB from the peer, as one on this host sends it. */
const LARGE = tcpPacket(pattern(20_000), { isReceived: true, checksum: 'partial' });
const LARGE_HOW: InjectOptions = {
  ...{ flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1448, csumStart: 34, csumOffset: 16 },
};

describe('what is known of a received packet', () => {
  it.each([
    ['nobody has checked it', 0, Checksum.UNKNOWN],
    ['the device has checked it', CHECKSUM_VERIFIED, Checksum.VERIFIED],
    ['it is not computed yet', CHECKSUM_PARTIAL, Checksum.PARTIAL],
  ])('of its checksum: %s', (_, flags, expected) => {
    const t = device();
    t.device.inject(ethernet(tcpPacket([1], { isReceived: true }).bytes), { flags, csumStart: 34, csumOffset: 16 });
    t.core.getRxCount();
    const packet = t.core.getBufferRx()!;
    expect(packet.checksum).toBe(expected);
    if (expected === Checksum.PARTIAL) {
      expect([packet.checksumStart, packet.checksumOffset]).toEqual([20, 16]);
    }
    t.core.release(packet);
    expect(packet.checksum).toBe(Checksum.UNKNOWN);
    expectNoBufferLost(t);
  });

  it('of its segments and its parts', () => {
    const t = device();
    t.device.inject(ethernet(LARGE.bytes), { ...LARGE_HOW, parts: [54, 3, 1600] });
    expect(t.core.getRxCount()).toBe(1);
    const packet = t.core.getBufferRx()!;
    expect(packet.segmentSize).toBe(1448);
    expect(packet.totalLength).toBe(LARGE.bytes.length);
    expect(inspect(packet)).toContain(
      "40 bytes of 20040 in several buffers, the stack's: TCP 10.0.0.2:5555 > 10.0.0.1:80",
    );
    const parts = partsOf(packet);
    expect(parts.slice(0, 3).map(({ length }) => length)).toEqual([40, 3, 1600]);
    expect(bytesOf(packet)).toEqual(LARGE.bytes);
    const seen = parts.flatMap((part) => [...part.bytes.subarray(0, part.length)]);
    expect(seen).toEqual(LARGE.bytes);
    expect(t.core.counters().held_by_stack).toBe(parts.length);
    expect(() => t.core.release(parts[1]!)).toThrow('belongs to a chain');
    expectNoBufferLost(t, parts.length);
    t.core.release(packet);
    expect(t.core.counters().held_by_stack).toBe(0);
    expectNoBufferLost(t);
  });

  it('is copied from any byte to any place', () => {
    const t = device();
    const bytes = ipv4(pattern(1000));
    t.device.inject(ethernet(bytes), { parts: [54, 100, 1, 300] });
    t.core.getRxCount();
    const packet = t.core.getBufferRx()!;
    for (const [at, from, length] of [
      [0, 0, 1020],
      [3, 39, 2],
      [7, 40, 101],
      [0, 139, 900],
      [0, 1019, 9],
      [1000, 0, 500],
      [0, 1020, 5],
    ] as const) {
      const target = new Uint8Array(1020);
      const count = packet.copyTo(target, at, from, length);
      const expected = bytes.slice(from, from + length).slice(0, 1020 - at);
      expect(count).toBe(expected.length);
      expect([...target.subarray(at, at + count)]).toEqual(expected);
      expect(target.subarray(at + count).every((byte) => byte === 0)).toBe(true);
    }
    t.core.release(packet);
  });

  it('has a hash as every packet of its flow', () => {
    const t = device();
    t.device.inject(ethernet(LARGE.bytes), LARGE_HOW);
    t.device.inject(ethernet(tcpPacket([1], { isReceived: true }).bytes));
    t.core.getRxCount();
    const [large, small] = [t.core.getBufferRx()!, t.core.getBufferRx()!];
    expect(large.rssHash).not.toBe(0);
    expect(large.rssHash).toBe(small.rssHash);
  });
});

describe('a received packet that is sent on', () => {
  const SIZES = [0, OFFLOAD_CSUM, OFFLOAD_CSUM | OFFLOAD_TSO4];
  it.each(SIZES)('keeps its parts, its sum and its segments (device: 0x%s)', (bits) => {
    const t = device(bits | OFFLOAD_CHAIN, 'ethernet');
    t.device.inject(ethernet(LARGE.bytes), { ...LARGE_HOW, parts: [60, 1000, 7] });
    t.core.getRxCount();
    expect(t.core.addBufferToRing(t.core.getBufferRx()!)).toBe(true);
    t.core.flush();
    const segments = segmentsOf(pattern(20_000), 1448, { isReceived: true });
    expect(t.device.frames.map((frame) => [...frame.subarray(14)])).toEqual(segments);
    expectNoBufferLost(t);
  });

  it('asks for nothing when its checksum was right', () => {
    const t = device(OFFLOAD_CHAIN, 'ethernet');
    t.device.inject(ethernet(tcpPacket([1]).bytes), { flags: CHECKSUM_VERIFIED });
    t.core.getRxCount();
    t.core.addBufferToRing(t.core.getBufferRx()!);
    t.core.flush();
    expect(t.device.packets.at(-1)!.flags).toBe(0);
    expectNoBufferLost(t);
  });

  it('asks for nothing when another packet was written into its buffer', () => {
    const t = device(OFFLOAD_CSUM | OFFLOAD_CHAIN);
    learnPeer(t);
    t.device.inject(ethernet(tcpPacket([1], { isReceived: true }).bytes), {
      ...{ flags: CHECKSUM_PARTIAL, csumStart: 34, csumOffset: 16 },
    });
    t.core.getRxCount();
    const packet = t.core.getBufferRx()!;
    const answer = ipv4([9], { source: OUR_IP, destination: PEER_IP });
    packet.bytes.set(answer);
    packet.length = answer.length;
    packet.requestNothing();
    t.core.addBufferToRing(packet);
    t.core.flush();
    expect(t.device.packets.at(-1)!.flags).toBe(0);
    expect([...packetsOf(t)[0]!.subarray(14)]).toEqual(answer);
  });
});

describe('frames in several buffers', () => {
  it.each<[string, Uint8Array, string]>([
    ['for us', ethernet(ipv4(pattern(100))), 'rx_delivered'],
    ['for another station', ethernet(ipv4(pattern(100)), { destination: OTHER_MAC }), 'rx_drop_other_mac'],
    ['for another host', ethernet(ipv4(pattern(100), { destination: '10.0.0.9' })), 'rx_drop_other_ip'],
    ['with ARP', arp(), 'rx_drop_chain'],
    ['with padding', ethernet([...ipv4(pattern(40)), 0, 0]), 'rx_drop_chain'],
    ['with a longer IP packet', ethernet(ipv4(pattern(100), { totalLength: 200 })), 'rx_drop_ip_total_length'],
    ['with options beyond the first', ethernet(ipv4(pattern(40), { headerWords: 9 })), 'rx_drop_ip_header_length'],
    [
      'from our own MAC address',
      ethernet(ipv4(pattern(100)), { source: [0x52, 0x54, 0, 0, 0, 1] }),
      'rx_drop_own_source',
    ],
  ])('%s are counted once, and given back whole', (_, frame, counter) => {
    const t = device();
    t.device.inject(frame, { parts: [38, 1, 2] });
    const delivered = counter === 'rx_delivered' ? 1 : 0;
    expect(t.core.getRxCount()).toBe(delivered);
    expect(countersOf(t)[counter]).toBe(1);
    expectEveryFrameCounted(t);
    expectNoBufferLost(t);
    if (delivered === 1) t.core.release(t.core.getBufferRx()!);
    expect(t.device.pool.available).toBe(256);
    expect(t.device.table.words.filter((_, word) => word % 8 === 0).every((flags) => flags === 0)).toBe(true);
  });

  it('pass with layer ethernet, whatever they are', () => {
    const t = device(OFFLOAD_CHAIN, 'ethernet');
    t.device.inject(arp(), { parts: [20, 5] });
    t.core.getRxCount();
    const packet = t.core.getBufferRx()!;
    expect(bytesOf(packet)).toEqual([...arp()]);
    t.core.release(packet);
    expectNoBufferLost(t);
  });
});

describe('what the layer answers itself', () => {
  it('asks the device for nothing', () => {
    const t = device(OFFLOAD_CSUM | OFFLOAD_CHAIN);
    t.device.inject(arp(), { flags: CHECKSUM_PARTIAL, csumStart: 20, csumOffset: 2 });
    receive(t);
    expect(t.device.packets.map(({ flags, frame }) => [flags, isArp(frame)])).toEqual([[0, true]]);
    expectNoBufferLost(t);
  });

  it('drops nothing of a flood of small packets with flags', () => {
    const t = device(OFFLOAD_CSUM | OFFLOAD_CHAIN);
    for (let i = 0; i < 100; i++) {
      t.device.inject(ethernet(ipv4(udp([i], 5, 6), { protocol: 17 })), { flags: CHECKSUM_VERIFIED });
    }
    let seen = 0;
    while (t.core.getRxCount() > 0) {
      const packet = t.core.getBufferRx()!;
      expect(packet.checksum).toBe(Checksum.VERIFIED);
      expect(packet.bytes[28]).toBe(seen++);
      t.core.release(packet);
    }
    expect(seen).toBe(100);
    expectNoBufferLost(t);
  });
});
