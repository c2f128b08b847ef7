/** What the device's side takes of a driver's virtio-net header: each field, checked (virtio 1.2, 5.1.6.2). */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../../../drivers/offloads.js';
import { MAX_BURST } from '../../../../../drivers/virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../../../../../drivers/virtio/device/tx-queue.js';
import { CHECKSUM_PARTIAL, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../../../rings/packet-table.js';
import { DeviceTxSuite } from '../../../../support/virtio/device-queue-suite.js';
import { netHeader } from '../../../../support/virtio/net-headers.js';
import { bytesOf, type TcpFrame, tcpStart } from '../../../../support/virtio/tcp-frames.js';

const ALL_OFFLOADS = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
const suite = new DeviceTxSuite();
const four: TcpFrame = { version: 4, payload: Array.from({ length: 500 }, (_, i) => i & 0xff) };
const six: TcpFrame = { ...four, version: 6 };
const tagged: TcpFrame = { ...four, tags: [5, 6] };

/** The header with which a driver asks for the segmentation of a frame. */
const gso = (frame: TcpFrame, change = {}): number[] =>
  netHeader({
    flags: 1,
    gsoType: frame.version === 4 ? 1 : 4,
    gsoSize: 100,
    csumStart: tcpStart(frame),
    csumOffset: 16,
    ...change,
  });

/** Takes one packet with this header, in one descriptor or cut behind these lengths. Returns what the burst says of it. */
function taken(header: readonly number[], bytes: readonly number[], cuts: readonly number[] = []): object | null {
  const whole = [...header, ...bytes];
  const rest = whole.length - cuts.reduce((sum, length) => sum + length, 0);
  suite.driver.offer(suite.pieces(whole, [...cuts, rest]));
  const count = suite.queue.take(suite.burst, MAX_BURST);
  const { flags, gsoSize, csumStart, csumOffset, offloaded } = suite.burst;
  if (count > 0) expect(suite.content(0)).toEqual(bytes);
  suite.queue.complete();
  expect(suite.driver.takeUsed()).toHaveLength(1);
  if (count === 0) return null;
  if (offloaded === 0) return {};
  return { flags: flags[0], gsoSize: gsoSize[0], csumStart: csumStart[0], csumOffset: csumOffset[0] };
}

describe.each(['split', 'packed'] as const)('DeviceTxQueue with offloads on a %s ring', (which) => {
  beforeEach(() => {
    suite.layout = which;
    suite.setUp({ offloads: ALL_OFFLOADS, size: 64 });
  });

  afterEach(() => {
    suite.layout = 'split';
  });

  it.each([
    ['in one descriptor', []],
    ['behind a header of its own', [12]],
    ['in pieces that begin inside the header', [3, 5, 30, 1]],
    ['in pieces that end in the EtherType', [12, 13]],
  ])('reads the fields of a packet %s', (_, cuts) => {
    const expected = { gsoSize: 100, csumOffset: 16 };
    expect(taken(gso(four), bytesOf(four, 'partial'), cuts)).toEqual({
      ...expected,
      flags: CHECKSUM_PARTIAL | GSO_TCP4,
      csumStart: 34,
    });
    expect(taken(gso(six, { gsoType: 0x84 }), bytesOf(six, 'partial'), cuts)).toEqual({
      ...expected,
      flags: CHECKSUM_PARTIAL | GSO_TCP6 | GSO_ECN,
      csumStart: 54,
    });
    expect(taken(gso(tagged), bytesOf(tagged, 'partial'), cuts)).toMatchObject({ csumStart: 42 });
    expect(suite.count('badOffload')).toBe(0);
  });

  it('reads a header of 10 bytes', () => {
    suite.driver.close();
    suite.setUp({ offloads: ALL_OFFLOADS, headerBytes: 10 });
    for (const cuts of [[], [4]]) {
      const found = taken(gso(four).slice(0, 10), bytesOf(four, 'partial'), cuts);
      expect(found).toMatchObject({ flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 100 });
    }
  });

  it('takes a partial checksum of any protocol, up to the end of the packet', () => {
    const bytes = bytesOf(four, 'partial');
    const found = taken(netHeader({ flags: 1, csumStart: 20, csumOffset: bytes.length - 22 }), bytes);
    expect(found).toMatchObject({ flags: CHECKSUM_PARTIAL, csumStart: 20, csumOffset: bytes.length - 22 });
    expect(taken(netHeader({ flags: 1, csumStart: 14, csumOffset: 0 }), bytes)).toMatchObject({ csumStart: 14 });
  });

  it('knows plain packets beside others of one burst', () => {
    const bytes = bytesOf(four, 'partial');
    const headers = [
      netHeader({}),
      gso(four),
      netHeader({}),
      gso(four, { gsoSize: 0 }),
      netHeader({ flags: 1, csumStart: 34 }),
    ];
    for (const header of headers) suite.driver.offer(suite.pieces([...header, ...bytes], [12 + bytes.length]));
    suite.burst.flags.fill(0xff);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(4);
    expect(suite.burst.offloaded).toBe(2);
    expect([...suite.burst.flags.slice(0, 4)]).toEqual([0, CHECKSUM_PARTIAL | GSO_TCP4, 0, CHECKSUM_PARTIAL]);
    expect([suite.count('packets'), suite.count('badOffload')]).toEqual([4, 1]);
    for (let i = 0; i < 4; i++) expect(suite.content(i)).toEqual(bytes);
    suite.queue.complete();
    expect(suite.driver.takeUsed()).toHaveLength(5);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
    expect(suite.burst.offloaded).toBe(0);
  });

  it.each([
    ['DATA_VALID', { flags: 2 }],
    ['flags that it does not know', { flags: 0xfc }],
    ['csum_start and csum_offset without NEEDS_CSUM', { csumStart: 0xffff, csumOffset: 0xffff }],
    ['gso_size without a gso_type', { gsoSize: 0xffff }],
    ['hdr_len and num_buffers', { hdrLen: 0xffff, buffers: 0xffff }],
  ])('ignores %s', (_, fields) => {
    expect(taken(netHeader(fields), bytesOf(four, 'complete'))).toEqual({});
    expect(suite.count('badOffload')).toBe(0);
  });

  it('does not rely on hdr_len', () => {
    for (const hdrLen of [0, 1, 53, 0xffff]) {
      expect(taken(gso(four, { hdrLen }), bytesOf(four, 'partial'))).toMatchObject({
        flags: CHECKSUM_PARTIAL | GSO_TCP4,
      });
    }
  });

  it('takes a packet that is shorter than its segments as one with a partial checksum', () => {
    for (const gsoSize of [501, 0xffff]) {
      const found = taken(gso(four, { gsoSize }), bytesOf(four, 'partial'));
      expect(found).toMatchObject({ flags: CHECKSUM_PARTIAL, csumStart: 34 });
    }
    expect(taken(gso(four, { gsoSize: 500 }), bytesOf(four, 'partial'))).toMatchObject({
      flags: CHECKSUM_PARTIAL | GSO_TCP4,
    });
  });

  it.each<[string, TcpFrame, object]>([
    ['csum_start beyond the packet', four, { csumStart: 553, csumOffset: 16 }],
    ['csum_start of 65535', four, { csumStart: 0xffff, csumOffset: 0xffff, gsoType: 0 }],
    ['csum_start in the Ethernet header', four, { csumStart: 13, gsoType: 0 }],
    ['csum_offset that ends one byte beyond the packet', four, { csumOffset: 519, gsoType: 0 }],
    ['csum_offset of 65535', four, { csumOffset: 0xffff, gsoType: 0 }],
    ['csum_offset that is not that of TCP', four, { csumOffset: 6 }],
    ['segmentation without NEEDS_CSUM', four, { flags: 0 }],
    ['segmentation with DATA_VALID instead', four, { flags: 2 }],
    ['gso_size 0', four, { gsoSize: 0 }],
    ['1401 segments', { ...four, payload: Array.from({ length: 1401 }, () => 7) }, { gsoSize: 1 }],
    ['UDP fragmentation', four, { gsoType: 3 }],
    ['UDP segmentation', four, { gsoType: 5 }],
    ['an unknown gso_type', four, { gsoType: 2 }],
    ['ECN without a type', four, { gsoType: 0x80 }],
    ['a type with unknown bits', four, { gsoType: 0x41 }],
    ['TCP over IPv6 for IPv4', four, { gsoType: 4 }],
    ['TCP over IPv4 for IPv6', six, { gsoType: 1 }],
    ['TCP over IPv4 for a third VLAN tag', { ...four, tags: [1, 2, 3] }, {}],
  ])('drops and counts %s', (_, frame, change) => {
    expect(taken(gso(frame, change), bytesOf(frame, 'partial'))).toBeNull();
    expect(taken(gso(frame, change), bytesOf(frame, 'partial'), [12, 20])).toBeNull();
    expect(suite.count('badOffload')).toBe(2);
    expect(suite.count('packets')).toBe(0);
    expect(taken(gso(four), bytesOf(four, 'partial'))).not.toBeNull();
  });

  it.each([
    ['TCP over IPv4', OFFLOAD_CSUM | OFFLOAD_TSO6 | OFFLOAD_ECN, four, {}],
    ['TCP over IPv6', OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN, six, {}],
    ['ECN', OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6, four, { gsoType: 0x81 }],
    ['any segmentation', OFFLOAD_CSUM, four, {}],
  ])('drops and counts %s that was not negotiated', (_, offloads, frame, change) => {
    suite.driver.close();
    suite.setUp({ offloads });
    expect(taken(gso(frame, change), bytesOf(frame, 'partial'))).toBeNull();
    expect(suite.count('badOffload')).toBe(1);
    expect(taken(gso(frame, { gsoType: 0 }), bytesOf(frame, 'partial'))).toMatchObject({ flags: CHECKSUM_PARTIAL });
  });

  it('ignores the header if no offload was negotiated', () => {
    suite.driver.close();
    suite.setUp();
    expect(taken(gso(four, { csumStart: 0xffff }), bytesOf(four, 'partial'))).toEqual({});
    expect(suite.count('badOffload')).toBe(0);
  });

  it('takes the longest packet that IP has, with a VLAN tag, in many pieces', () => {
    const frame: TcpFrame = { ...four, tags: [1], payload: Array.from({ length: 65535 - 40 }, (_, i) => i & 0xff) };
    const bytes = bytesOf(frame, 'partial');
    expect(bytes).toHaveLength(MAX_FRAME_BYTES);
    const cuts = Array.from({ length: 31 }, () => 2048);
    expect(taken(gso(frame, { gsoSize: 1448 }), bytes, cuts)).toMatchObject({ gsoSize: 1448 });
    expect(taken(gso(frame, { gsoSize: 1448 }), [...bytes, 0], cuts)).toBeNull();
    expect(suite.count('tooLong')).toBe(1);
  });

  it('stores only what fits the packet, whatever a header says', () => {
    const field = fc.oneof(fc.nat(700), fc.nat(0xffff));
    const header = fc.record({
      flags: fc.constantFrom(0, 1, 2, 3, 0xff),
      gsoType: fc.oneof(fc.constantFrom(0, 1, 4, 0x81), fc.nat(0xff)),
      gsoSize: field,
      csumStart: field,
      csumOffset: fc.oneof(fc.constant(16), field),
      hdrLen: field,
    });
    fc.assert(
      fc.property(header, fc.constantFrom(four, six, tagged), (fields, frame) => {
        suite.driver.close();
        suite.setUp({ offloads: ALL_OFFLOADS });
        const bytes = bytesOf(frame, 'partial');
        const found = taken(netHeader(fields), bytes) as null | Record<string, number>;
        expect(suite.count('badOffload')).toBe(found === null ? 1 : 0);
        if (found?.flags === undefined) return;
        expect(found.flags & CHECKSUM_PARTIAL).toBe(CHECKSUM_PARTIAL);
        expect(found.csumStart! + found.csumOffset! + 2).toBeLessThanOrEqual(bytes.length);
        if ((found.flags & (GSO_TCP4 | GSO_TCP6)) === 0) return;
        expect(found.flags & GSO_TCP4).toBe(frame.version === 4 ? GSO_TCP4 : 0);
        expect(found.gsoSize).toBeGreaterThan(0);
        expect(found.gsoSize).toBeLessThan(bytes.length);
      }),
    );
  });
});
