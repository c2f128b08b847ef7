/** What the driver makes of the virtio-net header of a received packet (virtio 1.2, 5.1.6.4), field by field. */
import { afterEach, describe, expect, it } from 'vitest';
import * as bits from '../../../../../../drivers/virtio/driver/offload-bits.js';
import * as t from '../../../../../../rings/packet-table.js';
import { ChainQueues, type NetHeader } from '../../../../../support/virtio/chain-queues.js';
import { type Frame, type FrameFields, tcpFrame } from '../../../../../support/virtio/offload-frames.js';

const ALL = bits.GUEST_CSUM | bits.GUEST_TSO4 | bits.GUEST_TSO6 | bits.GUEST_ECN;
const [V4, V6, ECN] = [1, 4, 0x80];

/** The header that a device writes for a GSO packet. */
const gso = ({ transport, headers }: Frame, fields: NetHeader = {}): NetHeader => ({
  flags: 1,
  gsoType: V4,
  hdrLen: headers,
  gsoSize: 500,
  csumStart: transport,
  csumOffset: 16,
  ...fields,
});

describe.each([
  ['split', false],
  ['packed', true],
] as const)('a received header on a %s ring', (_, packed) => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  const open = (features: number, mergeable = true): void => {
    queues = new ChainQueues({ packed, features, mergeable });
  };
  /** Delivers the frame, and expects it with these flags. */
  const takes = ({ bytes }: Frame, header: NetHeader, flags: number): t.PacketTable => {
    queues.deliver([bytes], header);
    const packets = queues.receiveAll();
    expect(packets).toHaveLength(1);
    expect(packets[0]).toMatchObject({ flags, frame: Buffer.from(bytes), parts: [bytes.length] });
    if ((flags & t.CHECKSUM_PARTIAL) !== 0) {
      expect(packets[0]).toMatchObject({ csumStart: header.csumStart, csumOffset: header.csumOffset });
    }
    if ((flags & t.GSO) !== 0) expect(packets[0]!.gsoSize).toBe(header.gsoSize);
    return queues.table;
  };
  /** Delivers the frame, and expects it to be dropped and counted; and that the next one arrives. */
  const refuses = ({ bytes }: Frame, header: NetHeader): void => {
    queues.deliver([bytes], header);
    queues.deliver([bytes]);
    expect(queues.receiveAll()).toMatchObject([{ flags: 0 }]);
    expect(queues.rxCounts).toMatchObject({ droppedBadOffload: 1, packets: 1, droppedBadLength: 0 });
  };

  describe('flags', () => {
    const frame = tcpFrame(100);
    const csum = { csumStart: frame.transport, csumOffset: 16 };

    it('nothing: nothing is known of the packet, whatever its buffer held before', () => {
      open(ALL);
      for (let i = 0; i < 3 * 48; i++) takes(frame, i % 2 === 0 ? { flags: 1, ...csum } : {}, i % 2 === 0 ? 1 : 0);
    });

    it.each([
      ['DATA_VALID: the checksum is verified', { flags: 2 }, t.CHECKSUM_VERIFIED],
      ['NEEDS_CSUM: the checksum is partial', { flags: 1, ...csum }, t.CHECKSUM_PARTIAL],
      ['both: it is partial', { flags: 3, ...csum }, t.CHECKSUM_PARTIAL],
      ['unknown ones are ignored', { flags: 0xfc }, 0],
      ['unknown ones beside DATA_VALID are ignored', { flags: 0xfe }, t.CHECKSUM_VERIFIED],
    ] as const)('%s', (_name, header, flags) => {
      open(ALL);
      takes(frame, header, flags);
    });

    it('DATA_VALID that was not negotiated is ignored', () => {
      open(0);
      takes(frame, { flags: 2 }, 0);
    });

    it('NEEDS_CSUM that was not negotiated: dropped', () => {
      open(0);
      refuses(frame, { flags: 1, ...csum });
    });
  });

  describe('csum_start and csum_offset', () => {
    const frame = tcpFrame(100);
    const { length } = frame.bytes;

    it.each([
      [14, 0],
      [34, 16],
      [34, 6],
      [length - 2, 0],
      [14, length - 16],
    ])('%d and %d lie in the packet', (csumStart, csumOffset) => {
      open(ALL);
      takes(frame, { flags: 1, csumStart, csumOffset }, t.CHECKSUM_PARTIAL);
    });

    it.each([
      [0, 16],
      [13, 16],
      [length - 1, 0],
      [length, 0],
      [34, length - 35],
      [65535, 0],
      [34, 65535],
      [65535, 65535],
    ])('%d and %d do not: dropped', (csumStart, csumOffset) => {
      open(ALL);
      refuses(frame, { flags: 1, csumStart, csumOffset });
    });

    it('mean nothing without NEEDS_CSUM', () => {
      open(ALL);
      takes(frame, { flags: 2, csumStart: 65535, csumOffset: 65535 }, t.CHECKSUM_VERIFIED);
    });
  });

  describe('gso_type', () => {
    const cases: readonly (readonly [string, FrameFields, number, number])[] = [
      ['TCPv4', {}, V4, t.GSO_TCP4],
      ['TCPv4 behind a VLAN tag', { vlan: true }, V4, t.GSO_TCP4],
      ['TCPv4 with options of both headers', { ipOptions: 40, tcpOptions: 40 }, V4, t.GSO_TCP4],
      ['TCPv6', { ip: 6 }, V6, t.GSO_TCP6],
      ['TCPv6 behind an extension header', { ip: 6, extension: true }, V6, t.GSO_TCP6],
      ['TCPv4 with ECN', {}, V4 | ECN, t.GSO_TCP4 | t.GSO_ECN],
      ['TCPv6 with ECN', { ip: 6 }, V6 | ECN, t.GSO_TCP6 | t.GSO_ECN],
    ];
    it.each(cases)('%s', (_name, fields, gsoType, flags) => {
      open(ALL);
      const frame = tcpFrame(1200, fields);
      takes(frame, gso(frame, { gsoType }), t.CHECKSUM_PARTIAL | flags);
    });

    it.each([
      ['TCPv4', bits.GUEST_TSO4, {}, V4],
      ['TCPv6', bits.GUEST_TSO6, { ip: 6 }, V6],
      ['TCPv4 with ECN', bits.GUEST_ECN, {}, V4 | ECN],
      ['TCPv6 with ECN', bits.GUEST_ECN, { ip: 6 }, V6 | ECN],
    ] as const)('%s that was not negotiated: dropped', (_name, missing, fields, gsoType) => {
      open(ALL & ~missing);
      const frame = tcpFrame(1200, fields);
      refuses(frame, gso(frame, { gsoType }));
    });

    it.each([2, 3, 5, 0x40, 0x7f, 0x80, 0x83, 0xff])('%d is none that was negotiated: dropped', (gsoType) => {
      open(ALL);
      const frame = tcpFrame(1200);
      refuses(frame, gso(frame, { gsoType }));
    });

    it.each([
      ['TCPv4 of an IPv6 packet', { ip: 6 }, V4],
      ['TCPv6 of an IPv4 packet', {}, V6],
      ['TCPv4 of a UDP packet', { protocol: 17 }, V4],
      ['TCPv6 of a UDP packet', { ip: 6, protocol: 17 }, V6],
      ['TCPv4 of a later fragment', { fragment: 100 }, V4],
    ] as const)('%s: dropped', (_name, fields, gsoType) => {
      open(ALL);
      const frame = tcpFrame(1200, fields);
      refuses(frame, gso(frame, { gsoType }));
    });

    it('without NEEDS_CSUM: dropped', () => {
      open(ALL);
      const frame = tcpFrame(1200);
      refuses(frame, gso(frame, { flags: 2 }));
    });

    it.each([
      ['csum_start is not the TCP header', { csumStart: 38 }],
      ['csum_offset is not the checksum of TCP', { csumOffset: 6 }],
    ])('%s: dropped', (_name, fields) => {
      open(ALL);
      const frame = tcpFrame(1200);
      refuses(frame, gso(frame, fields));
    });
  });

  describe('gso_size', () => {
    const frame = tcpFrame(1200);

    it.each([1, 1199, 1200])('%d is legal, also where there is one segment', (gsoSize) => {
      open(ALL);
      takes(frame, gso(frame, { gsoSize }), t.CHECKSUM_PARTIAL | t.GSO_TCP4);
    });

    it.each([1201, frame.bytes.length + 1, 65535])('%d is more than the packet has: one segment', (gsoSize) => {
      open(ALL);
      queues.deliver([frame.bytes], gso(frame, { gsoSize }));
      expect(queues.receiveAll()).toMatchObject([{ flags: t.CHECKSUM_PARTIAL | t.GSO_TCP4, gsoSize: 1200 }]);
    });

    it('0: dropped', () => {
      open(ALL);
      refuses(frame, gso(frame, { gsoSize: 0 }));
    });

    it('of a packet without payload: dropped', () => {
      open(ALL);
      const empty = tcpFrame(0);
      refuses(empty, gso(empty, { gsoSize: 10 }));
    });

    it('means nothing without gso_type', () => {
      open(ALL);
      takes(frame, { gsoSize: 65535, hdrLen: 65535 }, 0);
    });
  });

  it.each([0, 1, 65535])('hdr_len %d is not believed', (hdrLen) => {
    open(ALL);
    const frame = tcpFrame(1200);
    takes(frame, gso(frame, { hdrLen }), t.CHECKSUM_PARTIAL | t.GSO_TCP4);
  });

  it.each([
    ['the IP header has no version', 14, 0x05],
    ['the IP header is shorter than 20 bytes', 14, 0x44],
    ['the TCP header is shorter than 20 bytes', 46, 0x40],
  ])('of a GSO packet: %s: dropped', (_name, place, value) => {
    open(ALL);
    const frame = tcpFrame(1200);
    frame.bytes[place] = value;
    refuses(frame, gso(frame));
  });

  it('of a GSO packet whose TCP header is cut off: dropped', () => {
    open(ALL);
    const frame = tcpFrame(0, { tcpOptions: 40 });
    const short = { ...frame, bytes: frame.bytes.slice(0, -1) };
    refuses(short, gso(frame, { gsoSize: 10 }));
  });

  describe('num_buffers', () => {
    it.each([0, 1])('%d is one buffer', (numBuffers) => {
      open(ALL);
      takes(tcpFrame(10), { numBuffers }, 0);
    });

    it('means nothing without MRG_RXBUF', () => {
      open(ALL, false);
      for (const numBuffers of [0, 2, 9, 65535]) {
        takes(tcpFrame(10), { numBuffers, flags: 2 }, t.CHECKSUM_VERIFIED);
        takes(tcpFrame(10), { numBuffers }, 0);
      }
    });
  });
});
