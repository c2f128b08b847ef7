import { describe, expect, it } from 'vitest';
import { udpFrame } from '../../../../bench/common/frames.js';
import { ROWS } from '../../../../bench/switch/rows.js';
import {
  encapsulated,
  HERE,
  isEncapsulated,
  NETWORK_MTU,
  OUTER_BYTES,
  THERE,
  VNI,
} from '../../../../bench/switch/tunnel.js';
import { readU16, writeU16 } from '../../../../src/wire/bytes.js';
import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';
import { IPV4_FRAGMENT, IPV4_TTL, isIpv4Intact, setIpv4Ttl, writeIpv4Checksum } from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import { isUdpIntact, writeUdpChecksum } from '../../../../src/wire/udp.js';

const IP = ETH_HEADER_BYTES;
const UDP = IP + 20;
const VXLAN = UDP + 8;
const inner = udpFrame(64, { ip: '10.0.0.1', mac: '52:54:00:00:00:01' }, { ip: '10.0.0.2', mac: '52:54:00:00:00:02' });
const expected = encapsulated(inner, HERE, THERE);

/** Whether a packet is still taken after a change. */
function isTaken(change: (packet: Uint8Array) => void, correctIp = true): boolean {
  const packet = encapsulated(inner, HERE, THERE);
  const memory = wireMemory(packet);
  change(packet);
  if (correctIp) writeIpv4Checksum(memory, IP);
  return isEncapsulated(memory, 0, packet.length, expected);
}

describe('the rows of bench -- switch', () => {
  it('have VXLAN beside unicast and broadcast', () => {
    const names = ROWS.map(({ name }) => name);
    expect(names).toHaveLength(10);
    expect(names.slice(-2)).toEqual(['vxlan/64', 'vxlan/1500']);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('the packets of the rows vxlan', () => {
  it('carry a frame in IPv4, UDP and VXLAN', () => {
    const memory = wireMemory(expected);
    expect(expected).toHaveLength(50 + 64);
    expect(isIpv4Intact(memory, IP, expected.length - IP)).toBe(true);
    expect(isUdpIntact(memory, IP, UDP, expected.length - UDP)).toBe(true);
    expect([readU16(expected, UDP + 2), readU16(expected, UDP + 6)]).toEqual([4789, 0]);
    expect([...expected.subarray(VXLAN, OUTER_BYTES)]).toEqual([8, 0, 0, 0, 0, VNI >> 8, VNI & 0xff, 0]);
    expect(Buffer.compare(expected.subarray(OUTER_BYTES), inner)).toBe(0);
    expect(NETWORK_MTU).toBe(1550);
  });

  it('are taken with what senders choose', () => {
    expect(isTaken(() => {})).toBe(true);
    expect(isTaken((packet) => writeU16(packet, UDP, 0x8001))).toBe(true);
    expect(isTaken((packet) => setIpv4Ttl(packet, IP, 1), false)).toBe(true);
    expect(isTaken((packet) => writeU16(packet, IP + 4, 77))).toBe(true);
    expect(isTaken((packet) => writeUdpChecksum(wireMemory(packet), IP, UDP, packet.length - UDP))).toBe(true);
  });

  it.each<[string, (packet: Uint8Array) => void]>([
    ['another destination MAC address', (packet) => packet.fill(7, 0, 1)],
    ['another address', (packet) => packet.fill(7, IP + 15, IP + 16)],
    ['another protocol', (packet) => packet.fill(6, IP + 9, IP + 10)],
    ['no time to live', (packet) => packet.fill(0, IP + IPV4_TTL, IP + IPV4_TTL + 1)],
    ['a fragment', (packet) => writeU16(packet, IP + IPV4_FRAGMENT, 0x2000)],
    ['a shorter IP packet', (packet) => writeU16(packet, IP + 2, packet.length - IP - 1)],
    ['a shorter datagram', (packet) => writeU16(packet, UDP + 4, packet.length - UDP - 1)],
    ['another port', (packet) => writeU16(packet, UDP + 2, 4790)],
    ['no source port', (packet) => writeU16(packet, UDP, 0)],
    ['a wrong UDP checksum', (packet) => writeU16(packet, UDP + 6, 1)],
    ['no flag', (packet) => packet.fill(0, VXLAN, VXLAN + 1)],
    ['another VNI', (packet) => packet.fill(1, VXLAN + 6, VXLAN + 7)],
    ['a byte of the inner frame', (packet) => packet.fill(1, packet.length - 1)],
  ])('are refused with %s', (_, change) => {
    expect(isTaken(change)).toBe(false);
  });

  it('are refused with a wrong IP checksum, or another length', () => {
    expect(isTaken((packet) => writeU16(packet, IP + 10, 1), false)).toBe(false);
    expect(isEncapsulated(wireMemory(expected), 0, expected.length - 1, expected)).toBe(false);
  });
});
