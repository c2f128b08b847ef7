/** What is done in software for a driver without offloads, against frames that are built one by one. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type MemoryViews, WindowAllocator } from '../../../../../drivers/memory/index.js';
import { PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import { SoftwareOffload } from '../../../../../drivers/virtio/device/software-offload.js';
import { CHECKSUM_PARTIAL, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../../../rings/packet-table.js';
import { naiveChecksum } from '../../../../support/link/frames.js';
import {
  ACK,
  bytesOf,
  CWR,
  FIN,
  headersOf,
  PSH,
  segmentsOf,
  type TcpFrame,
  tcpStart,
} from '../../../../support/virtio/tcp-frames.js';

const CAPACITY = 64 << 20;
let windows: WindowAllocator;
let memory: MemoryViews;
let software: SoftwareOffload;

beforeEach(() => {
  windows = new WindowAllocator(CAPACITY);
  memory = windows.allocate(1 << 20).window;
  software = new SoftwareOffload(windows);
});

afterEach(() => software.close());

/** A burst with one packet in pieces of these lengths (the last is what is left), `skew` bytes off a multiple of 64. */
function packet(bytes: readonly number[], pieces: readonly number[] = [], skew = 0): PacketBurst {
  const burst = new PacketBurst(memory);
  let at = 4096 + skew;
  let done = 0;
  for (const length of [...pieces, bytes.length]) {
    const part = bytes.slice(done, done + length);
    if (part.length === 0) break;
    memory.u8.set(part, at);
    burst.segmentOffset[burst.segments] = at;
    burst.segmentLength[burst.segments++] = part.length;
    at += part.length + 3;
    done += part.length;
  }
  burst.length[0] = bytes.length;
  burst.firstSegment[1] = burst.segments;
  burst.count = 1;
  return burst;
}

function asked(burst: PacketBurst, frame: TcpFrame, gsoSize: number, flags = 0): PacketBurst {
  burst.offloaded = 1;
  burst.flags[0] = flags | CHECKSUM_PARTIAL | (frame.version === 4 ? GSO_TCP4 : GSO_TCP6);
  burst.gsoSize[0] = gsoSize;
  burst.csumStart[0] = tcpStart(frame);
  burst.csumOffset[0] = 16;
  return burst;
}

function made(): number[] {
  const { burst } = software;
  expect([burst.count, burst.segments]).toEqual([1, 1]);
  const at = burst.segmentOffset[0]!;
  return [...burst.memory.u8.slice(at, at + burst.length[0]!)];
}

function cut(burst: PacketBurst, isPartial = false): number[][] {
  expect(software.begin(burst, 0, isPartial)).toBe(true);
  const segments: number[][] = [];
  while (software.next()) segments.push(made());
  expect(software.next()).toBe(false);
  return segments;
}

const payload = (length: number, seed = 1): number[] => Array.from({ length }, (_, i) => (i * (seed * 2 + 1)) & 0xff);

const frames = fc.record({
  version: fc.constantFrom<4 | 6>(4, 6),
  payload: fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(9)).map(([length, seed]) => payload(length, seed)),
  tags: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 2 }),
  ipOptions: fc.constantFrom(0, 0, 8, 16),
  tcpOptions: fc.constantFrom(0, 12, 40),
  sequence: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  id: fc.integer({ min: 0xfff0, max: 0xffff }),
  flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN, ACK | CWR, ACK | CWR | FIN | PSH),
});
const pieces = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 5 });

it('cuts any packet into the segments that it stands for, byte for byte', () => {
  fc.assert(
    fc.property(frames, fc.integer({ min: 5, max: 1500 }), pieces, fc.nat(15), fc.boolean(), (frame, size, ...rest) => {
      const [parts, skew, isPartial] = rest;
      const burst = asked(packet(bytesOf(frame, 'partial'), parts, skew), frame, size, GSO_ECN);
      const expected = segmentsOf(frame, size).map((one) => bytesOf(one, isPartial ? 'partial' : 'complete'));
      expect(cut(burst, isPartial)).toEqual(expected);
      if (!isPartial) return;
      const { flags, csumStart, csumOffset, offloaded } = software.burst;
      expect([flags[0], csumStart[0], csumOffset[0], offloaded]).toEqual([CHECKSUM_PARTIAL, tcpStart(frame), 16, 1]);
    }),
    { numRuns: 200 },
  );
});

it('completes any partial checksum, byte for byte', () => {
  fc.assert(
    fc.property(frames, pieces, fc.nat(15), (frame, parts, skew) => {
      const burst = packet(bytesOf(frame, 'partial'), parts, skew);
      burst.csumStart[0] = tcpStart(frame);
      burst.csumOffset[0] = 16;
      software.sum(burst, 0);
      expect(made()).toEqual(bytesOf(frame, 'complete'));
      expect(software.burst.offloaded).toBe(0);
    }),
    { numRuns: 200 },
  );
});

it('writes a sum of 0 as 0xffff: in UDP, 0 says that there is none', () => {
  // The last two bytes make the sum 0xffff.
  const bytes = [...payload(34), 0x12, 0x34, 0, 9, 0, 10, 0, 0, 0, 0];
  const without = ~naiveChecksum(bytes.slice(34)) & 0xffff;
  bytes.splice(42, 2, (0xffff - without) >>> 8, (0xffff - without) & 0xff);
  const burst = packet(bytes);
  burst.csumStart[0] = 34;
  burst.csumOffset[0] = 6;
  software.sum(burst, 0);
  expect(made().slice(40, 42)).toEqual([0xff, 0xff]);
});

