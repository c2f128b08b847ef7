/**
 * What virtio 1.2 demands of the driver of a network device with offloads and packets in several buffers (2.7.5, 2.8.17,
 * 2.8.19, 5.1.4.2, 5.1.6.2 to 5.1.6.4), clause by clause. The models of the device note every broken demand that they see
 * in memory, and the notes are asserted after each test. test/CLAUSES.md lists all clauses, also those that other tests
 * show.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../../drivers/offloads.js';
import { INDIRECT_SHIFT } from '../../../../drivers/virtio/driver/chains/indirect-tables.js';
import {
  GUEST_CSUM,
  GUEST_ECN,
  GUEST_TSO4,
  GUEST_TSO6,
  USE_INDIRECT,
} from '../../../../drivers/virtio/driver/offload-bits.js';
import * as t from '../../../../rings/packet-table.js';
import { ACK, CWR, type MadePacket, packetOf } from '../../../support/offload/packets.js';
import { completed, faultOf, segmentsOf } from '../../../support/offload/reference.js';
import { ChainQueues, type ChainQueuesOptions, type Request } from '../../../support/virtio/chain-queues.js';
import { type Chain, F_INDIRECT, F_NEXT } from '../../../support/virtio/device-model.js';
import { cutEvery } from '../../../support/virtio/offload-frames.js';
import { PackedDeviceModel } from '../../../support/virtio/packed-device-model.js';

const SIZE = 8;
const ALL = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
const GUEST = GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN;
const NEEDS_CSUM = 1;
const LAYOUTS = [
  ['split', false],
  ['packed', true],
] as const;

let queues: ChainQueues;

function open(options: ChainQueuesOptions = {}): void {
  queues = new ChainQueues({ size: SIZE, features: ALL | GUEST, ...options });
}

/** With indirect tables. */
function openIndirect(packed: boolean): void {
  open({ packed, indirect: true, features: ALL | USE_INDIRECT });
}

afterEach(() => {
  vi.restoreAllMocks();
  queues.close();
});

/** Any frame, in buffers of 100 bytes. */
function inParts(parts: number): Uint8Array[] {
  return cutEvery(packetOf({ payload: 100 * parts - 54, partial: false }).frame, 100, 100);
}

/** Asks for the checksum, and for segments of `gsoSize` bytes if that is given. */
function asking({ csumStart, csumOffset }: MadePacket, flags = 0, gsoSize?: number): Request {
  const all = t.CHECKSUM_PARTIAL | flags;
  return { flags: all, csumStart, csumOffset, ...(gsoSize === undefined ? {} : { gsoSize }) };
}

/** Sends a packet in one buffer. Returns what the device finds, or null. */
function passed(packet: MadePacket, request: Request): ReturnType<ChainQueues['read']> | null {
  expect(queues.sendOne([packet.frame], request)).toBe(1);
  const chain = queues.txModel.take();
  if (chain === null) return null;
  const found = queues.read(chain);
  queues.txModel.use(chain, 0);
  queues.tx.reclaim();
  return found;
}

/** Flags and next, or id, of the descriptor at `offset` of the memory. */
function wordsAt(offset: number): { flags: number; next: number } {
  const view = new DataView(queues.memory.u8.buffer, queues.memory.u8.byteOffset);
  const [first, second] = [view.getUint16(offset + 12, true), view.getUint16(offset + 14, true)];
  const isPacked = queues.txModel instanceof PackedDeviceModel;
  return isPacked ? { flags: second, next: first } : { flags: first, next: second };
}

