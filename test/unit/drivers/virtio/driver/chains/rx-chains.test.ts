/** Received packets in several buffers (virtio 1.2, 5.1.6.4: num_buffers), and devices that lie about them. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { postedBytes } from '../../../../../../drivers/virtio/driver/chains/rx-assembly.js';
import * as bits from '../../../../../../drivers/virtio/driver/offload-bits.js';
import { frameCapacity } from '../../../../../../rings/buffer-pool.js';
import * as t from '../../../../../../rings/packet-table.js';
import { ChainQueues, headerBytes, type NetHeader } from '../../../../../support/virtio/chain-queues.js';
import type { Chain } from '../../../../../support/virtio/device-model.js';
import { cut, cutEvery, tcpFrame } from '../../../../../support/virtio/offload-frames.js';

const ALL = bits.GUEST_CSUM | bits.GUEST_TSO4 | bits.GUEST_TSO6 | bits.GUEST_ECN;
const SIZE = 8;
const BUFFERS = 48;
const AT_REST = { pool: BUFFERS - SIZE, rx: SIZE, tx: 0, hand: 0, waiting: 0 };

it('a posted buffer holds a multiple of 8 bytes with MRG_RXBUF', () => {
  for (const shift of [11, 12, 13, 16]) {
    const whole = 12 + frameCapacity(shift);
    expect(postedBytes(shift, false)).toBe(whole);
    expect(postedBytes(shift, true) % 8).toBe(0);
    expect(whole - postedBytes(shift, true)).toBeLessThan(8);
  }
});

describe.each([
  ['split', false],
  ['packed', true],
] as const)('received chains on a %s ring', (_, packed) => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  const open = (
    options: { features?: number; mergeable?: boolean; buffers?: number; eventIdx?: boolean } = {},
  ): void => {
    queues = new ChainQueues({ packed, features: ALL, size: SIZE, ...options });
  };
  const frame = tcpFrame(3000, { seed: 5 });
  const header: NetHeader = { flags: 1, gsoType: 1, gsoSize: 1000, csumStart: frame.transport, csumOffset: 16 };
  const arrives = (payload = 10): void => {
    const plain = tcpFrame(payload, { seed: payload });
    queues.deliver([plain.bytes]);
    expect(queues.receiveAll()).toMatchObject([{ flags: 0, frame: Buffer.from(plain.bytes) }]);
  };

  it('become one packet, with its parts where the device wrote them', () => {
    open();
    queues.deliver(cut(frame.bytes, 1000, 1500), header);
    expect(queues.receive()).toMatchObject([
      {
        flags: t.CHAIN | t.CHECKSUM_PARTIAL | t.GSO_TCP4,
        frame: Buffer.from(frame.bytes),
        parts: [1000, 1500, frame.bytes.length - 2500],
        gsoSize: 1000,
        csumStart: 34,
        csumOffset: 16,
      },
    ]);
    expect(queues.account()).toEqual({ ...AT_REST, pool: AT_REST.pool - 3, hand: 3 });
    expect(queues.rxCounts).toMatchObject({ packets: 1, bytes: frame.bytes.length });
    queues.release([]);
    for (const handle of queues.inHand) queues.pool.put(handle);
    queues.inHand.clear();
    queues.table.words.fill(0);
  });

  it('are free of flags when they were given back whole, and go round the ring', () => {
    open();
    for (let round = 0; round < 60; round++) {
      const parts = 2 + (round % 7);
      const bytes = tcpFrame(parts * 300 - 60, { seed: round }).bytes;
      const pieces = cutEvery(bytes, 300, 300);
      queues.deliver(pieces, round % 2 === 0 ? {} : { flags: 2 });
      if (pieces.length < SIZE) queues.deliver([frame.bytes.subarray(0, 100)]);
      const [first, ...others] = queues.receiveAll();
      expect(first!.frame).toEqual(Buffer.from(bytes));
      expect(first!.flags).toBe(t.CHAIN | (round % 2 === 0 ? 0 : t.CHECKSUM_VERIFIED));
      expect(others).toHaveLength(pieces.length < SIZE ? 1 : 0);
      expect(queues.account()).toEqual(AT_REST);
    }
  });

  it('may be as long as 65553 bytes, and no longer', () => {
    queues = new ChainQueues({ packed, features: ALL, size: 64, buffers: 160 });
    const most = 65553;
    for (const [length, arrived] of [
      [most, 1],
      [most + 1, 0],
    ] as const) {
      const bytes = tcpFrame(length - 54).bytes;
      queues.deliver(cutEvery(bytes, 1596, 1608), { ...header, gsoSize: 1448 });
      const packets = queues.receiveAll();
      expect(packets).toHaveLength(arrived);
      if (arrived === 1) expect(Buffer.compare(packets[0]!.frame, bytes)).toBe(0);
    }
    expect(queues.rxCounts).toMatchObject({ packets: 1, bytes: most, droppedTooLong: 1 });
    arrives();
  });

  it('wait for buffers that a later burst brings, and let others follow', () => {
    open();
    const pieces = cut(frame.bytes, 500, 500, 500, 500);
    const first = Buffer.concat([headerBytes({ ...header, numBuffers: 5 }), pieces[0]!]);
    for (const [i, piece] of pieces.entries()) {
      const { chain, written } = queues.fill(i === 0 ? first : piece);
      queues.rxModel.use(chain, written);
      if (i === 4) queues.deliver([tcpFrame(7).bytes]);
      const packets = queues.receiveAll();
      expect(packets.map((packet) => packet.frame.length)).toEqual(i < 4 ? [] : [frame.bytes.length, 61]);
      if (i < 4) {
        expect(queues.account()).toEqual({ ...AT_REST, pool: AT_REST.pool - i - 1, waiting: i + 1 });
        expect(queues.rx.enableInterrupts()).toBe(true);
        queues.rx.disableInterrupts();
      }
    }
    expect(queues.account()).toEqual(AT_REST);
  });

  it('are counted as packets in a burst that is limited', () => {
    open();
    for (let i = 0; i < 3; i++) queues.deliver(cut(tcpFrame(200, { seed: i }).bytes, 100));
    expect(queues.receiveAll(1)).toHaveLength(1);
    expect(queues.receiveAll(1)).toHaveLength(1);
    expect(queues.receiveAll(0)).toHaveLength(0);
    expect(queues.receiveAll(5)).toHaveLength(1);
    expect(queues.receiveAll(5)).toHaveLength(0);
  });

  it('refill what they take at once', () => {
    open();
    queues.deliver(cut(frame.bytes, 1000, 1000));
    expect(queues.receiveAll()).toHaveLength(1);
    expect(queues.rxModel.takeAll()).toHaveLength(SIZE);
    expect(queues.violations).toEqual([]);
  });

  it.each([
    ['in the middle of the Ethernet header', {}, 13],
    ['in the middle of the IPv4 header', {}, 33],
    ['in the middle of the TCP header', {}, 53],
    ['in the middle of the options of TCP', { tcpOptions: 12 }, 65],
    ['behind a VLAN tag', { vlan: true }, 17],
    ['in the middle of the IPv6 header', { ip: 6 }, 53],
    ['in the middle of an IPv6 extension header', { ip: 6, extension: true }, 61],
    ['in the middle of the UDP header', { protocol: 17 }, 41],
  ] as const)('that are cut %s are dropped whole', (_name, fields, first) => {
    open();
    const { bytes } = tcpFrame(300, fields);
    queues.deliver(cut(bytes, first, 100));
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rxCounts).toMatchObject({ droppedBadOffload: 1, packets: 0 });
    expect(queues.account()).toEqual(AT_REST);
    queues.deliver(cut(bytes, first + 1 + (first === 13 ? 40 : 44), 100));
    expect(queues.receiveAll()).toHaveLength(1);
  });

  it.each([
    ['a checksum field in its second buffer', { flags: 1, csumStart: 99, csumOffset: 16 }],
    ['a type that was not negotiated', { ...header, gsoType: 3 }],
  ])('with %s is dropped whole', (_name, fields) => {
    open();
    queues.deliver(cut(frame.bytes, 100, 1500), fields);
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rxCounts).toMatchObject({ droppedBadOffload: 1, packets: 0 });
    expect(queues.account()).toEqual(AT_REST);
    arrives();
  });

  it('with a gso_size beyond the packet have one segment', () => {
    open();
    const { bytes } = frame;
    queues.deliver(cut(bytes, 100, 1500), { ...header, gsoSize: bytes.length + 1 });
    const gsoSize = bytes.length - frame.transport - 20;
    expect(queues.receiveAll()).toMatchObject([{ flags: t.CHAIN | t.CHECKSUM_PARTIAL | t.GSO_TCP4, gsoSize }]);
  });

  it.each([
    ['no byte', 0],
    ['more bytes than its buffer has', 1609],
    ['4 GiB', 0xffff_ffff],
  ])('with %s in a later buffer is dropped whole', (_name, written) => {
    open();
    const first = queues.fill(Buffer.concat([headerBytes({ numBuffers: 3 }), frame.bytes.subarray(0, 100)]));
    queues.rxModel.use(first.chain, first.written);
    queues.rxModel.use(queues.rxModel.take() as Chain, written);
    queues.rxModel.use(queues.rxModel.take() as Chain, 100);
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rxCounts).toMatchObject({ droppedBadLength: 1, packets: 0 });
    expect(queues.account()).toEqual(AT_REST);
    arrives();
  });

  it.each([0, 11, 12 + 13])('with %d bytes in a first buffer is dropped', (written) => {
    open();
    queues.rxModel.use(queues.rxModel.take() as Chain, written);
    arrives();
    expect(queues.rxCounts.droppedBadLength).toBe(1);
  });

  it('in more buffers than the ring has entries: the ring is broken', () => {
    open();
    queues.deliver([frame.bytes.subarray(0, 100)], { numBuffers: SIZE + 1 });
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rx.broken).toBe(`test receive queue: a packet in 9 buffers, but the queue has only 8`);
    expect(queues.account()).toEqual(AT_REST);
    queues.start();
    arrives();
  });

  it('whose rest never comes is held in bounds, and counted when the ring is reset', () => {
    open();
    const pieces = cut(frame.bytes, 500, 500);
    const bytes = Buffer.concat([headerBytes({ numBuffers: SIZE }), pieces[0]!]);
    const first = queues.fill(bytes);
    queues.rxModel.use(first.chain, first.written);
    for (let i = 0; i < SIZE - 2; i++) {
      const { chain, written } = queues.fill(pieces[1]!);
      queues.rxModel.use(chain, written);
    }
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.account()).toEqual({ ...AT_REST, pool: AT_REST.pool - SIZE + 1, waiting: SIZE - 1 });
    queues.start();
    expect(queues.rxCounts.lostOnReset).toBe(1);
    expect(queues.account()).toEqual(AT_REST);
    arrives();
    queues.start({ packed: !packed });
    expect(queues.account()).toEqual(AT_REST);
    arrives(11);
  });

  it('that nobody has taken are lost, as packets, at a reset', () => {
    open();
    queues.deliver(cut(frame.bytes, 1000, 1000));
    queues.deliver([frame.bytes.subarray(0, 80)]);
    queues.deliver(cut(frame.bytes, 1000, 1500));
    queues.start();
    expect(queues.rxCounts.lostOnReset).toBe(3);
    const { chain, written } = queues.fill(
      Buffer.concat([headerBytes({ numBuffers: 3 }), frame.bytes.subarray(0, 99)]),
    );
    queues.rxModel.use(chain, written);
    expect(queues.receiveAll()).toEqual([]);
    queues.start({ packed: !packed });
    expect(queues.rxCounts.lostOnReset).toBe(4);
    expect(queues.account()).toEqual(AT_REST);
  });

  it('are dropped while no buffer is free, and others arrive when there are some', () => {
    open({ buffers: SIZE + 2 });
    queues.deliver(cut(frame.bytes, 1000, 1000, 1000));
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rxCounts).toMatchObject({ droppedNoBuffer: 1, packets: 0 });
    queues.deliver(cut(frame.bytes, 1500));
    const held = queues.receive();
    expect(held).toHaveLength(1);
    for (let i = 0; i < 3; i++) {
      queues.deliver([tcpFrame(5).bytes], { flags: 2 });
      queues.deliver([tcpFrame(5).bytes]);
      queues.deliver(cut(frame.bytes, 1000, 1000));
      expect(queues.receiveAll()).toEqual([]);
    }
    expect(queues.rxCounts).toMatchObject({ droppedNoBuffer: 10, packets: 1 });
    queues.release(held);
    arrives();
    expect(queues.account()).toEqual({ ...AT_REST, pool: 2 });
  });

  it('are dropped without MRG_RXBUF only where their first buffer is no frame', () => {
    open({ mergeable: false });
    queues.deliver([frame.bytes.subarray(0, 100)], { numBuffers: 2 });
    queues.deliver([frame.bytes.subarray(0, 60)]);
    expect(queues.receiveAll().map(({ flags, parts }) => [flags, parts])).toEqual([
      [0, [100]],
      [0, [60]],
    ]);
  });

  it('survive anything that a device writes: nothing throws, no buffer is lost', () => {
    const header = fc.record({
      flags: fc.constantFrom(0, 0, 1, 2, 3, 255),
      gsoType: fc.constantFrom(0, 0, 1, 4, 0x81, 0x84, 3),
      gsoSize: fc.constantFrom(0, 1, 500, 65535),
      csumStart: fc.constantFrom(14, 34, 54, 100, 65535),
      csumOffset: fc.constantFrom(0, 6, 16, 65535),
      numBuffers: fc.oneof(fc.nat(SIZE), fc.constantFrom(SIZE + 1, 65535)),
    });
    const act = fc.record({
      header,
      written: fc.oneof(fc.integer({ min: 12, max: 1608 }), fc.constantFrom(0, 5, 26, 1609, 0xffff_ffff)),
      id: fc.oneof({ weight: 30, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(20) }),
      take: fc.nat(3),
      ip: fc.constantFrom(4 as const, 6 as const),
    });
    open();
    fc.assert(
      fc.property(fc.array(act, { minLength: 1, maxLength: 40 }), fc.boolean(), (acts, eventIdx) => {
        queues.start({ eventIdx });
        for (const { header, written, id, take, ip } of acts) {
          const chain = queues.rxModel.take();
          if (chain === null) break;
          queues.memory.u8.set(headerBytes(header), chain.segments[0]!.offset);
          queues.memory.u8.set(tcpFrame(0, { ip }).bytes, chain.segments[0]!.offset + 12);
          if (id >= 0) queues.rxModel.pushUsed(id, written);
          else queues.rxModel.use(chain, written);
          if (take > 0) {
            for (const packet of queues.receiveAll(take)) {
              const total = packet.parts.reduce((sum, part) => sum + part, 0);
              expect(packet.parts.length).toBeLessThanOrEqual(SIZE);
              if ((packet.flags & t.CHECKSUM_PARTIAL) !== 0) {
                expect(packet.csumStart + packet.csumOffset + 2).toBeLessThanOrEqual(packet.parts[0]!);
              }
              if ((packet.flags & t.GSO) !== 0) {
                expect(packet.gsoSize).toBeGreaterThan(0);
                expect(packet.gsoSize).toBeLessThanOrEqual(total);
              }
            }
            queues.account();
            if (queues.rx.broken !== '') break;
          }
        }
        queues.start();
        expect(queues.account()).toEqual(AT_REST);
        arrives();
      }),
      { numRuns: 300 },
    );
    // The device broke rules on purpose; what the driver did is checked above.
    queues.violations.length = 0;
  });
});

describe('a packed ring with offloads that is used in order', () => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  it('delivers what is said of each packet, and breaks at an id out of order', () => {
    queues = new ChainQueues({ packed: true, inOrder: true, mergeable: false, features: ALL, size: SIZE });
    for (let i = 0; i < 30; i++) {
      queues.deliver([tcpFrame(i).bytes], { flags: i % 3 === 0 ? 2 : 0 });
      expect(queues.receiveAll()).toMatchObject([
        { flags: i % 3 === 0 ? t.CHECKSUM_VERIFIED : 0, frame: Buffer.from(tcpFrame(i).bytes) },
      ]);
    }
    queues.rxModel.pushUsed(0, 76);
    expect(queues.receiveAll()).toEqual([]);
    expect(queues.rx.broken).toBe('test receive queue: a used descriptor names buffer 0, but 6 was next in order');
    expect(queues.account()).toEqual(AT_REST);
  });
});
