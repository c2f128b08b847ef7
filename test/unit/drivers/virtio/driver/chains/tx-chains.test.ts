/** Packets to send that lie in several buffers: chains (virtio 1.2, 2.7.5, 2.8.6) and indirect tables (2.7.5.3, 2.8.7). */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CSUM, OFFLOAD_TSO4 } from '../../../../../../drivers/offloads.js';
import * as bits from '../../../../../../drivers/virtio/driver/offload-bits.js';
import * as t from '../../../../../../rings/packet-table.js';
import { ChainQueues, type ChainQueuesOptions } from '../../../../../support/virtio/chain-queues.js';
import type { Chain } from '../../../../../support/virtio/device-model.js';
import { cut, cutEvery, tcpFrame } from '../../../../../support/virtio/offload-frames.js';

const SIZE = 8;
const BUFFERS = 48;
const AT_REST = { pool: BUFFERS - SIZE, rx: SIZE, tx: 0, hand: 0, waiting: 0 };
const HEADER = 12;

/** A frame of 54 bytes and more, in `parts` buffers. */
const inParts = (parts: number, seed = 1): Uint8Array[] => cutEvery(tcpFrame(40 * parts - 14, { seed }).bytes, 80, 40);
const EACH = [
  ['split', false, false],
  ['split with indirect tables', false, true],
  ['packed', true, false],
  ['packed with indirect tables', true, true],
] as const;