describe('2.7.5, 2.8.17 chains of descriptors', () => {
  // Clauses: 2.7.5.2a, 2.7.5.3.1c, 2.8.17a, 2.8.17b, 2.8.19c
  it.each([
    ['split', false, 0],
    ['split, tables', false, USE_INDIRECT],
    ['packed', true, 0],
    ['packed, tables', true, USE_INDIRECT],
  ] as const)('MUST be no longer than the queue, and no loop (%s)', (_, packed, use) => {
    // The models note loops. A longer packet is dropped.
    open({ packed, features: ALL | use, indirect: use !== 0 });
    for (const parts of [2, SIZE, SIZE + 1, 3]) {
      expect(queues.sendOne(inParts(parts))).toBe(1);
      const chain = queues.txModel.take();
      expect(chain?.segments.length ?? null).toBe(parts <= SIZE ? parts : null);
      if (chain !== null) queues.txModel.use(chain, 0);
      queues.tx.reclaim();
    }
    expect(queues.txCounts.droppedBadOffload).toBe(1);
  });

  // Clauses: 2.7.5.3.1a, 2.8.19a
  it.each(LAYOUTS)('MUST NOT set INDIRECT where it was not negotiated (%s)', (_, packed) => {
    open({ packed, features: ALL });
    expect(queues.sendOne(inParts(4))).toBe(1);
    expect(queues.txModel.take()).toMatchObject({ places: 4, segments: { length: 4 } });
  });

  // Clauses: 2.8.17d
  it.each(LAYOUTS)('MUST NOT be begun without room for all of it (%s)', (_, packed) => {
    open({ packed, features: ALL });
    expect(queues.sendOne(inParts(6))).toBe(1);
    const packet = { handle: queues.packet(inParts(3)), length: 100 };
    expect(queues.send([packet])).toBe(0);
    const [first, ...more] = queues.txModel.takeAll();
    expect([first!.segments.length, more.length]).toEqual([6, 0]);
    queues.txModel.use(first!, 0);
    expect(queues.send([packet])).toBe(1);
    expect(queues.txModel.take()!.segments).toHaveLength(3);
  });

  // Clauses: 2.8.17e
  it('MUST become available from its end: the first descriptor last', () => {
    open({ packed: true, features: ALL });
    const { descriptors } = queues.tx.layout;
    const seen: number[] = [];
    const { store } = Atomics;
    vi.spyOn(Atomics, 'store').mockImplementation(((array: Int32Array, at: number, value: number) => {
      if (at === (descriptors >> 2) + 3) seen.push(...[0, 1, 2].map((i) => wordsAt(descriptors + 16 * i).flags & 0x80));
      return store(array, at, value);
    }) as typeof Atomics.store);
    expect(queues.sendOne(inParts(3))).toBe(1);
    // When the store of the first one makes the list available, the others are marked, and it is not.
    expect(seen).toEqual([0, 0x80, 0x80]);
    expect(queues.txModel.take()!.segments).toHaveLength(3);
  });
});

describe('2.7.5.3.1, 2.8.19 tables of descriptors', () => {
  const tableOf = (chain: Chain): number => {
    const table = queues.tx.tables.chains!.indirect + (chain.id << INDIRECT_SHIFT);
    expect(chain.places).toBe(1);
    return table;
  };

  // Clauses: 2.7.5.3.1b, 2.7.5.3.1d
  it('MUST NOT hold tables, nor be followed by NEXT (split)', () => {
    openIndirect(false);
    expect(queues.sendOne(inParts(4))).toBe(1);
    const chain = queues.txModel.take()!;
    const { descriptors } = queues.tx.layout;
    expect(wordsAt(descriptors + 16 * chain.id).flags).toBe(F_INDIRECT);
    const table = tableOf(chain);
    const inside = [0, 1, 2, 3].map((i) => wordsAt(table + 16 * i));
    expect(inside.map(({ flags }) => flags)).toEqual([F_NEXT, F_NEXT, F_NEXT, 0]);
    expect(inside.slice(0, 3).map(({ next }) => next)).toEqual([1, 2, 3]);
  });

  // Clauses: 2.8.19b, 2.8.19d
  it('MUST have no flags but WRITE, and be in no list (packed)', () => {
    openIndirect(true);
    expect(queues.sendOne(inParts(4))).toBe(1);
    const chain = queues.txModel.take()!;
    const { descriptors } = queues.tx.layout;
    expect(wordsAt(descriptors + 16 * chain.id).flags & (F_INDIRECT | F_NEXT)).toBe(F_INDIRECT);
    const table = tableOf(chain);
    expect([0, 1, 2, 3].map((i) => wordsAt(table + 16 * i).flags)).toEqual([0, 0, 0, 0]);
  });
});

