import { describe, expect, it } from 'vitest';
import { fitsMtu, isSumOfOuter } from '../../../../../drivers/transports/af-packet/frame.js';
import { PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../../../rings/packet-table.js';

/** A burst of one packet of zeros of this length, with what `fields` has at each place. */
function packet(length: number, fields: Readonly<Record<number, readonly number[]>>, csumStart = 34): PacketBurst {
  const u8 = new Uint8Array(1 << 17);
  for (const [at, bytes] of Object.entries(fields)) u8.set(bytes, Number(at));
  const burst = new PacketBurst({ u8, u16: new Uint16Array(u8.buffer), u32: new Uint32Array(u8.buffer) });
  burst.push(0, length);
  burst.csumStart[0] = csumStart;
  return burst;
}

const IPV4 = { 12: [0x08, 0], 14: [0x45] };

describe('fitsMtu', () => {
  it.each([
    ['a packet of the MTU', 1514, IPV4, true],
    ['a packet that is longer', 1515, IPV4, false],
    ['a packet with a VLAN tag', 1518, { 12: [0x81, 0, 0, 5, 8, 0] }, true],
    ['a longer one with a VLAN tag', 1519, { 12: [0x81, 0, 0, 5, 8, 0] }, false],
    ['a packet with two tags', 1522, { 12: [0x88, 0xa8, 0, 5, 0x81, 0, 0, 5, 8, 0] }, false],
  ])('knows %s', (_, length, fields, fits) => {
    expect(fitsMtu(packet(length, fields), 0, 0, 1500)).toBe(fits);
  });

  it('knows a GSO packet that is longer than a frame of the ring', () => {
    expect(fitsMtu(packet(65_554, { ...IPV4, 46: [0x80] }), 0, CHECKSUM_PARTIAL | GSO_TCP4, 1500)).toBe(false);
  });

  it.each([
    [1448, true],
    [1449, false],
  ])('looks at the segments of a GSO packet: %d bytes each', (gsoSize, fits) => {
    const burst = packet(60_000, { ...IPV4, 46: [0x80] });
    burst.gsoSize[0] = gsoSize;
    expect(fitsMtu(burst, 0, CHECKSUM_PARTIAL | GSO_TCP4, 1500)).toBe(fits);
  });
});

describe('isSumOfOuter', () => {
  it.each([
    ['TCP over IPv4', IPV4, 34, true],
    ['IPv4 with options', { 12: [8, 0], 14: [0x46] }, 38, true],
    ['TCP over IPv6', { 12: [0x86, 0xdd] }, 54, true],
    ['a VLAN tag', { 12: [0x81, 0, 0, 5, 8, 0], 18: [0x45] }, 38, true],
    ['TCP in a tunnel over IPv4', IPV4, 84, false],
    ['TCP in a tunnel over IPv6', { 12: [0x86, 0xdd] }, 104, false],
    ['another protocol', { 12: [0x88, 0xb5] }, 34, false],
    ['a sum that begins in the IP header', IPV4, 20, false],
  ])('knows %s', (_, fields, start, isOuter) => {
    expect(isSumOfOuter(packet(1500, fields, start), 0)).toBe(isOuter);
  });
});
