import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NeighbourReader, NeighbourState } from '../../../rings/neighbour-reader.js';
import { NeighbourTable, NO_VICTIM } from '../../../rings/neighbour-table.js';
import { collidingAddresses } from '../../support/link/colliding-addresses.js';
import type { NeighbourWork } from '../../support/rings/neighbour-writer.worker.js';

const { FREE, BUSY, REACHABLE, STALE, STATIC } = NeighbourState;
const IP = 0xc0a80001;
const MAC = Uint16Array.of(0x5452, 0x1200, 0x5634);

const KEY = 0x1234567;

function tables(capacity?: number, key?: number) {
  const buffer = new SharedArrayBuffer(NeighbourReader.bytesFor(capacity));
  return {
    table: new NeighbourTable(buffer, 0, capacity, key),
    reader: new NeighbourReader(buffer, 0, capacity),
    buffer,
  };
}

function entriesOf(reader: NeighbourReader): Map<number, [state: number, confirmedAt: number, knownFor: number]> {
  const entries = new Map<number, [number, number, number]>();
  reader.forEach((ip, state, _mac, confirmedAt, knownFor) => {
    entries.set(ip, [state, confirmedAt, knownFor]);
  });
  return entries;
}

const homeIn = (table: NeighbourTable, ip: number): number =>
  (table as unknown as { homeOf(ip: number): number }).homeOf(ip);

