/** Sending: identifications (RFC 6864, RFC 7739) and fragments (RFC 791, 3.2). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createIpCounters } from '../../../../../src/tcpip/ip/counters.js';
import { Identification } from '../../../../../src/tcpip/ip/identification.js';
import { ownMemory } from '../../../../../src/tcpip/ip/own-memory.js';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import { naiveChecksum, PEER_IP } from '../../../../support/link/frames.js';
import { type IpFixture, openIp, seededRandom } from '../../../../support/tcpip/ip-fixture.js';

const PEER = parseIpv4(PEER_IP) | 0;
const neighbours = { [PEER_IP]: '02:00:0a:00:00:02' };

let fixture: IpFixture;

beforeEach(async () => {
  fixture = await openIp({}, { neighbours });
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

/** What a sent packet says about fragments. */
function fragmentOf(packet: Uint8Array): { id: number; df: boolean; more: boolean; offset: number; bytes: number[] } {
  expect(naiveChecksum(packet.subarray(0, 20))).toBe(0);
  expect((packet[2]! << 8) | packet[3]!).toBe(packet.length);
  const field = (packet[6]! << 8) | packet[7]!;
  const df = (field & 0x4000) !== 0;
  const more = (field & 0x2000) !== 0;
  const id = (packet[4]! << 8) | packet[5]!;
  return { id, df, more, offset: (field & 0x1fff) * 8, bytes: [...packet.subarray(20)] };
}

function sendBuffer(length: number, mayFragment: boolean): number[] {
  const buffer = fixture.ip.begin()!;
  const payload = Array.from({ length }, (_, i) => i & 0xff);
  fixture.net.core.memory.u8.set(payload, buffer.offset + 20);
  expect(fixture.ip.send(buffer, 17, PEER, length, 0, mayFragment)).toBe(true);
  return payload;
}

describe('a packet', () => {
  it('that may not be fragmented has no identification', () => {
    sendBuffer(10, false);
    expect(fragmentOf(fixture.net.sent()[0]!)).toMatchObject({ id: 0, df: true, more: false, offset: 0 });
  });

  it('that may be fragmented has one of its own', () => {
    sendBuffer(10, true);
    sendBuffer(10, true);
    const [first, second] = fixture.net.sent().map(fragmentOf);
    expect(first).toMatchObject({ df: false, more: false, offset: 0 });
    expect(second!.id).toBe((first!.id + 1) & 0xffff);
  });

  // Clauses: 1122-3.3.3a
  it('leaves in fragments when the path is too narrow', () => {
    fixture.ip.reduceMtu(PEER, 600);
    const payload = sendBuffer(1200, true);
    const parts = fixture.net.sent().map(fragmentOf);
    expect(parts.map(({ offset, more, bytes }) => [offset, more, bytes.length])).toEqual([
      [0, true, 576],
      [576, true, 576],
      [1152, false, 48],
    ]);
    expect(parts.flatMap(({ bytes }) => bytes)).toEqual(payload);
    expect(new Set(parts.map(({ id }) => id)).size).toBe(1);
    expect(fixture.counted()).toMatchObject({ ip_tx: 3, ip_tx_fragmented: 1, ip_tx_fragments: 3 });
  });

  // Clauses: MUST-49, 1122-3.2.1.7c
  it('has a time to live of 64, or that of the option, also in fragments', async () => {
    const { ip, net } = await openIp({ ttl: 9 }, { neighbours });
    for (const [sender, ttl] of [
      [fixture, 64],
      [{ ip, net }, 9],
    ] as const) {
      const buffer = sender.ip.begin()!;
      sender.net.core.memory.u8.fill(0, buffer.offset + 20, buffer.offset + 120);
      expect(sender.ip.send(buffer, 6, PEER, 100)).toBe(true);
      expect(sender.ip.sendFrom(ownMemory(4000), 0, 4000, 17, PEER)).toBe(true);
      const packets = sender.net.sent();
      expect(packets.map((packet) => packet[8])).toEqual([ttl, ttl, ttl, ttl]);
      expect(packets.map((packet) => naiveChecksum(packet.subarray(0, 20)))).toEqual([0, 0, 0, 0]);
    }
    await net.stop();
  });

  it('that just fits is not cut', () => {
    fixture.ip.reduceMtu(PEER, 600);
    sendBuffer(580, true);
    sendBuffer(581, true);
    expect(fixture.net.sent().map(({ length }) => length)).toEqual([600, 596, 25]);
  });
});

describe('a datagram from other memory', () => {
  const memory = ownMemory(0x10000 + 64);

  it.each([0, 1, 3, 4])('is copied from any offset: %i', (from) => {
    for (let i = 0; i < memory.u8.length; i++) memory.u8[i] = (i * 31) & 0xff;
    for (const length of [0, 5, 1480, 1481, 4000]) {
      expect(fixture.ip.sendFrom(memory, from, length, 17, PEER)).toBe(true);
      const parts = fixture.net.sent().map(fragmentOf);
      expect(parts.flatMap(({ bytes }) => bytes)).toEqual([...memory.u8.subarray(from, from + length)]);
    }
  });

  it('is not sent when it is too long', () => {
    expect(fixture.ip.sendFrom(memory, 0, 65_516, 17, PEER)).toBe(false);
    expect(fixture.counted()).toEqual({ ip_drop_tx_length: 1 });
    expect(fixture.ip.sendFrom(memory, 0, 65_515, 17, PEER)).toBe(true);
  });

  it('is sent whole or not at all when buffers are missing', () => {
    const taken = [];
    for (let buffer = fixture.ip.begin(); buffer !== null; buffer = fixture.ip.begin()) taken.push(buffer);
    for (let i = 0; i < 2; i++) fixture.net.core.release(taken.pop()!);
    expect(fixture.ip.sendFrom(memory, 0, 4000, 17, PEER)).toBe(false);
    expect(fixture.net.sent()).toEqual([]);
    expect(fixture.ip.sendFrom(memory, 0, 2960, 17, PEER)).toBe(true);
    expect(fixture.net.sent()).toHaveLength(2);
    for (const buffer of taken) fixture.net.core.release(buffer);
  });

  it('loses the fragments for which the ring has no room, and says so', async () => {
    const narrow = await openIp({}, { neighbours, device: { txRing: 8, holdTx: true } });
    // The burst takes 32 of the 44 and the ring 8, one of which an announcement by ARP has.
    expect(narrow.ip.sendFrom(memory, 0, 65_000, 17, PEER)).toBe(false);
    expect(narrow.counted()).toMatchObject({ ip_tx: 39, ip_tx_fragments: 39, ip_tx_ring_full: 5 });
    expect(narrow.net.held).toBe(0);
    await narrow.net.stop();
  });
});

describe('identifications', () => {
  it('of a destination and protocol are all different within 65,536', () => {
    const ids = new Identification(seededRandom(3));
    const seen = new Set<number>();
    for (let i = 0; i < 65_536; i++) seen.add(ids.next(PEER, 17));
    expect(seen.size).toBe(65_536);
  });

  it('begin elsewhere for each destination, protocol and key', () => {
    const first = new Set<number>();
    for (let key = 1; key < 40; key += 2) {
      for (let host = 0; host < 20; host++) first.add(new Identification(seededRandom(key)).next(PEER + host, 17));
      first.add(new Identification(seededRandom(key)).next(PEER, 1));
    }
    // 420 numbers out of 65,536: a few may be the same.
    expect(first.size).toBeGreaterThan(400);
  });
});

it('the counters begin at 0', () => {
  expect(Object.values(createIpCounters().snapshot()).every((value) => value === 0)).toBe(true);
});
