/**
 * What virtio 1.2 demands of a network device with checksum and segmentation offloads (5.1.4.1, 5.1.6.2 to 5.1.6.4),
 * clause by clause. The device is the vhost-user backend. test/CLAUSES.md lists all clauses, also those that other tests
 * show.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import * as p from '../../../../drivers/transports/vhost-user/protocol.js';
import type { QueuePair } from '../../../../drivers/transports/vhost-user/queue-pair.js';
import { MAX_BURST, PacketBurst } from '../../../../drivers/virtio/device/packet-burst.js';
import * as f from '../../../../drivers/virtio/features.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../../rings/packet-table.js';
import { ACK, CWR, FIN, type MadePacket, PSH, packetOf } from '../../../support/offload/packets.js';
import { completed, faultOf, segmentsOf } from '../../../support/offload/reference.js';
import { BackendSuite, MODERN } from '../../../support/vhost-user/backend-suite.js';
import type { FakeFrontend } from '../../../support/vhost-user/fake-frontend.js';
import { frameOf } from '../../../support/virtio/driver-under-test.js';

const R = p.VhostUserRequest;
const WITH_STATUS = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS | p.PROTOCOL_F_MTU;
const HOST = f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6;
const GUEST_TSO = f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6;
const GUEST = f.VIRTIO_NET_F_GUEST_CSUM | GUEST_TSO | f.VIRTIO_NET_F_MRG_RXBUF;
const HEADER = 12;
const NEEDS_CSUM = 1;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

const suite = new BackendSuite();
let pair: QueuePair;
let frontend: FakeFrontend;
let burst: PacketBurst;

beforeEach(() => {
  suite.listen();
  suite.connect();
  ({ pair, frontend, burst } = suite);
});

/** Starts and enables both rings. */
async function run(features: bigint): Promise<void> {
  frontend.start(MODERN | features, WITH_STATUS);
  expect(await frontend.confirm(R.SET_STATUS, p.encodeU64(15n))).toBe(true);
  await suite.started();
}

interface Header {
  flags?: number;
  gsoType?: number;
  hdrLen?: number;
  gsoSize?: number;
  csumStart?: number;
  csumOffset?: number;
}

function headerOf({ flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 }: Header): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes[0] = flags;
  bytes[1] = gsoType;
  for (const [i, value] of [hdrLen, gsoSize, csumStart, csumOffset].entries()) bytes.writeUInt16LE(value, 2 + 2 * i);
  return bytes;
}

/** Offers a frame for transmission behind this header. */
function send(frame: Uint8Array, header: Header): void {
  const offset = frontend.tx.buffer(HEADER + frame.length);
  frontend.window.u8.set(headerOf(header), offset);
  frontend.window.u8.set(frame, offset + HEADER);
  frontend.tx.offer([{ offset, length: HEADER + frame.length }]);
}

interface Taken {
  frame: Uint8Array;
  flags: number;
}

function taken(): Taken[] {
  const count = pair.take(burst, MAX_BURST);
  const frames = Array.from({ length: count }, (_, i) => {
    const from = burst.segmentOffset[burst.firstSegment[i]!]!;
    const flags = burst.offloaded === 0 ? 0 : burst.flags[i]!;
    return { frame: burst.memory.u8.slice(from, from + burst.length[i]!), flags };
  });
  pair.complete();
  return frames;
}

/** Posts `count` buffers of this size; returns where they are. */
function post(count: number, length: number): number[] {
  return Array.from({ length: count }, () => {
    const offset = frontend.rx.buffer(length);
    frontend.rx.offer([{ offset, length, write: true }]);
    return offset;
  });
}

/** Gives a packet with these flags of rings/packet-table to the port; returns how many the driver got. */
function arrive({ frame, csumStart, csumOffset }: MadePacket, flags: number, gsoSize = 0): number {
  const buffer = new SharedArrayBuffer(1 << 17);
  const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  memory.u8.set(frame, 62);
  const packets = new PacketBurst(memory);
  packets.push(62, frame.length);
  packets.offloaded = flags === 0 ? 0 : 1;
  packets.flags[0] = flags;
  packets.gsoSize[0] = gsoSize;
  packets.csumStart[0] = csumStart;
  packets.csumOffset[0] = csumOffset;
  return pair.put(packets, ALL, 1);
}

interface Received {
  frame: Uint8Array;
  header: Required<Header>;
  buffers: number;
}