describe('NeighbourTable', () => {
  it('writes the MAC where readers want it, whichever sign the address has', () => {
    const { table, reader } = tables();
    expect(table.confirm(IP, Uint16Array.of(0, ...MAC), 1, 1000)).toBe(true);
    const frame = new Uint16Array(6);
    expect(reader.lookup(IP, frame, 2)).toBe(REACHABLE);
    expect([...frame]).toEqual([0, 0, ...MAC, 0]);
    frame.fill(0);
    expect(reader.lookup(IP | 0, frame)).toBe(REACHABLE);
    expect([...frame]).toEqual([...MAC, 0, 0, 0]);
  });

  it('leaves the frame alone where there is no MAC', () => {
    const { table, reader } = tables();
    const frame = new Uint16Array(3).fill(0xaaaa);
    expect(reader.lookup(IP, frame)).toBe(FREE);
    table.confirm(IP, MAC, 0, 5);
    table.remove(IP);
    expect(reader.lookup(IP, frame)).toBe(FREE);
    expect(reader.lookup(0, frame)).toBe(FREE);
    expect([...frame]).toEqual([0xaaaa, 0xaaaa, 0xaaaa]);
  });

  it('confirms a known MAC, and ages it, by one word: no reader finds the entry busy', () => {
    const { table, reader, buffer } = tables(1);
    table.confirm(IP, MAC, 0, 1000);
    const words = new Int32Array(buffer);
    const before = words.slice();
    const at = before.findIndex((word) => (word & 0xffff) === REACHABLE);
    const changed = (): number[] => [...words.keys()].filter((i) => words[i] !== before[i]).map((i) => i - at);
    const frame = new Uint16Array(3);
    reader.lookup(IP, frame);
    const { foundAt, foundAs } = reader;
    // Words 6 and 7 are the times, which readers of packets do not look at.
    table.confirm(IP, MAC, 0, 2000);
    expect(changed()).toEqual([6, 7]);
    expect(reader.isUnchanged(foundAt, foundAs)).toBe(true);
    table.markStale(IP);
    expect(changed()).toEqual([0, 6, 7]);
    expect(reader.isUnchanged(foundAt, foundAs)).toBe(false);
    expect(reader.lookup(IP, frame)).toBe(STALE);
    table.confirm(IP, Uint16Array.of(1, 2, 3), 0, 3000);
    expect(changed()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(reader.isUnchanged(foundAt, foundAs)).toBe(false);
  });

  it('follows a neighbour from REACHABLE to STALE and out, with the times', () => {
    const { table, reader } = tables();
    const frame = new Uint16Array(3);
    table.markStale(IP);
    expect(table.count).toBe(0);
    table.confirm(IP, MAC, 0, 20);
    expect(entriesOf(reader).get(IP)).toEqual([REACHABLE, 20, 0]);
    table.markStale(IP);
    expect(reader.lookup(IP, frame)).toBe(STALE);
    expect(frame).toEqual(MAC);
    expect(entriesOf(reader).get(IP)).toEqual([STALE, 20, 0]);
    table.confirm(IP, MAC, 0, 31_020);
    expect(entriesOf(reader).get(IP)).toEqual([REACHABLE, 31_020, 31_000]);
    table.confirm(IP, MAC, 0, 32_020);
    expect(entriesOf(reader).get(IP)).toEqual([REACHABLE, 32_020, 32_000]);
    expect(table.count).toBe(1);
    expect(table.remove(IP)).toBe(true);
    expect(table.remove(IP)).toBe(false);
    expect(reader.lookup(IP, frame)).toBe(FREE);
    expect(table.count).toBe(0);
    table.confirm(IP, MAC, 0, 40_000);
    expect(entriesOf(reader).get(IP)).toEqual([REACHABLE, 40_000, 0]);
  });

  it('keeps STATIC entries as they are, whatever is learnt', () => {
    const { table, reader } = tables();
    const frame = new Uint16Array(3);
    table.confirm(IP, Uint16Array.of(1, 2, 3), 0, 1);
    table.setStatic(IP, MAC, 0, 2);
    expect(table.confirm(IP, Uint16Array.of(6, 6, 6), 0, 3)).toBe(true);
    table.markStale(IP);
    expect(reader.lookup(IP, frame)).toBe(STATIC);
    expect(frame).toEqual(MAC);
  });

  it('replaces no entry by itself: it is full', () => {
    const { table, reader } = tables(3);
    for (let ip = 1; ip <= 3; ip++) expect(table.confirm(ip, MAC, 0, ip)).toBe(true);
    expect(table.isFull).toBe(true);
    expect([table.confirm(4, MAC, 0, 4), table.setStatic(5, MAC, 0, 5)]).toEqual([false, false]);
    expect(table.confirm(2, MAC, 0, 6)).toBe(true);
    expect([...entriesOf(reader).keys()].sort()).toEqual([1, 2, 3]);
    table.remove(1);
    expect(table.confirm(4, MAC, 0, 7)).toBe(true);
    expect(table.count).toBe(3);
  });

  it('names the entry to replace: the last that became known and is not proven', () => {
    const { table } = tables(6);
    const start = 2 ** 32 - 20_000;
    expect(table.victim(start, 30_000)).toBe(NO_VICTIM);
    table.setStatic(1, MAC, 0, 0);
    expect(table.victim(start, 30_000)).toBe(NO_VICTIM);
    for (const ip of [2, 3, 0xffffffff]) table.confirm(ip, MAC, 0, start);
    table.confirm(3, MAC, 0, start + 31_000);
    table.confirm(2, MAC, 0, start + 32_000);
    table.confirm(5, MAC, 0, start + 1000);
    table.confirm(0xffffffff, MAC, 0, start + 29_000);
    table.markStale(3);
    const now = start + 34_000;
    const order: number[] = [];
    for (let ip = table.victim(now, 30_000); ip !== NO_VICTIM; ip = table.victim(now, 30_000)) {
      order.push(ip);
      table.remove(ip);
    }
    expect(order).toEqual([5, 0xffffffff, 3, 2]);
  });

  it('spares entries from before a flood, and lets each new one stay for a while', () => {
    const { table } = tables(1024, KEY);
    for (let n = 0; n < 20; n++) table.confirm(IP + n, MAC, 0, n);
    let next = 1;
    for (; next <= 1004; next++) table.confirm(next, MAC, 0, 100 + next);
    let stayed = 0;
    for (; next < 20_000; next++) {
      table.remove(table.victim(100 + next, 30_000));
      table.confirm(next, MAC, 0, 100 + next);
      if (table.lookup(next - 32, new Uint16Array(3)) !== FREE) stayed++;
    }
    for (let n = 0; n < 20; n++) expect(table.lookup(IP + n, new Uint16Array(3))).toBe(REACHABLE);
    expect(stayed).toBeGreaterThan(10_000);
  });

  it('holds a whole subnet of 1024, and counts it when a writer attaches with the key', () => {
    const { table, reader, buffer } = tables();
    for (let n = 0; n < 1024; n++) expect(table.confirm(IP + n, MAC, 0, n)).toBe(true);
    const frame = new Uint16Array(3);
    const attached = new NeighbourTable(buffer, 0);
    for (let n = 0; n < 1024; n++) {
      expect([reader.lookup(IP + n, frame), attached.lookup(IP + n, frame)]).toEqual([REACHABLE, REACHABLE]);
    }
    expect(attached.count).toBe(1024);
    expect(table.confirm(IP + 1024, MAC, 0, 1024)).toBe(false);
  });

  it('has room for every address while it is not full, also for chosen collisions', () => {
    const { table, reader } = tables(1024, KEY);
    const colliding = collidingAddresses(KEY, 1024, 1023);
    table.confirm(IP, MAC, 0, 0);
    for (const [n, ip] of colliding.entries()) expect(table.confirm(ip, Uint16Array.of(n, n, n), 0, n)).toBe(true);
    const frame = new Uint16Array(3);
    expect(reader.lookup(IP, frame)).toBe(REACHABLE);
    expect(frame).toEqual(MAC);
    // Every second entry is removed, from the front. No entry behind it may be cut off.
    for (const [n, ip] of colliding.entries()) if (n % 2 === 0) expect(table.remove(ip)).toBe(true);
    for (const [n, ip] of colliding.entries()) {
      expect(reader.lookup(ip, frame)).toBe(n % 2 === 0 ? FREE : REACHABLE);
      if (n % 2 === 1) expect(frame[0]).toBe(n);
    }
  });

  it('places addresses by its key: two that collide with one key do not with another', () => {
    const { table } = tables(1024, KEY + 2);
    const colliding = collidingAddresses(KEY, 1024, 32);
    const homes = new Set(colliding.map((ip) => homeIn(table, ip)));
    expect(homes.size).toBeGreaterThan(16);
    const keys = new Set(Array.from({ length: 16 }, () => homeIn(tables().table, IP)));
    expect(keys.size).toBeGreaterThan(4);
  });

  it('keeps searches short, however many entries came and went', () => {
    const { table } = tables(64, KEY);
    let address = 1;
    for (let n = 0; n < 64; n++) table.confirm(address++, MAC, 0, n);
    for (let n = 0; n < 100_000; n++) {
      table.remove(address - 64);
      table.confirm(address++, MAC, 0, n);
    }
    const { words } = table as unknown as { words: Int32Array };
    let free = 0;
    for (let slot = 0; slot < words.length; slot += 8) if ((words[slot]! & 0xffff) === FREE) free++;
    // 256 slots, 64 of them in use.
    expect(free).toBeGreaterThan(64);
    for (let n = 1; n <= 64; n++) table.remove(address - n);
    expect(words.every((word, i) => i % 8 !== 0 || (word & 0xffff) === FREE)).toBe(true);
  });

  it('refuses a capacity or a place that cannot be', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, 65537]) {
      expect(() => NeighbourReader.bytesFor(capacity)).toThrow(/can have 1 to 65536/);
    }
    expect(() => new NeighbourReader(new SharedArrayBuffer(64), 0, 4)).toThrow(RangeError);
    const empty = new SharedArrayBuffer(NeighbourReader.bytesFor(4));
    expect(() => new NeighbourReader(empty, 0, 4)).toThrow(/there is no neighbour table yet/);
  });

  it('behaves as a map while it is not full, whatever the order of operations', () => {
    const step = fc.record({
      kind: fc.constantFrom('confirm', 'confirm', 'markStale', 'remove'),
      ip: fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0xfffffff0, max: 0xffffffff })),
      word: fc.integer({ min: 0, max: 0xffff }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { table, reader } = tables(64);
        const model = new Map<number, { state: number; word: number }>();
        for (const { kind, ip, word } of steps) {
          const known = model.get(ip);
          if (kind === 'confirm') {
            table.confirm(ip, Uint16Array.of(word, word, word), 0, 0);
            model.set(ip, { state: REACHABLE, word });
          } else if (kind === 'markStale') {
            table.markStale(ip);
            if (known?.state === REACHABLE) known.state = STALE;
          } else {
            expect(table.remove(ip)).toBe(model.delete(ip));
          }
          const out = new Uint16Array(3);
          const now = model.get(ip);
          expect(reader.lookup(ip, out)).toBe(now?.state ?? FREE);
          expect([...out]).toEqual(Array(3).fill(now?.word ?? 0));
        }
        expect(table.count).toBe(model.size);
        for (const [ip, { state }] of model) expect(reader.lookup(ip, new Uint16Array(3))).toBe(state);
        expect(entriesOf(reader).size).toBe(model.size);
      }),
    );
  });
});