describe.each(LAYOUTS)('5.1.4.2, 5.1.6.2.1 packet transmission on a %s ring', (_, packed) => {
  // Clauses: 5.1.4.2c
  it('MUST NOT send frames longer than the MTU, except those to be segmented', () => {
    open({ packed, longest: 1018 });
    const packet = packetOf({ payload: 1400 });
    expect(passed(packet, {})).toBeNull();
    expect(passed(packet, asking(packet))).toBeNull();
    expect(queues.txCounts.droppedBadLength).toBe(2);
    // Each segment counts: 54 bytes of headers, and 964.
    expect(passed(packet, asking(packet, t.GSO_TCP4, 964))?.frame).toEqual(packet.frame);
    expect(passed(packet, asking(packet, t.GSO_TCP4, 965))).toBeNull();
  });

  // Clauses: 5.1.6.2.1a, 5.1.6.2.1e
  it('MUST set num_buffers to 0, and neither DATA_VALID nor RSC_INFO', () => {
    open({ packed });
    const packet = packetOf({ payload: 1200 });
    for (let i = 0; i < 60; i++) {
      // A packet that was received is sent on in its buffer, with what its device said of it.
      const flags = i % 2 === 0 ? 2 : 7;
      queues.deliver([packet.frame], { flags, csumStart: packet.csumStart, csumOffset: packet.csumOffset });
      const [received] = queues.receive();
      expect(queues.send([{ handle: received!.handle, length: packet.frame.length }])).toBe(1);
      const chain = queues.txModel.take()!;
      expect(queues.read(chain).header).toMatchObject({ numBuffers: 0, flags: i % 2 === 0 ? 0 : NEEDS_CSUM });
      queues.txModel.use(chain, 0);
      queues.tx.reclaim();
      queues.receiveAll();
    }
  });

  // Clauses: 5.1.6.2.1b, 5.1.6.2.1c, 5.1.6.2.1d
  it('MUST NOT set flags or gso_type without the feature', () => {
    open({ packed, features: 0 });
    const v4 = packetOf({ payload: 1200 });
    const v6 = packetOf({ payload: 1200, version: 6 });
    const send = (features: number, packet: MadePacket, request: Request): number[] | null => {
      queues.start({ features });
      const header = passed(packet, request)?.header;
      return header === undefined ? null : [header.flags, header.gsoType];
    };
    const tso4 = asking(v4, t.GSO_TCP4, 500);
    const tso6 = asking(v6, t.GSO_TCP6, 500);
    expect([send(0, v4, asking(v4)), send(0, v4, tso4), send(0, v4, {})]).toEqual([null, null, [0, 0]]);
    expect([send(OFFLOAD_CSUM, v4, asking(v4)), send(OFFLOAD_CSUM, v4, tso4)]).toEqual([[NEEDS_CSUM, 0], null]);
    expect([send(ALL & ~OFFLOAD_TSO6, v4, tso4), send(ALL & ~OFFLOAD_TSO6, v6, tso6)]).toEqual([[1, 1], null]);
    expect([send(ALL & ~OFFLOAD_TSO4, v4, tso4), send(ALL & ~OFFLOAD_TSO4, v6, tso6)]).toEqual([null, [1, 4]]);
    expect(queues.txCounts.droppedBadOffload).toBe(5);
  });

  // Clauses: 5.1.6.2.1f
  it('MUST set ECN for a packet with CWR, and sends none to a device without HOST_ECN', () => {
    open({ packed });
    const packet = packetOf({ payload: 1200, flags: ACK | CWR });
    const request = asking(packet, t.GSO_TCP4 | t.GSO_ECN, 500);
    expect(passed(packet, request)?.header.gsoType).toBe(0x81);
    queues.start({ features: ALL & ~OFFLOAD_ECN });
    expect(passed(packet, request)).toBeNull();
  });

  // Clauses: 5.1.6.2.1h, 5.1.6.2.1i
  it.each([
    ['tcp', 4],
    ['tcp', 6],
    ['udp', 4],
    ['udp', 6],
  ] as const)('with NEEDS_CSUM: the sum of %s over IPv%d completes the packet', (protocol, version) => {
    open({ packed });
    for (const tags of [0, 1]) {
      const packet = packetOf({ protocol, version, payload: 301, tags });
      const found = passed(packet, asking(packet))!;
      // The field holds the sum of the pseudo header still.
      expect(found.frame).toEqual(packet.frame);
      const { flags, csumStart, csumOffset } = found.header;
      expect(flags).toBe(NEEDS_CSUM);
      expect(faultOf(completed(found.frame, csumStart, csumOffset))).toBe('');
    }
  });

  // Clauses: 5.1.6.2.1j, 5.1.6.2.1k, 5.1.6.2.1l
  it.each([4, 6] as const)('with a gso_type MUST set NEEDS_CSUM, gso_size and hdr_len: IPv%d', (version) => {
    open({ packed });
    const packet = packetOf({ version, payload: 1400, tcpOptions: 12, ipOptions: 8 });
    const found = passed(packet, asking(packet, version === 4 ? t.GSO_TCP4 : t.GSO_TCP6, 300))!;
    expect(found.header).toMatchObject({ flags: NEEDS_CSUM, gsoType: version === 4 ? 1 : 4, gsoSize: 300 });
    expect(found.header.hdrLen).toBe(packet.headers);
    const segments = segmentsOf(found.frame, found.header.csumStart, found.header.gsoSize);
    expect(segments.map(faultOf)).toEqual(['', '', '', '', '']);
    expect(passed(packet, { ...asking(packet, t.GSO_TCP4, 300), flags: t.GSO_TCP4 })).toBeNull();
  });
});