/** What the driver finds in its buffers, of `length` bytes each, which are used in their order. */
function received(buffers: readonly number[], length: number): Received[] {
  const used = frontend.rx.takeUsed();
  const { u8 } = frontend.window;
  const found: Received[] = [];
  for (let at = 0; at < used.length; ) {
    const head = Buffer.from(u8.slice(buffers[at], buffers[at]! + HEADER));
    const count = head.readUInt16LE(10);
    expect(count).toBeGreaterThan(0);
    const parts = used.slice(at, at + count).map(({ length: written }, i) => {
      // 5.1.6.4.1: all but the last are full.
      if (i < count - 1) expect(written).toBe(length);
      return u8.slice(buffers[at + i]!, buffers[at + i]! + written);
    });
    const header = {
      flags: head[0]!,
      gsoType: head[1]!,
      hdrLen: head.readUInt16LE(2),
      gsoSize: head.readUInt16LE(4),
      csumStart: head.readUInt16LE(6),
      csumOffset: head.readUInt16LE(8),
    };
    found.push({ frame: Uint8Array.from(Buffer.concat(parts)).subarray(HEADER), header, buffers: count });
    at += count;
  }
  return found;
}

const PLAIN: Required<Header> = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

describe('5.1.6.2.2 packet transmission', () => {
  // Clauses: 5.1.6.2.2a, 5.1.6.2.2b
  it('MUST ignore flag bits, and without NEEDS_CSUM csum_start and csum_offset', async () => {
    await run(HOST);
    for (const flags of [0xfe, 0x02, 0x04, 0xf8]) {
      const frame = frameOf(flags);
      send(frame, { flags, csumStart: 20, csumOffset: 2 });
      send(frame, { flags, csumStart: 0xffff, csumOffset: 0xffff });
      // DATA_VALID says nothing when a driver sets it: nobody has validated this checksum.
      expect(taken()).toEqual([
        { frame, flags: 0 },
        { frame, flags: 0 },
      ]);
    }
  });

  // Clauses: 5.1.6.2.2c
  it.each([0, 1, 14, 53, 1000, 0xffff])('MUST NOT rely on hdr_len: %d of 54 bytes', async (hdrLen) => {
    await run(HOST | f.VIRTIO_NET_F_MRG_RXBUF);
    const { frame, csumStart, csumOffset } = packetOf({ payload: 3000 });
    send(frame, { flags: NEEDS_CSUM, gsoType: 1, hdrLen, gsoSize: 1000, csumStart, csumOffset });
    const buffers = post(8, 2048);
    expect(pair.take(burst, 1)).toBe(1);
    expect(pair.put(burst, ALL, 1)).toBe(1);
    pair.complete();
    const found = received(buffers, 2048);
    expect(found.map((packet) => packet.frame)).toEqual(segmentsOf(frame, csumStart, 1000));
    expect(found.map((packet) => packet.header)).toEqual([PLAIN, PLAIN, PLAIN]);
  });

  // Clauses: 5.1.6.2.2d
  it('MUST NOT rely on checksums: passes on a frame whatever they are', async () => {
    await run(HOST);
    const { frame } = packetOf({ partial: false });
    frame[50]! ^= 0x55;
    send(frame, {});
    expect(taken()).toEqual([{ frame, flags: 0 }]);
  });

  it.each([
    ['csum_start in the Ethernet header', { csumStart: 13, csumOffset: 16 }],
    ['csum_start at the end', { csumStart: 154, csumOffset: 0 }],
    ['csum_start far beyond', { csumStart: 0xffff, csumOffset: 0xffff }],
    ['a field half beyond the end', { csumStart: 34, csumOffset: 119 }],
    ['csum_offset far beyond', { csumStart: 34, csumOffset: 0xffff }],
    ['no segment size', { gsoType: 1, gsoSize: 0 }],
    ['an unknown gso_type', { gsoType: 2, gsoSize: 100 }],
    ['UDP fragmentation, which is not offered', { gsoType: 3, gsoSize: 100 }],
    ['UDP segmentation, which is not offered', { gsoType: 5, gsoSize: 100 }],
    ['ECN without a type', { gsoType: 0x80, gsoSize: 100 }],
    ['TCPv6 with an IPv4 packet', { gsoType: 4, gsoSize: 100 }],
    ['a gso_type without NEEDS_CSUM', { flags: 0, gsoType: 1, gsoSize: 100 }],
    ['csum_start that is not the TCP header', { csumStart: 38, csumOffset: 12, gsoType: 1, gsoSize: 50 }],
  ])('drops and counts a packet with %s', async (_, header) => {
    await run(HOST | f.VIRTIO_NET_F_HOST_ECN);
    const { frame, csumStart, csumOffset } = packetOf({ payload: 100 });
    send(frame, { flags: NEEDS_CSUM, csumStart, csumOffset, ...header });
    const good = frameOf(9);
    send(good, {});
    expect(taken()).toEqual([{ frame: good, flags: 0 }]);
    expect(pair.counters()).toMatchObject({ in_badOffload: 1, in_packets: 1 });
    expect(frontend.tx.takeUsed()).toHaveLength(2);
  });

  it('drops and counts NEEDS_CSUM and gso_type of features that were not negotiated', async () => {
    await run(f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO6);
    const { frame, csumStart, csumOffset } = packetOf({ payload: 300 });
    send(frame, { flags: NEEDS_CSUM, gsoType: 1, gsoSize: 100, csumStart, csumOffset });
    expect(taken()).toEqual([]);
    expect(pair.counters().in_badOffload).toBe(1);
  });

  it('takes a packet to segment that is one segment', async () => {
    await run(HOST);
    const { frame, csumStart, csumOffset } = packetOf({ payload: 100 });
    send(frame, { flags: NEEDS_CSUM, gsoType: 1, gsoSize: 100, csumStart, csumOffset });
    expect(taken()).toEqual([{ frame, flags: CHECKSUM_PARTIAL | GSO_TCP4 }]);
  });
});