describe.each(EACH)('chains to send on a ring: %s', (_, packed, indirect) => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  const open = (options: ChainQueuesOptions = {}): void => {
    const features = OFFLOAD_CSUM | OFFLOAD_TSO4 | (indirect ? bits.USE_INDIRECT : 0);
    queues = new ChainQueues({ packed, indirect, features, size: SIZE, ...options });
  };
  const frameIn = (chain: Chain): Buffer => Buffer.from(queues.read(chain).frame);
  const packetOf = (pieces: readonly Uint8Array[]): { handle: number; length: number } => ({
    handle: queues.packet(pieces),
    length: pieces[0]!.length,
  });
  /** Descriptors of the ring that a packet in so many buffers takes. */
  const places = (parts: number): number => (indirect ? 1 : parts);

  it('have a descriptor for each part, and the header before the first', () => {
    open();
    const pieces = inParts(4);
    expect(queues.sendOne(pieces, {}, [0, 3, 50, 1622])).toBe(1);
    expect(queues.tx.inFlight).toBe(places(4));
    const chain = queues.txModel.take()!;
    expect(chain.places).toBe(places(4));
    expect(chain.segments.map(({ length }) => length)).toEqual([HEADER + 80, 40, 40, pieces[3]!.length]);
    expect(frameIn(chain)).toEqual(Buffer.concat(pieces));
    expect(queues.account()).toEqual({ ...AT_REST, pool: AT_REST.pool - 4, tx: 4 });
    queues.txModel.use(chain, 0);
    queues.tx.reclaim();
    expect(queues.account()).toEqual(AT_REST);
    expect(queues.tx.inFlight).toBe(0);
  });

  it('go round the ring, between plain packets, in bursts of every kind', () => {
    open();
    for (let round = 0; round < 120; round++) {
      const all = [1 + (round % 4), 1, 1 + ((round >> 2) % 3)].map((parts, i) =>
        parts === 1 ? [tcpFrame(round % 90, { seed: i }).bytes] : inParts(parts, i),
      );
      expect(queues.send(all.map(packetOf))).toBe(3);
      const chains = queues.txModel.takeAll();
      expect(chains.map(frameIn)).toEqual(all.map((pieces) => Buffer.concat(pieces)));
      for (const chain of chains) queues.txModel.use(chain, 0);
      queues.tx.reclaim();
      expect(queues.account()).toEqual(AT_REST);
    }
  });

  it('stay the caller’s while there is no room, and are taken later', () => {
    open();
    const parts = indirect ? 2 : 3;
    const fit = indirect ? SIZE : 2;
    const all = Array.from({ length: fit + 1 }, (_unused, i) => inParts(parts, i));
    const packets = all.map(packetOf);
    expect(queues.send(packets)).toBe(fit);
    expect(queues.send(packets.slice(fit))).toBe(0);
    expect(queues.account()).toMatchObject({ tx: fit * parts, hand: parts });
    expect(queues.table.words[packets[fit]!.handle << t.ENTRY_SHIFT]).toBe(t.CHAIN);
    for (const chain of queues.txModel.takeAll()) queues.txModel.use(chain, 0);
    expect(queues.send(packets.slice(fit))).toBe(1);
    expect(queues.txModel.takeAll().map(frameIn)).toEqual([Buffer.concat(all[fit]!)]);
  });

  it('come back in any order, and in pieces of a ring that wraps', () => {
    open();
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [0, 2, 1],
    ];
    for (let round = 0; round < 200; round++) {
      const all = [inParts(1 + (round % 3), round), inParts(2, round + 1), inParts(1 + ((round >> 1) % 3), round + 2)];
      expect(queues.send(all.map(packetOf))).toBe(3);
      const chains = queues.txModel.takeAll();
      expect(chains.map(frameIn)).toEqual(all.map((pieces) => Buffer.concat(pieces)));
      for (const i of orders[round % 4]!) {
        queues.txModel.use(chains[i]!, 0);
        if (round % 3 === 0) queues.tx.reclaim();
        queues.account();
      }
      queues.tx.reclaim();
      expect(queues.tx.inFlight).toBe(0);
      expect(queues.account()).toEqual(AT_REST);
    }
  });

  it('agree with the device while it keeps some of them for long', () => {
    const step = fc.record({ parts: fc.integer({ min: 1, max: 5 }), use: fc.array(fc.nat(7), { maxLength: 4 }) });
    open();
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.boolean(), (steps, eventIdx) => {
        queues.start({ eventIdx });
        const held: Chain[] = [];
        const expected: Buffer[] = [];
        let seed = 0;
        for (const { parts, use } of steps) {
          if (queues.pool.available < parts) break;
          const pieces = parts === 1 ? [tcpFrame(seed % 60, { seed }).bytes] : inParts(parts, seed);
          seed++;
          const packet = packetOf(pieces);
          if (queues.send([packet]) === 1) expected.push(Buffer.concat(pieces));
          else {
            queues.inHand.clear();
            queues.table.free(packet.handle, queues.pool);
          }
          for (const chain of queues.txModel.takeAll()) {
            expect(frameIn(chain)).toEqual(expected.shift());
            held.push(chain);
          }
          for (const i of use) {
            const [chain] = held.splice(i % Math.max(1, held.length), 1);
            if (chain !== undefined) queues.txModel.use(chain, 0);
          }
          queues.account();
          expect(queues.tx.broken).toBe('');
        }
        for (const chain of held) queues.txModel.use(chain, 0);
        queues.tx.reclaim();
        expect(queues.tx.inFlight).toBe(0);
        expect(queues.account()).toEqual(AT_REST);
      }),
      { numRuns: 150 },
    );
  });

  it.each([false, true])('ring the doorbell once for a burst that the device asks for (EVENT_IDX: %s)', (eventIdx) => {
    open({ eventIdx });
    for (let i = 0; i < 30; i++) {
      queues.txModel.setNotify(i % 3 !== 0);
      const before = queues.txModel.notifications;
      queues.send([packetOf(inParts(3, i)), packetOf(inParts(2, i))]);
      expect(queues.txModel.notifications - before).toBe(i % 3 === 0 ? 0 : 1);
      for (const chain of queues.txModel.takeAll()) queues.txModel.use(chain, 0);
      queues.tx.reclaim();
    }
  });

  it('are lost as packets when the device goes away; their buffers come back', () => {
    open();
    queues.send([packetOf(inParts(3)), packetOf([tcpFrame(5).bytes]), packetOf(inParts(2))]);
    queues.start();
    expect(queues.txCounts.lostOnReset).toBe(3);
    expect(queues.account()).toEqual(AT_REST);
    queues.send([packetOf(inParts(3)), packetOf(inParts(4))]);
    queues.start({ packed: !packed });
    expect(queues.txCounts.lostOnReset).toBe(5);
    expect(queues.account()).toEqual(AT_REST);
    expect(queues.sendOne(inParts(3))).toBe(1);
    expect(queues.txModel.takeAll().map(frameIn)).toEqual([Buffer.concat(inParts(3))]);
  });

  describe('that cannot be are dropped, with all their buffers', () => {
    const spoil: readonly (readonly [string, (words: Int32Array, first: number, second: number) => void])[] = [
      ['a total that is not the sum', (words, first) => words[first + t.TOTAL]!++],
      ['a part of no byte', (words, _first, second) => (words[second + t.LENGTH] = 0)],
      ['a part of a negative length', (words, _first, second) => (words[second + t.LENGTH] = -40)],
      ['a part before its buffer', (words, _first, second) => (words[second + t.START] = -1)],
      ['a part beyond its buffer', (words, _first, second) => (words[second + t.START] = 1625)],
      ['a part beyond all bounds', (words, _first, second) => (words[second + t.START] = 0x7fff_ffff)],
    ];
    it.each(spoil)('%s', (_name, change) => {
      open();
      const { words } = queues.table;
      const pieces = inParts(3);
      const packet = packetOf(pieces);
      const first = packet.handle << t.ENTRY_SHIFT;
      change(words, first, words[first + t.NEXT]! << t.ENTRY_SHIFT);
      expect(queues.send([packet])).toBe(1);
      expect(queues.txCounts).toMatchObject({ droppedBadOffload: 1, packets: 0 });
      expect(queues.account()).toEqual(AT_REST);
      expect(queues.txModel.take()).toBeNull();
    });

    it('a link to no buffer: what is there is freed', () => {
      open();
      const { words } = queues.table;
      for (const bad of [-2, BUFFERS, 0x7fff_ffff]) {
        const packet = packetOf(inParts(3));
        const second = words[(packet.handle << t.ENTRY_SHIFT) + t.NEXT]! << t.ENTRY_SHIFT;
        const third = words[second + t.NEXT]!;
        words[second + t.NEXT] = bad;
        queues.inHand.clear();
        queues.inHand.add(third);
        expect(queues.tx.burst(Uint32Array.of(packet.handle), Uint32Array.of(packet.length), 1)).toBe(1);
        expect(queues.account()).toEqual({ ...AT_REST, pool: AT_REST.pool - 1, hand: 1 });
        queues.inHand.clear();
        queues.pool.put(third);
      }
      expect(queues.txCounts.droppedBadOffload).toBe(3);
    });

    it('more parts than the ring has entries', () => {
      open();
      expect(queues.sendOne(inParts(SIZE + 1))).toBe(1);
      expect(queues.txCounts.droppedBadOffload).toBe(1);
      expect(queues.sendOne(inParts(SIZE))).toBe(1);
      expect(queues.txModel.takeAll().map(frameIn)).toEqual([Buffer.concat(inParts(SIZE))]);
    });

    it('more than 64 parts', () => {
      open({ size: 128, buffers: 300 });
      const bytes = tcpFrame(1000).bytes;
      expect(queues.sendOne(cutEvery(bytes, 80, 15))).toBe(1);
      expect(queues.txCounts.droppedBadOffload).toBe(1);
      const most = cutEvery(bytes.subarray(0, 80 + 63 * 15), 80, 15);
      expect(queues.sendOne(most)).toBe(1);
      const chain = queues.txModel.take()!;
      expect(chain.segments).toHaveLength(64);
      expect(frameIn(chain)).toEqual(Buffer.concat(most));
      queues.txModel.use(chain, 0);
      queues.tx.reclaim();
      expect(queues.account()).toMatchObject({ tx: 0, hand: 0 });
    });
  });

  it('one part and the flag of a chain is a packet in one buffer', () => {
    open();
    const { words } = queues.table;
    const packet = packetOf([tcpFrame(50).bytes]);
    const entry = packet.handle << t.ENTRY_SHIFT;
    words[entry + t.NEXT] = t.LAST;
    words[entry + t.TOTAL] = packet.length;
    words[entry] = t.CHAIN;
    expect(queues.send([packet])).toBe(1);
    const chain = queues.txModel.take()!;
    expect(chain.places).toBe(1);
    expect(frameIn(chain)).toEqual(Buffer.from(tcpFrame(50).bytes));
    queues.txModel.use(chain, 0);
    queues.tx.reclaim();
    expect(queues.account()).toEqual(AT_REST);
  });

  describe('of a device that lies', () => {
    it.each([
      ['an id that it does not hold', [7]],
      ['an id beyond the ring', [SIZE]],
      ['the largest id', [65535]],
      ['a part of a chain that is not its first', [1]],
      ['one chain twice', [0, 0]],
    ])('%s: the ring is broken, and no buffer is lost', (_name, ids) => {
      open();
      queues.send([packetOf(inParts(3)), packetOf(inParts(2))]);
      // With indirect tables descriptor 1 is a chain of its own: the device may use it, but not twice.
      const pushed = indirect && ids[0] === 1 ? [1, 1] : ids;
      for (const id of pushed) {
        queues.txModel.pushUsed(id, 0);
        queues.tx.reclaim();
        if (queues.tx.broken !== '') break;
      }
      // A packed ring ends where the chain ends: what lies behind its first descriptor is not looked at.
      if (!(packed && !indirect && ids.length === 2)) {
        expect(queues.tx.broken).toMatch(/test transmit queue: .* which the device does not hold/);
      }
      queues.account();
      queues.start();
      expect(queues.account()).toEqual(AT_REST);
      expect(queues.sendOne(inParts(3))).toBe(1);
      expect(queues.txModel.takeAll().map(frameIn)).toEqual([Buffer.concat(inParts(3))]);
      queues.violations.length = 0;
    });

    it('anything: nothing throws, no buffer is lost', () => {
      const act = fc.record({
        parts: fc.integer({ min: 1, max: 5 }),
        honest: fc.nat(3),
        id: fc.oneof({ weight: 4, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(9) }),
        descriptors: fc.nat(30),
      });
      open();
      fc.assert(
        fc.property(fc.array(act, { minLength: 1, maxLength: 40 }), (acts) => {
          queues.start();
          let isSpoiled = false;
          for (const { parts, honest, id, descriptors } of acts) {
            const packet = packetOf(inParts(parts));
            if (queues.send([packet]) === 0) {
              queues.inHand.clear();
              queues.table.free(packet.handle, queues.pool);
            }
            if (descriptors === 0) {
              const at = queues.tx.layout.descriptors;
              queues.memory.u8.fill(id & 255, at, at + 16 * SIZE);
              isSpoiled = true;
            }
            if (id >= 0) queues.txModel.pushUsed(id, 0);
            else if (!isSpoiled) {
              for (let i = 0; i < honest; i++) {
                const chain = queues.txModel.take();
                if (chain !== null) queues.txModel.use(chain, 0);
              }
            }
            queues.tx.reclaim();
            queues.account();
            if (queues.tx.broken !== '') break;
          }
          queues.start();
          expect(queues.account()).toEqual(AT_REST);
        }),
        { numRuns: 200 },
      );
      queues.violations.length = 0;
    });
  });
});

