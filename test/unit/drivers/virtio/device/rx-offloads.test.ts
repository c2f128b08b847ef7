/** Unfinished packets on their way to a driver: as they are if it takes them, otherwise finished (virtio 1.2, 5.1.6.4). */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../../../drivers/offloads.js';
import type { RingOptions } from '../../../../../drivers/virtio/device/ring.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../../../rings/packet-table.js';
import { ALL, DeviceRxSuite } from '../../../../support/virtio/device-queue-suite.js';
import { netHeader, readNetHeader } from '../../../../support/virtio/net-headers.js';
import { bytesOf, headersOf, segmentsOf, type TcpFrame, tcpStart } from '../../../../support/virtio/tcp-frames.js';

const TSO = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6;
const ALL_OFFLOADS = TSO | OFFLOAD_ECN;
const suite = new DeviceRxSuite();
const bytes = (length: number): number[] => Array.from({ length }, (_, i) => (i * 7) & 0xff);
const four: TcpFrame = { version: 4, payload: bytes(3000), tcpOptions: 12 };
const six: TcpFrame = { ...four, version: 6 };
const gsoOf = ({ version }: TcpFrame): number => CHECKSUM_PARTIAL | (version === 4 ? GSO_TCP4 : GSO_TCP6);

/** Appends a frame to the burst, in pieces of these lengths (the last is what is left). Returns its bytes. */
function append(frame: TcpFrame, flags: number, gsoSize = 1000, pieces: readonly number[] = []): number[] {
  const { burst } = suite;
  const whole = bytesOf(frame, (flags & CHECKSUM_PARTIAL) !== 0 ? 'partial' : 'complete');
  const rest = whole.length - pieces.reduce((sum, length) => sum + length, 0);
  const i = burst.count;
  suite.packet([...pieces, rest], 0);
  let done = 0;
  for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
    burst.memory.u8.set(whole.slice(done, done + burst.segmentLength[s]!), burst.segmentOffset[s]!);
    done += burst.segmentLength[s]!;
  }
  burst.flags[i] = flags;
  burst.gsoSize[i] = gsoSize;
  burst.csumStart[i] = tcpStart(frame);
  burst.csumOffset[i] = 16;
  if (flags !== 0) burst.offloaded++;
  return whole;
}

/** What the driver has got: for each frame the fields of its header and its bytes. */
function received(headerBytes = 12): { header: ReturnType<typeof readNetHeader>; frame: number[] }[] {
  const used = suite.driver.takeUsed();
  const frames: { header: ReturnType<typeof readNetHeader>; frame: number[] }[] = [];
  for (let u = 0; u < used.length; ) {
    const buffers = headerBytes === 12 ? suite.found(used[u]!)[10]! : 1;
    expect(buffers).toBeGreaterThan(0);
    const whole = used.slice(u, u + buffers).flatMap((element) => suite.found(element));
    frames.push({ header: readNetHeader(whole.slice(0, headerBytes)), frame: whole.slice(headerBytes) });
    u += buffers;
  }
  return frames;
}

/** A queue whose driver takes these offloads, and has posted `posted` buffers of `length` bytes. */
function setUp(offloads: number, posted: number, length: number, options: Partial<RingOptions> = {}): void {
  suite.setUp({ size: 64, offloads, ...options });
  for (let i = 0; i < posted; i++) suite.post([length]);
}

const PLAIN = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

