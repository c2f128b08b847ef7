import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NeighbourReader,
  NeighbourState,
  NeighbourTable,
  NO_EVICTION,
  TABLE_FULL,
} from '../../rings/neighbour-table.js';
import type { NeighbourWork } from '../support/neighbour-writer.worker.js';

const { FREE, INCOMPLETE, REACHABLE, STALE, STATIC } = NeighbourState;
const IP = 0xc0a80001;
const MAC = Uint16Array.of(0x5452, 0x1200, 0x5634);

function tables(capacity?: number) {
  const buffer = new SharedArrayBuffer(NeighbourReader.bytesFor(capacity));
  return { table: new NeighbourTable(buffer, 0, capacity), reader: new NeighbourReader(buffer, 0, capacity), buffer };
}

function entriesOf(reader: NeighbourReader): Map<number, [state: number, confirmedAt: number, attempts: number]> {
  const entries = new Map<number, [number, number, number]>();
  reader.forEach((ip, state, _mac, confirmedAt, attempts) => {
    entries.set(ip, [state, confirmedAt, attempts]);
  });
  return entries;
}

describe('NeighbourTable', () => {
  it('gives readers the MAC where they want it, whichever sign the address has', () => {
    const { table, reader } = tables();
    expect(table.confirm(IP, Uint16Array.of(0, ...MAC), 1, 1000)).toBe(NO_EVICTION);
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
    table.markIncomplete(IP, 5);
    expect(reader.lookup(IP, frame)).toBe(INCOMPLETE);
    expect(reader.lookup(0, frame)).toBe(FREE);
    expect([...frame]).toEqual([0xaaaa, 0xaaaa, 0xaaaa]);
  });

  it('follows a neighbour from INCOMPLETE to REACHABLE, STALE and out', () => {
    const { table, reader } = tables();
    const frame = new Uint16Array(3);
    expect(table.recordAttempt(IP)).toBe(0);
    table.markIncomplete(IP, 10);
    expect(table.recordAttempt(IP)).toBe(1);
    expect(table.recordAttempt(IP)).toBe(2);
    table.markStale(IP);
    expect(entriesOf(reader).get(IP)).toEqual([INCOMPLETE, 10, 2]);
    table.confirm(IP, MAC, 0, 20);
    expect(entriesOf(reader).get(IP)).toEqual([REACHABLE, 20, 0]);
    table.markStale(IP);
    expect(reader.lookup(IP, frame)).toBe(STALE);
    expect(frame).toEqual(MAC);
    expect(entriesOf(reader).get(IP)).toEqual([STALE, 20, 0]);
    expect(table.count).toBe(1);
    expect(table.remove(IP)).toBe(true);
    expect(table.remove(IP)).toBe(false);
    expect(reader.lookup(IP, frame)).toBe(FREE);
    expect(table.count).toBe(0);
  });

  it('keeps STATIC entries as they are, whatever is learnt', () => {
    const { table, reader } = tables();
    const frame = new Uint16Array(3);
    table.confirm(IP, Uint16Array.of(1, 2, 3), 0, 1);
    table.setStatic(IP, MAC, 0, 2);
    table.confirm(IP, Uint16Array.of(6, 6, 6), 0, 3);
    table.markIncomplete(IP, 4);
    table.markStale(IP);
    expect(reader.lookup(IP, frame)).toBe(STATIC);
    expect(frame).toEqual(MAC);
  });

  it('evicts the REACHABLE or STALE entry confirmed longest ago, also where the clock wraps', () => {
    const { table, reader } = tables(4);
    table.setStatic(1, MAC, 0, 0);
    table.markIncomplete(2, 0);
    table.confirm(3, MAC, 0, 2 ** 32 - 10);
    table.markStale(3);
    table.confirm(4, MAC, 0, 2 ** 32 - 20);
    expect(table.confirm(5, MAC, 0, 5)).toBe(4);
    expect(table.confirm(6, MAC, 0, 6)).toBe(3);
    expect(table.confirm(6, MAC, 0, 7)).toBe(NO_EVICTION);
    expect([...entriesOf(reader).keys()].sort()).toEqual([1, 2, 5, 6]);
    expect(table.count).toBe(4);
  });

  it('then the oldest INCOMPLETE, and never a STATIC one', () => {
    const { table, reader } = tables(2);
    table.setStatic(1, MAC, 0, 0);
    table.markIncomplete(0xffffffff, 1);
    expect(table.confirm(3, MAC, 0, 2)).toBe(0xffffffff);
    expect(table.setStatic(4, MAC, 0, 3)).toBe(3);
    expect(table.confirm(5, MAC, 0, 4)).toBe(TABLE_FULL);
    expect(table.setStatic(6, MAC, 0, 5)).toBe(TABLE_FULL);
    expect([...entriesOf(reader).keys()].sort()).toEqual([1, 4]);
    expect(table.count).toBe(2);
  });

  it('holds a whole subnet of 1024 with nobody evicted, and counts them when a writer attaches', () => {
    const { table, reader, buffer } = tables();
    for (let n = 0; n < 1024; n++) expect(table.confirm(IP + n, MAC, 0, n)).toBe(NO_EVICTION);
    const frame = new Uint16Array(3);
    for (let n = 0; n < 1024; n++) expect(reader.lookup(IP + n, frame)).toBe(REACHABLE);
    expect(new NeighbourTable(buffer, 0).count).toBe(1024);
    expect(table.confirm(IP + 1024, MAC, 0, 1024)).toBe(IP);
  });

  it('evicts in the window when addresses collide on purpose', () => {
    const { table, reader } = tables();
    // 33 addresses of one home slot: the hash is a bijection of 32 bits, so these have its products 0 to 32.
    let inverse = 1n;
    for (let i = 0; i < 6; i++) inverse = BigInt.asUintN(32, inverse * (2n - 0x9e3779b1n * inverse));
    const colliding = Array.from({ length: 33 }, (_, n) => Number(BigInt.asUintN(32, BigInt(n) * inverse)));
    for (let n = 0; n < 32; n++) expect(table.confirm(colliding[n]!, MAC, 0, n)).toBe(NO_EVICTION);
    expect(table.confirm(colliding[32]!, MAC, 0, 32)).toBe(colliding[0]);
    expect(table.count).toBe(32);
    for (let n = 1; n <= 32; n++) expect(reader.lookup(colliding[n]!, new Uint16Array(3))).toBe(REACHABLE);
  });

  it('refuses a capacity or a place that cannot be', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, 65537]) {
      expect(() => NeighbourReader.bytesFor(capacity)).toThrow(/possible are 1 to 65536/);
    }
    expect(() => new NeighbourReader(new SharedArrayBuffer(64), 0, 4)).toThrow(RangeError);
  });

  it('behaves as a map while it is not full, whatever the order of operations', () => {
    const step = fc.record({
      kind: fc.constantFrom('confirm', 'markIncomplete', 'markStale', 'remove'),
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
          } else if (kind === 'markIncomplete') {
            table.markIncomplete(ip, 0);
            model.set(ip, { state: INCOMPLETE, word: 0 });
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
  it('never sees half a MAC, that of another neighbour, or a neighbour gone that is there', async () => {
    const capacity = 12;
    const neighbours = 8;
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { reader, buffer } = tables(capacity);
    const workerData: NeighbourWork = { buffer, capacity, neighbours, stop: stop.buffer };
    const writer = new Worker(new URL('../../dist/test/support/neighbour-writer.worker.js', import.meta.url), {
      workerData,
    });
    try {
      await once(writer, 'message');
      const mac = new Uint16Array(3);
      const distinct = new Set<number>();
      const wrong: string[] = [];
      // Long enough to have seen the writer at work, which on one core takes a few turns of the scheduler.
      const deadline = Date.now() + 8_000;
      for (let i = 0; i < 400_000 || (distinct.size < 500 && Date.now() < deadline); i++) {
        const n = i % (2 * neighbours);
        const state = reader.lookup(0xc0a80000 + n, mac);
        // A read that the writer kept from settling is reported as INCOMPLETE; it says nothing about the MAC.
        if (state === INCOMPLETE) continue;
        if (state === FREE) {
          if (n < neighbours) wrong.push(`192.168.0.${n} missing`);
          continue;
        }
        if (mac[0] !== mac[1] || mac[0] !== mac[2] || (mac[0]! & 0xff) !== n) wrong.push(`192.168.0.${n}: ${mac}`);
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