describe.each([
  ['chains', false],
  ['indirect tables', true],
] as const)('a packed ring that is used in order: %s', (_, indirect) => {
  let queues: ChainQueues;
  afterEach(() => queues.close());

  it('takes batches back by one descriptor each, round the ring', () => {
    const features = indirect ? bits.USE_INDIRECT : 0;
    queues = new ChainQueues({ packed: true, inOrder: true, mergeable: false, indirect, features, size: SIZE });
    const model = queues.txModel as unknown as { useBatch(chains: readonly Chain[]): void };
    const held: Chain[] = [];
    for (let round = 0; round < 200; round++) {
      const pieces = inParts(1 + (round % 4), round);
      const packet = { handle: queues.packet(pieces), length: pieces[0]!.length };
      if (queues.send([packet]) === 0) {
        queues.inHand.clear();
        queues.table.free(packet.handle, queues.pool);
      }
      held.push(...queues.txModel.takeAll());
      if (round % 3 === 2 && held.length > 0) model.useBatch(held.splice(0, 1 + (round % held.length)));
      queues.account();
    }
    if (held.length > 0) model.useBatch(held);
    queues.tx.reclaim();
    expect(queues.tx.inFlight).toBe(0);
    expect(queues.account()).toEqual(AT_REST);
    expect(queues.tx.broken).toBe('');
  });

  it.each([6, SIZE, 65535])('breaks at a batch whose last is %d', (id) => {
    const features = indirect ? bits.USE_INDIRECT : 0;
    queues = new ChainQueues({ packed: true, inOrder: true, mergeable: false, indirect, features, size: SIZE });
    queues.sendOne(inParts(3));
    queues.sendOne(cut(tcpFrame(10).bytes, 60));
    queues.txModel.pushUsed(id, 0);
    queues.tx.reclaim();
    expect(queues.tx.broken).toBe(
      `test transmit queue: a used descriptor names buffer ${id}, which the device does not hold`,
    );
    expect(queues.account()).toMatchObject({ tx: 5 });
    queues.start();
    expect(queues.account()).toEqual(AT_REST);
  });
});