describe.each(LAYOUTS)('5.1.6.3.1, 5.1.6.4.2 incoming packets on a %s ring', (_, packed) => {
  // Clauses: 5.1.6.3.1a
  it.each([true, false])('has buffers of at least 1526 bytes, more than the header (MRG_RXBUF: %s)', (mergeable) => {
    open({ packed, mergeable });
    const chains = queues.rxModel.takeAll();
    expect(chains).toHaveLength(SIZE);
    for (const { segments } of chains) expect(segments[0]!.length).toBeGreaterThanOrEqual(1526);
    for (const chain of chains) queues.rxModel.use(chain, 0);
  });

  // Clauses: 5.1.6.4.2a
  it.each([0x04, 0x08, 0xf8])('MUST ignore flag bits that it does not know: 0x%i', (flags) => {
    open({ packed });
    const { frame } = packetOf({ partial: false });
    queues.deliver([frame], { flags });
    queues.deliver([frame], { flags: flags | 2 });
    const bytes = Buffer.from(frame);
    expect(queues.receiveAll()).toMatchObject([
      { flags: 0, frame: bytes },
      { flags: t.CHECKSUM_VERIFIED, frame: bytes },
    ]);
  });

  // Clauses: 5.1.6.4.2b
  it('MUST NOT use csum_start and csum_offset without NEEDS_CSUM', () => {
    open({ packed });
    const { frame } = packetOf({ partial: false });
    for (const flags of [0, 2]) {
      queues.deliver([frame], { flags, csumStart: 20, csumOffset: 2 });
      queues.deliver([frame], { flags, csumStart: 0xffff, csumOffset: 0xffff });
      const expected = { flags, frame: Buffer.from(frame) };
      expect(queues.receiveAll()).toMatchObject([expected, expected]);
    }
  });

  // Clauses: 5.1.6.4.2c
  it.each([0, 1, 53, 1000, 65535])('MUST NOT rely on hdr_len: %d of 54 bytes', (hdrLen) => {
    open({ packed });
    const { frame, csumStart, csumOffset } = packetOf({ payload: 1200 });
    queues.deliver([frame], { flags: NEEDS_CSUM, gsoType: 1, gsoSize: 500, hdrLen, csumStart, csumOffset });
    const flags = t.CHECKSUM_PARTIAL | t.GSO_TCP4;
    expect(queues.receiveAll()).toMatchObject([{ flags, gsoSize: 500, frame: Buffer.from(frame) }]);
  });

  // Clauses: 5.1.6.4.2d
  it('MUST NOT rely on checksums: says that one is right only if the device did', () => {
    open({ packed, features: GUEST });
    const { frame } = packetOf({ partial: false });
    queues.deliver([frame], { flags: 0 });
    expect(queues.receiveAll()).toMatchObject([{ flags: 0 }]);
    // Without GUEST_CSUM the flag means nothing.
    queues.start({ features: 0 });
    queues.deliver([frame], { flags: 2 });
    expect(queues.receiveAll()).toMatchObject([{ flags: 0 }]);
  });
});