describe('5.1.6.3.2, 5.1.6.4.1 incoming packets', () => {
  // Clauses: 5.1.6.4.1e
  it.each([
    ['tcp', 4],
    ['tcp', 6],
    ['udp', 4],
    ['udp', 6],
  ] as const)('without GUEST_CSUM MUST set flags to 0: completes %s over IPv%d', async (protocol, version) => {
    await run(f.VIRTIO_NET_F_MRG_RXBUF);
    for (const payload of [0, 1, 100, 1401]) {
      const packet = packetOf({ protocol, version, payload });
      const buffers = post(1, 2048);
      expect(arrive(packet, CHECKSUM_PARTIAL)).toBe(1);
      const [found] = received(buffers, 2048);
      expect(found!.header).toEqual(PLAIN);
      expect(faultOf(found!.frame)).toBe('');
      expect(found!.frame).toEqual(completed(packet.frame, packet.csumStart, packet.csumOffset));
    }
  });

  // Clauses: 5.1.6.4.1f, 5.1.6.4.1g
  it.each([
    ['GUEST_TSO4', 4, 0n],
    ['GUEST_TSO6', 6, 0n],
    ['GUEST_TSO4 but with TSO6', 4, f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO6],
    ['GUEST_TSO6 but with TSO4', 6, f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO4],
  ] as const)('without %s MUST NOT set its gso_type: segments IPv%d', async (_, version, features) => {
    await run(features | f.VIRTIO_NET_F_MRG_RXBUF);
    const packet = packetOf({ version, payload: 3001, flags: ACK | PSH | FIN, tcpOptions: 12 });
    const buffers = post(8, 2048);
    expect(arrive(packet, CHECKSUM_PARTIAL | (version === 4 ? GSO_TCP4 : GSO_TCP6), 1000)).toBe(1);
    const found = received(buffers, 2048);
    expect(found.map(({ header }) => header.gsoType)).toEqual([0, 0, 0, 0]);
    const whole = found.map(({ frame, header }) =>
      header.flags === NEEDS_CSUM ? completed(frame, header.csumStart, header.csumOffset) : frame,
    );
    expect(whole.map(faultOf)).toEqual(['', '', '', '']);
    expect(whole).toEqual(segmentsOf(packet.frame, packet.csumStart, 1000));
  });

  // Clauses: 5.1.6.4.1k, 5.1.6.4.1l
  it.each([4, 6] as const)('with NEEDS_CSUM MUST leave the pseudo sum: IPv%d', async (version) => {
    await run(GUEST);
    const { frame, csumStart, csumOffset, headers } = packetOf({ version, payload: 777, tags: 1 });
    const buffers = post(1, 2048);
    expect(arrive({ frame, csumStart, csumOffset, headers }, CHECKSUM_PARTIAL)).toBe(1);
    const [found] = received(buffers, 2048);
    expect(found!.frame).toEqual(frame);
    expect(found!.header).toMatchObject({ flags: NEEDS_CSUM, gsoType: 0, csumStart, csumOffset });
    expect(faultOf(completed(found!.frame, found!.header.csumStart, found!.header.csumOffset))).toBe('');
  });

  // Clauses: 5.1.6.3.2a, 5.1.6.4.1c, 5.1.6.4.1d, 5.1.6.4.1m, 5.1.6.4.1n, 5.1.6.4.1o
  it.each([4, 6] as const)('with a gso_type MUST set NEEDS_CSUM and gso_size: IPv%d', async (version) => {
    await run(GUEST);
    // With MRG_RXBUF the packet lies in several buffers; received() checks that all but the last are full.
    const packet = packetOf({ version, payload: 14000, tcpOptions: 12 });
    const buffers = post(8, 2048);
    const flags = CHECKSUM_PARTIAL | (version === 4 ? GSO_TCP4 : GSO_TCP6);
    expect(arrive(packet, flags, 1448)).toBe(1);
    const [found, ...more] = received(buffers, 2048);
    expect(more).toEqual([]);
    expect(found!.buffers).toBe(Math.ceil((HEADER + packet.frame.length) / 2048));
    expect(found!.frame).toEqual(packet.frame);
    const { csumStart, csumOffset } = packet;
    expect(found!.header).toMatchObject({
      flags: NEEDS_CSUM,
      gsoType: version === 4 ? 1 : 4,
      gsoSize: 1448,
      csumStart,
      csumOffset,
    });
    expect(found!.header.hdrLen).toBeGreaterThanOrEqual(packet.headers);
  });

  // Clauses: 5.1.6.4.1i
  it.each([
    ['with', f.VIRTIO_NET_F_GUEST_ECN, [0x81]],
    ['without', 0n, [0, 0, 0]],
  ] as const)('%s GUEST_ECN MUST set ECN, or pass on no packet to segment', async (_, ecn, types) => {
    await run(GUEST | ecn);
    const buffers = post(8, 2048);
    const packet = packetOf({ payload: 3000, flags: ACK | CWR });
    expect(arrive(packet, CHECKSUM_PARTIAL | GSO_TCP4 | GSO_ECN, 1000)).toBe(1);
    const found = received(buffers, 2048);
    expect(found.map(({ header }) => header.gsoType)).toEqual(types);
    // CWR only the first one has.
    expect(found.map(({ frame }) => frame[47]! & CWR)).toEqual(types.map((__, i) => (i === 0 ? CWR : 0)));
  });

  // Clauses: 5.1.6.4.1p
  it('MUST NOT set DATA_VALID for what nobody has validated', async () => {
    await run(HOST | GUEST);
    const { frame } = packetOf({ partial: false });
    send(frame, { flags: 2 });
    const buffers = post(2, 2048);
    expect(pair.take(burst, 1)).toBe(1);
    expect(pair.put(burst, ALL, 1)).toBe(1);
    pair.complete();
    // What the kernel has validated behind a tap may be passed on as valid.
    expect(arrive(packetOf({ partial: false }), CHECKSUM_VERIFIED)).toBe(1);
    const [first, second] = received(buffers, 2048);
    expect(first!.header.flags).toBe(0);
    expect([0, 2]).toContain(second!.header.flags);
  });
});