describe.each(['split', 'packed'] as const)('DeviceRxQueue with offloads on a %s ring', (which) => {
  beforeEach(() => {
    suite.layout = which;
  });

  afterEach(() => {
    suite.layout = 'split';
  });

  it.each<[string, TcpFrame, number, number]>([
    ['IPv4', four, GSO_TCP4, 1],
    ['IPv6', six, GSO_TCP6, 4],
    ['IPv4 with ECN', four, GSO_TCP4 | GSO_ECN, 0x81],
    ['IPv6 with ECN', six, GSO_TCP6 | GSO_ECN, 0x84],
    ['IPv4 behind VLAN tags', { ...four, tags: [1, 2] }, GSO_TCP4, 1],
  ])('gives a packet for many segments of %s as it is, to a driver that takes it', (_, frame, flags, gsoType) => {
    for (const mergeable of [false, true]) {
      if (mergeable) suite.driver.close();
      setUp(ALL_OFFLOADS, mergeable ? 9 : 1, mergeable ? 500 : 4000, { mergeable });
      const whole = append(frame, CHECKSUM_PARTIAL | flags, 1000, [10, 100, 1400]);
      expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
      const buffers = mergeable ? Math.ceil((12 + whole.length) / 500) : 1;
      const place = { csumStart: tcpStart(frame), csumOffset: 16, hdrLen: headersOf(frame) };
      expect(received()).toEqual([{ header: { flags: 1, gsoType, gsoSize: 1000, buffers, ...place }, frame: whole }]);
      expect([suite.count('packets'), suite.count('bytes')]).toEqual([1, whole.length]);
      expect([suite.count('softwareChecksums'), suite.count('softwareSegments')]).toEqual([0, 0]);
    }
  });

  it('gives a partial checksum as it is to a driver that takes it', () => {
    setUp(OFFLOAD_CSUM, 1, 4000);
    const whole = append(four, CHECKSUM_PARTIAL);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    const header = { ...PLAIN, flags: 1, csumStart: 34, csumOffset: 16, buffers: 1 };
    expect(received()).toEqual([{ header, frame: whole }]);
  });

  it.each([
    ['takes', OFFLOAD_CSUM, 2],
    ['does not take', 0, 0],
  ])('says that a checksum was verified to a driver that %s such flags', (_, offloads, flags) => {
    setUp(offloads, 1, 4000);
    const whole = append(four, CHECKSUM_VERIFIED);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect(received()).toEqual([{ header: { ...PLAIN, flags, buffers: 1 }, frame: whole }]);
    expect(suite.count('softwareChecksums')).toBe(0);
  });

  it.each([false, true])('completes a partial checksum for a driver that takes none (merging: %s)', (mergeable) => {
    setUp(0, mergeable ? 10 : 2, mergeable ? 1000 : 4000, { mergeable });
    append(four, CHECKSUM_PARTIAL, 0, [50, 7]);
    append(six, CHECKSUM_PARTIAL, 0);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(2);
    const got = received();
    expect(got.map(({ frame }) => frame)).toEqual([bytesOf(four, 'complete'), bytesOf(six, 'complete')]);
    for (const { header } of got) expect(header).toMatchObject(PLAIN);
    expect(suite.count('softwareChecksums')).toBe(2);
  });

  it.each<[string, number, number, 'partial' | 'complete']>([
    ['takes no offloads', 0, 0, 'complete'],
    ['takes checksums', OFFLOAD_CSUM, 0, 'partial'],
    ['takes segments of the other version', OFFLOAD_CSUM | OFFLOAD_TSO6, 0, 'partial'],
    ['takes segments, but none with ECN', TSO, GSO_ECN, 'partial'],
  ])('cuts a packet for a driver that %s', (_, offloads, ecn, checksum) => {
    for (const mergeable of [false, true]) {
      if (mergeable) suite.driver.close();
      setUp(offloads, 8, mergeable ? 600 : 2000, { mergeable });
      append(four, gsoOf(four) | ecn, 1400, [66, 900]);
      expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
      const expected = segmentsOf(four, 1400).map((segment) => bytesOf(segment, checksum));
      const got = received();
      expect(got.map(({ frame }) => frame)).toEqual(expected);
      const fields = checksum === 'partial' ? { ...PLAIN, flags: 1, csumStart: 34, csumOffset: 16 } : PLAIN;
      for (const { header } of got) expect(header).toMatchObject(fields);
      expect(suite.count('softwareSegments')).toBe(3);
      // Frames are counted as the driver sees them.
      expect([suite.count('packets'), suite.count('bytes')]).toEqual([3, expected.flat().length]);
    }
  });

  it('writes the fields of a legacy header, and cuts for a legacy driver', () => {
    setUp(OFFLOAD_CSUM | OFFLOAD_TSO4, 4, 4000, { headerBytes: 10, mergeable: false });
    const whole = append(four, gsoOf(four));
    append(six, gsoOf(six), 2000);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(2);
    const got = received(10);
    expect(got[0]).toEqual({
      header: { flags: 1, gsoType: 1, gsoSize: 1000, csumStart: 34, csumOffset: 16, hdrLen: 66, buffers: 0 },
      frame: whole,
    });
    expect(got.slice(1).map(({ frame }) => frame)).toEqual(segmentsOf(six, 2000).map((one) => bytesOf(one, 'partial')));
  });

  it('writes a header over several descriptors, at odd places', () => {
    setUp(ALL_OFFLOADS, 0, 0);
    suite.post([5, 3, 1, 4000], 7);
    const whole = append(four, gsoOf(four));
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    const place = { csumStart: 34, csumOffset: 16, hdrLen: 66, buffers: 1 };
    expect(received()).toEqual([{ header: { flags: 1, gsoType: 1, gsoSize: 1000, ...place }, frame: whole }]);
  });

  it('keeps the order of plain and unfinished packets that the indices name', () => {
    setUp(OFFLOAD_CSUM, 10, 2000);
    const small: TcpFrame = { version: 4, payload: bytes(100) };
    append(small, 0);
    append(four, gsoOf(four), 1500);
    append(small, CHECKSUM_PARTIAL);
    append(six, 0);
    expect(suite.queue.put(suite.burst, Uint8Array.of(2, 1, 0), 3)).toBe(3);
    const got = received();
    expect(got.map(({ frame }) => frame)).toEqual([
      bytesOf(small, 'partial'),
      ...segmentsOf(four, 1500).map((segment) => bytesOf(segment, 'partial')),
      bytesOf(small, 'complete'),
    ]);
    expect(got.map(({ header }) => header.flags)).toEqual([1, 1, 1, 0]);
  });

  it('stops cutting without a buffer, and does not count the packet as delivered', () => {
    setUp(0, 2, 2000);
    append(four, gsoOf(four), 1000);
    append(four, CHECKSUM_PARTIAL);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(0);
    expect(received().map(({ frame }) => frame)).toEqual(
      segmentsOf(four, 1000)
        .slice(0, 2)
        .map((segment) => bytesOf(segment, 'complete')),
    );
    expect([suite.count('noBuffer'), suite.count('softwareSegments'), suite.count('packets')]).toEqual([2, 2, 2]);
  });

  it('applies the MTU of the driver to the segments of a packet', () => {
    for (const offloads of [ALL_OFFLOADS, OFFLOAD_CSUM, 0]) {
      if (offloads !== ALL_OFFLOADS) suite.driver.close();
      setUp(offloads, 9, 4000);
      suite.queue.longestFrame = headersOf(four) + 1000;
      append(four, gsoOf(four), 1000);
      append(four, gsoOf(four), 1001);
      append(four, CHECKSUM_PARTIAL);
      append({ ...four, payload: bytes(1000) }, CHECKSUM_PARTIAL);
      expect(suite.queue.put(suite.burst, ALL, 4)).toBe(2);
      expect(suite.count('tooLong')).toBe(2);
    }
  });

  it('drops a packet that does not fit the buffers of a driver that takes it', () => {
    setUp(ALL_OFFLOADS, 2, 2000, { mergeable: false });
    append(four, gsoOf(four));
    append({ ...four, payload: bytes(100) }, CHECKSUM_PARTIAL);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(1);
    expect([suite.count('noRoom'), suite.count('packets')]).toEqual([1, 1]);
  });

  it('drops and counts a packet that it cannot cut, because its bytes have changed', () => {
    setUp(0, 4, 4000);
    append(four, gsoOf(four));
    suite.burst.memory.u8[suite.burst.segmentOffset[0]! + 14] = 0x65;
    append(four, CHECKSUM_PARTIAL);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(1);
    expect([suite.count('badOffload'), suite.count('packets')]).toEqual([1, 1]);
  });

  it('says no more of the headers than the packet has, whatever that of TCP says', () => {
    setUp(ALL_OFFLOADS, 1, 4000);
    const short: TcpFrame = { version: 4, payload: bytes(10) };
    append(short, gsoOf(short), 5);
    suite.burst.memory.u8[suite.burst.segmentOffset[0]! + 46] = 0xf0;
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect(received()[0]!.header.hdrLen).toBe(64);
  });

  it('counts packets for a stopped ring', () => {
    setUp(0, 4, 4000);
    append(four, gsoOf(four));
    suite.queue.ring.stop();
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(0);
    expect(suite.count('noDriver')).toBe(1);
  });

  it('carries 64 KiB in buffers of any kind, whole or cut', () => {
    const long: TcpFrame = { version: 4, payload: bytes(65535 - 40), tags: [9] };
    const whole = bytesOf(long, 'partial');
    for (const [offloads, posted, length] of [
      [ALL_OFFLOADS, 1, 12 + whole.length],
      [ALL_OFFLOADS, 43, 1536],
      [OFFLOAD_CSUM, 50, 1536],
    ] as const) {
      suite.driver?.close();
      setUp(offloads, posted, length, { size: 64 });
      suite.packet([100, 20000, whole.length - 20100], 0);
      suite.burst.clear();
      append(long, gsoOf(long), 1448, [100, 20000]);
      expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
      const expected =
        offloads === ALL_OFFLOADS ? [whole] : segmentsOf(long, 1448).map((segment) => bytesOf(segment, 'partial'));
      expect(received().map(({ frame }) => Buffer.from(frame))).toEqual(expected.map((one) => Buffer.from(one)));
    }
  });

  it('delivers what the sender meant, whatever driver, buffers and pieces', () => {
    const kinds = fc.record({
      version: fc.constantFrom<4 | 6>(4, 6),
      length: fc.integer({ min: 13, max: 4000 }),
      asked: fc.constantFrom('nothing', 'checksum', 'segments', 'segments with ECN'),
      size: fc.integer({ min: 200, max: 1448 }),
      // The shortest frame has 67 bytes.
      pieces: fc.array(fc.integer({ min: 1, max: 22 }), { maxLength: 3 }),
    });
    const driver = fc.record({
      offloads: fc.constantFrom(0, OFFLOAD_CSUM, OFFLOAD_CSUM | OFFLOAD_TSO4, TSO, ALL_OFFLOADS),
      mergeable: fc.boolean(),
      skew: fc.nat(15),
    });
    fc.assert(
      fc.property(driver, fc.array(kinds, { minLength: 1, maxLength: 3 }), ({ offloads, mergeable, skew }, packets) => {
        suite.driver?.close();
        suite.setUp({ size: 128, offloads, mergeable });
        for (let i = 0; i < (mergeable ? 100 : 64); i++) suite.post([mergeable ? 700 : 5000], skew);
        const expected: number[][] = [];
        for (const { version, length, asked, size, pieces } of packets) {
          const frame: TcpFrame = { version, payload: bytes(length) };
          const isGso = asked.startsWith('segments');
          const flags = (asked === 'nothing' ? 0 : CHECKSUM_PARTIAL) | (isGso ? gsoOf(frame) : 0);
          const ecn = asked === 'segments with ECN' ? GSO_ECN : 0;
          append(frame, flags | ecn, Math.min(size, length), pieces);
          const needed = (version === 4 ? OFFLOAD_TSO4 : OFFLOAD_TSO6) | (ecn === 0 ? 0 : OFFLOAD_ECN);
          const checksum = flags !== 0 && (offloads & OFFLOAD_CSUM) !== 0 ? 'partial' : 'complete';
          const isCut = isGso && (offloads & needed) !== needed;
          const frames = isCut ? segmentsOf(frame, Math.min(size, length)) : [frame];
          expected.push(...frames.map((one) => bytesOf(one, checksum)));
        }
        expect(suite.queue.put(suite.burst, ALL, packets.length)).toBe(packets.length);
        expect(received().map(({ frame }) => frame)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

it('writes the header of the field test as the specification lays it out', () => {
  expect(
    netHeader({ flags: 1, gsoType: 4, hdrLen: 0x102, gsoSize: 0x304, csumStart: 0x506, csumOffset: 0x708 }),
  ).toEqual([1, 4, 2, 1, 4, 3, 6, 5, 8, 7, 0, 0]);
});
