/** What the driver writes into the virtio-net header of a packet to send (virtio 1.2, 5.1.6.2), field by field. */
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../../../../drivers/offloads.js';
import * as bits from '../../../../../../drivers/virtio/driver/offload-bits.js';
import * as t from '../../../../../../rings/packet-table.js';
import { ChainQueues, type ChainQueuesOptions, type Request } from '../../../../../support/virtio/chain-queues.js';
import { cut, cutEvery, type Frame, tcpFrame } from '../../../../../support/virtio/offload-frames.js';

const ALL = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
const NOTHING = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, numBuffers: 0 };
const PARTIAL = t.CHECKSUM_PARTIAL;
const GSO4 = PARTIAL | t.GSO_TCP4;
const GSO6 = PARTIAL | t.GSO_TCP6;

const gso = ({ transport }: Frame, fields: Request = {}): Request => ({
  flags: GSO4,
  gsoSize: 500,
  csumStart: transport,
  csumOffset: 16,
  ...fields,
});

describe.each([
  ['split', false, false],
  ['split with indirect tables', false, true],
  ['packed', true, false],
  ['packed with indirect tables', true, true],
] as const)('a header to send on a ring: %s', (_, packed, indirect) => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  const open = (features = ALL, options: ChainQueuesOptions = {}): void => {
    const all = features | (indirect ? bits.USE_INDIRECT : 0);
    queues = new ChainQueues({ packed, indirect, features: all, ...options });
  };
  /** Sends the frame, and expects it at the device with these fields of the header. */
  const sends = (pieces: readonly Uint8Array[], request: Request, header: Partial<typeof NOTHING> = {}): void => {
    const before = queues.txCounts;
    expect(queues.sendOne(pieces, request)).toBe(1);
    const chain = queues.txModel.take();
    expect(chain).not.toBeNull();
    const bytes = Buffer.concat(pieces);
    expect(queues.read(chain!)).toEqual({ header: { ...NOTHING, ...header }, frame: Uint8Array.from(bytes) });
    expect(queues.txCounts).toMatchObject({ packets: before.packets + 1, bytes: before.bytes + bytes.length });
    queues.txModel.use(chain!, 0);
    queues.tx.reclaim();
    expect(queues.account().tx).toBe(0);
  };
  /** Sends the frame, and expects it to be dropped and counted, with all its buffers free. */
  const drops = (
    pieces: readonly Uint8Array[],
    request: Request,
    counter: 'droppedBadOffload' | 'droppedBadLength' = 'droppedBadOffload',
  ): void => {
    const before = queues.txCounts;
    expect(queues.sendOne(pieces, request)).toBe(1);
    expect(queues.txModel.take()).toBeNull();
    expect(queues.txCounts).toEqual({ ...before, [counter]: before[counter] + 1 });
    expect(queues.account()).toMatchObject({ tx: 0, hand: 0 });
  };

  it('is zero for a packet that asks for nothing, whatever its buffer held before', () => {
    open();
    const frame = tcpFrame(200);
    for (let i = 0; i < 60; i++) {
      sends(
        [frame.bytes],
        { flags: PARTIAL, csumStart: 34, csumOffset: 16 },
        { flags: 1, csumStart: 34, csumOffset: 16 },
      );
      sends([frame.bytes], i % 2 === 0 ? {} : { flags: t.CHECKSUM_VERIFIED, csumStart: 34, gsoSize: 5 });
    }
  });

  it.each([
    [14, 0],
    [34, 6],
    [34, 16],
    [252, 0],
  ])('has csum_start %d and csum_offset %d', (csumStart, csumOffset) => {
    open();
    const frame = tcpFrame(200);
    sends([frame.bytes], { flags: PARTIAL, csumStart, csumOffset }, { flags: 1, csumStart, csumOffset });
    sends([frame.bytes], { flags: PARTIAL | 2, csumStart, csumOffset }, { flags: 1, csumStart, csumOffset });
  });

  it.each([
    ['TCPv4', {}, GSO4, 1],
    ['TCPv4 with options and a VLAN tag', { vlan: true, ipOptions: 8, tcpOptions: 12 }, GSO4, 1],
    ['TCPv6', { ip: 6 }, GSO6, 4],
    ['TCPv6 with an extension header', { ip: 6, extension: true, tcpOptions: 12 }, GSO6, 4],
    ['TCPv4 with CWR', {}, GSO4 | t.GSO_ECN, 0x81],
    ['TCPv6 with CWR', { ip: 6 }, GSO6 | t.GSO_ECN, 0x84],
    ['TCPv4 from a packet that was received', {}, GSO4 | t.CHECKSUM_VERIFIED, 1],
  ] as const)('has gso_type, gso_size and hdr_len: %s', (_name, fields, flags, gsoType) => {
    open();
    const frame = tcpFrame(1200, fields);
    const request = gso(frame, { flags });
    const header = {
      flags: 1,
      gsoType,
      gsoSize: 500,
      hdrLen: frame.headers,
      csumStart: frame.transport,
      csumOffset: 16,
    };
    sends([frame.bytes], request, header);
    sends(cut(frame.bytes, frame.headers, 500), request, header);
    sends(cut(frame.bytes, frame.headers + 77, 10, 20), request, header);
  });

  it('is that of a plain packet with a partial checksum where there is one segment', () => {
    open();
    const frame = tcpFrame(400);
    const header = { flags: 1, csumStart: 34, csumOffset: 16 };
    for (const gsoSize of [400, 401, 1464, 1465, 65536, 0x7fff_ffff]) {
      sends([frame.bytes], gso(frame, { gsoSize }), header);
      sends(cut(frame.bytes, 54, 300), gso(frame, { gsoSize }), header);
    }
    sends([frame.bytes], gso(frame, { gsoSize: 399 }), { ...header, gsoType: 1, gsoSize: 399, hdrLen: 54 });
    const long = tcpFrame(1518 - 53);
    drops([long.bytes], gso(long, { gsoSize: 1518 - 53 }), 'droppedBadLength');
    drops(cut(long.bytes, 100, 500), gso(long, { gsoSize: 1518 - 53 }), 'droppedBadLength');
  });

  it('of a GSO packet: its segments are no longer than the device takes', () => {
    open();
    const frame = tcpFrame(3000);
    const header = { flags: 1, gsoType: 1, gsoSize: 1464, hdrLen: 54, csumStart: 34, csumOffset: 16 };
    sends(cut(frame.bytes, 1000, 1500), gso(frame, { gsoSize: 1464 }), header);
    drops(cut(frame.bytes, 1000, 1500), gso(frame, { gsoSize: 1465 }), 'droppedBadLength');
  });

  it('of a GSO packet: 65553 bytes are the most', () => {
    open(ALL, { size: 64, buffers: 160 });
    const frame = tcpFrame(65553 - 54);
    const header = { flags: 1, gsoType: 1, gsoSize: 1448, hdrLen: 54, csumStart: 34, csumOffset: 16 };
    sends(cutEvery(frame.bytes, 1000, 1608), gso(frame, { gsoSize: 1448 }), header);
    const longer = tcpFrame(65553 - 53);
    drops(cutEvery(longer.bytes, 1000, 1608), gso(longer, { gsoSize: 1448 }), 'droppedBadLength');
  });

  describe('drops what the device does not do', () => {
    it.each([
      ['a checksum', 0, PARTIAL, {}],
      ['TCPv4', ALL & ~OFFLOAD_TSO4, GSO4, {}],
      ['TCPv6', ALL & ~OFFLOAD_TSO6, GSO6, { ip: 6 }],
      ['CWR', ALL & ~OFFLOAD_ECN, GSO4 | t.GSO_ECN, {}],
      ['CWR over IPv6', ALL & ~OFFLOAD_ECN, GSO6 | t.GSO_ECN, { ip: 6 }],
    ] as const)('%s', (_name, features, flags, fields) => {
      open(features);
      const frame = tcpFrame(1200, fields);
      drops([frame.bytes], gso(frame, { flags }));
      drops(cut(frame.bytes, 200, 400), gso(frame, { flags }));
      sends([frame.bytes], {});
      sends(cut(frame.bytes, 200, 400), { flags: t.CHECKSUM_VERIFIED });
    });
  });

  describe('drops what cannot be', () => {
    const frame = tcpFrame(1200);
    it.each([
      ['csum_start in the Ethernet header', { csumStart: 13 }],
      ['csum_start beyond the packet', { csumStart: 1253 }],
      ['csum_start that is negative', { csumStart: -2 }],
      ['csum_offset beyond the packet', { csumOffset: 1219 }],
      ['csum_offset that is negative', { csumOffset: -1 }],
      ['values whose sum overflows', { csumStart: 0x7fffffff, csumOffset: 0x7fffffff }],
    ])('checksum: %s', (_name, fields) => {
      open();
      drops([frame.bytes], { flags: PARTIAL, csumStart: 34, csumOffset: 16, ...fields });
    });

    it('checksum: a field in the second buffer', () => {
      open();
      drops(cut(frame.bytes, 51), { flags: PARTIAL, csumStart: 34, csumOffset: 16 });
      sends(
        cut(frame.bytes, 52),
        { flags: PARTIAL, csumStart: 34, csumOffset: 16 },
        { flags: 1, csumStart: 34, csumOffset: 16 },
      );
    });

    it.each([
      ['without a partial checksum', { flags: t.GSO_TCP4 }],
      ['of both versions of IP', { flags: GSO4 | t.GSO_TCP6 }],
      ['of the other version of IP', { flags: GSO6 }],
      ['gso_size 0', { gsoSize: 0 }],
      ['gso_size that is negative', { gsoSize: -1 }],
      ['csum_start that is not the TCP header', { csumStart: 30 }],
      ['csum_offset of UDP', { csumOffset: 6 }],
    ])('GSO: %s', (_name, fields) => {
      open();
      drops([frame.bytes], gso(frame, fields));
    });

    it('GSO: headers that are not all in the first buffer', () => {
      open();
      for (const first of [14, 33, 53]) drops(cut(frame.bytes, first, 600), gso(frame));
    });

    it('GSO: no payload', () => {
      open();
      const empty = tcpFrame(0);
      drops([empty.bytes], gso(empty));
    });
  });

  describe('drops frames of a bad length', () => {
    it.each([
      ['one buffer of 13 bytes', 13, []],
      ['one buffer longer than the device takes', 1519, []],
      ['several buffers, together longer than the device takes', 700, [819]],
      ['several buffers, the first of 13 bytes', 13, [100]],
    ] as const)('%s', (_name, first, others) => {
      open();
      const total = others.reduce((sum: number, length) => sum + length, first);
      const bytes = tcpFrame(2000).bytes.subarray(0, total);
      drops(cut(bytes, first, ...others), {}, 'droppedBadLength');
      drops(cut(bytes, first, ...others), { flags: PARTIAL, csumStart: 34, csumOffset: 16 }, 'droppedBadLength');
    });

    it('takes 1518 bytes in one buffer and in several', () => {
      open();
      const { bytes } = tcpFrame(1518 - 54);
      sends([bytes], {});
      sends(cut(bytes, 14, 1000), {});
      sends([bytes], { flags: PARTIAL, csumStart: 34, csumOffset: 16 }, { flags: 1, csumStart: 34, csumOffset: 16 });
    });
  });

  it('of a device that comes back with less: drops, and goes on', () => {
    open();
    const frame = tcpFrame(1200);
    const header = { flags: 1, gsoType: 1, gsoSize: 500, hdrLen: 54, csumStart: 34, csumOffset: 16 };
    sends([frame.bytes], gso(frame), header);
    queues.start({ features: OFFLOAD_CSUM, indirect: false });
    drops([frame.bytes], gso(frame));
    sends(cut(frame.bytes, 60), {});
    queues.start({ features: 0 });
    drops([frame.bytes], { flags: PARTIAL, csumStart: 34, csumOffset: 16 });
    sends(cut(frame.bytes, 60), {});
    queues.start({ features: ALL | (indirect ? bits.USE_INDIRECT : 0), indirect });
    sends([frame.bytes], gso(frame), header);
  });
});