describe('NeighbourReader beside a writer', () => {
  const NEIGHBOURS = 8;
  const CAPACITY = 12;
  const subnet = Array.from({ length: 2 * NEIGHBOURS }, (_, n) => 0xc0a80000 + n);
  const colliding = collidingAddresses(KEY, CAPACITY, 2 * NEIGHBOURS);

  it.each([
    ['of a subnet', subnet],
    ['that collide', colliding],
  ])('sees no half MAC, no other neighbour’s, and misses none that is there: %s', async (_, addresses) => {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { reader, buffer } = tables(CAPACITY, KEY);
    const workerData: NeighbourWork = { buffer, capacity: CAPACITY, addresses, stop: stop.buffer };
    const writer = new Worker(new URL('../../../dist/test/support/rings/neighbour-writer.worker.js', import.meta.url), {
      workerData,
    });
    try {
      await once(writer, 'message');
      const mac = new Uint16Array(3);
      const distinct = new Set<number>();
      const wrong: string[] = [];
      // Long enough to have seen the writer at work, which on one CPU takes a few turns of the scheduler.
      const deadline = Date.now() + 8_000;
      for (let i = 0; i < 400_000 || (distinct.size < 500 && Date.now() < deadline); i++) {
        const n = i % (2 * NEIGHBOURS);
        const state = reader.lookup(addresses[n]!, mac);
        // BUSY means that the writer kept the read from settling; it says nothing about the MAC.
        if (state === BUSY) continue;
        if (state === FREE) {
          if (n < NEIGHBOURS) wrong.push(`${n} missing`);
          continue;
        }
        if (mac[0] !== mac[1] || mac[0] !== mac[2] || (mac[0]! & 0xff) !== n) wrong.push(`${n}: ${mac}`);
        distinct.add(mac[0]!);
      }
      Atomics.store(stop, 0, 1);
      expect(wrong).toEqual([]);
      expect(distinct.size).toBeGreaterThanOrEqual(500);
    } finally {
      await writer.terminate();
    }
  });
});