it.each([
  ['64 KiB in segments of an Ethernet frame', 65535 - 40, 1448],
  ['64 KiB in segments of 48 bytes', 65535 - 40, 48],
  ['a packet of one segment', 900, 900],
  ['segments that are shorter than the headers', 300, 7],
])('cuts %s', (_, length, size) => {
  const frame: TcpFrame = { version: 4, payload: payload(length) };
  const segments = cut(asked(packet(bytesOf(frame, 'partial')), frame, size));
  expect(segments).toHaveLength(Math.ceil(length / size));
  const expected = segmentsOf(frame, size);
  for (const i of [0, 1, 2, 20, segments.length - 1].filter((one) => one < segments.length)) {
    expect(segments[i]).toEqual(bytesOf(expected[i]!, 'complete'));
  }
});

it('also works without room in the window, and from another memory', () => {
  windows.allocate(CAPACITY - (4 << 20));
  const own = new SoftwareOffload();
  const frame: TcpFrame = { version: 6, payload: payload(5000) };
  const burst = asked(packet(bytesOf(frame, 'partial'), [70, 1001]), frame, 1440);
  for (const one of [software, own]) {
    software = one;
    expect(cut(burst)).toEqual(segmentsOf(frame, 1440).map((segment) => bytesOf(segment, 'complete')));
  }
});

it('gives its room back', () => {
  const { gaps } = windows as unknown as { gaps: unknown[] };
  const before = structuredClone(gaps);
  const frame: TcpFrame = { version: 4, payload: payload(100) };
  const burst = asked(packet(bytesOf(frame, 'partial')), frame, 50);
  expect(cut(burst)).toHaveLength(2);
  expect(gaps).not.toEqual(before);
  software.close();
  expect(gaps).toEqual(before);
  expect(cut(burst)).toHaveLength(2);
});

/** What a sender may have written after its header was checked, or never have meant: [name, frame, change of its bytes]. */
const four: TcpFrame = { version: 4, payload: payload(500) };
const six: TcpFrame = { version: 6, payload: payload(500) };
it.each<[string, TcpFrame, (bytes: number[]) => void]>([
  ['another EtherType', four, (bytes) => bytes.splice(12, 2, 0x86, 0xdd)],
  ['a version that is not that of the type', four, (bytes) => bytes.splice(14, 1, 0x65)],
  ['an IPv4 header that ends before TCP', four, (bytes) => bytes.splice(14, 1, 0x44)],
  ['an IPv4 header that ends in TCP', four, (bytes) => bytes.splice(14, 1, 0x46)],
  ['UDP', four, (bytes) => bytes.splice(23, 1, 17)],
  ['a fragment', four, (bytes) => bytes.splice(20, 2, 0, 1)],
  ['the first of several fragments', four, (bytes) => bytes.splice(20, 1, 0x20)],
  ['a TCP header that is too short', four, (bytes) => bytes.splice(46, 1, 0x40)],
  ['a TCP header that ends beyond the packet', { ...four, payload: [1, 2] }, (bytes) => bytes.splice(46, 1, 0xf0)],
  ['a TCP header that ends where the packet ends', { ...four, payload: [] }, () => {}],
  ['another EtherType than IPv6', six, (bytes) => bytes.splice(12, 2, 0x08, 0)],
  ['another version than 6', six, (bytes) => bytes.splice(14, 1, 0x45)],
  ['UDP over IPv6', six, (bytes) => bytes.splice(20, 1, 17)],
  ['a tag more than are looked at', { ...four, tags: [1, 2, 3] }, () => {}],
])('refuses %s', (_, frame, change) => {
  const bytes = bytesOf(frame, 'partial');
  change(bytes);
  expect(software.begin(asked(packet(bytes), frame, 100), 0, false)).toBe(false);
});

it('refuses a place of TCP inside the IPv6 header', () => {
  const burst = asked(packet(bytesOf(six, 'partial')), six, 100);
  burst.csumStart[0] = 14 + 20;
  expect(software.begin(burst, 0, false)).toBe(false);
});

it('refuses a packet of more segments than can be cut while others wait', () => {
  const frame: TcpFrame = { version: 4, payload: payload(1401) };
  expect(software.begin(asked(packet(bytesOf(frame, 'partial')), frame, 1), 0, false)).toBe(false);
  const less: TcpFrame = { version: 4, payload: payload(1400) };
  expect(cut(asked(packet(bytesOf(less, 'partial')), less, 1))).toHaveLength(1400);
});

it('reads nothing of the sender again after it has copied the packet', () => {
  const frame: TcpFrame = { version: 4, payload: payload(3000), flags: ACK | FIN };
  const bytes = bytesOf(frame, 'partial');
  const burst = asked(packet(bytes), frame, 1000);
  expect(software.begin(burst, 0, false)).toBe(true);
  memory.u8.fill(0xee, 4096, 4096 + bytes.length);
  burst.clear();
  const segments: number[][] = [];
  while (software.next()) segments.push(made());
  expect(segments).toEqual(segmentsOf(frame, 1000).map((one) => bytesOf(one, 'complete')));
  expect(segments[0]!.length).toBe(headersOf(frame) + 1000);
});