describe('5.1.4.1 MTU', () => {
  const setMtu = (mtu: number): Promise<boolean> => frontend.confirm(R.NET_SET_MTU, p.encodeU64(BigInt(mtu)));

  // Clauses: 5.1.4.1d
  it('bounds the segments of a packet with a gso_type, not the packet', async () => {
    await run(GUEST | f.VIRTIO_NET_F_MTU);
    expect(await setMtu(1000)).toBe(true);
    const buffers = post(8, 2048);
    const packet = packetOf({ payload: 5000 });
    expect(arrive(packet, CHECKSUM_PARTIAL | GSO_TCP4, 960)).toBe(1);
    // 40 bytes of headers and 961 are more than 1000; but 4 are allowed for a VLAN tag, which the frame does not have.
    expect(arrive(packet, CHECKSUM_PARTIAL | GSO_TCP4, 965)).toBe(0);
    expect(arrive(packet, CHECKSUM_PARTIAL)).toBe(0);
    expect(pair.counters().out_tooLong).toBe(2);
    expect(received(buffers, 2048)).toHaveLength(1);
  });

  // Clauses: 5.1.4.1d
  it('bounds the segments that are cut for a driver that takes no packet to segment', async () => {
    await run(f.VIRTIO_NET_F_MTU);
    expect(await setMtu(1000)).toBe(true);
    const buffers = post(12, 2048);
    expect(arrive(packetOf({ payload: 5000 }), CHECKSUM_PARTIAL | GSO_TCP4, 960)).toBe(1);
    const frames = received(buffers, 2048).map(({ frame }) => frame);
    expect(frames.map(faultOf)).toEqual(frames.map(() => ''));
    expect(Math.max(...frames.map(({ length }) => length))).toBe(1014);
    expect(arrive(packetOf({ payload: 5000 }), CHECKSUM_PARTIAL | GSO_TCP4, 1200)).toBe(0);
    expect(pair.counters().out_tooLong).toBeGreaterThan(0);
  });
});
