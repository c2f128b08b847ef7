/** The flow table against a Map, with flows that collide. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HalfSipHash } from '../../../../../../src/tcpip/hash/half-siphash.js';
import { FlowTable, NO_FLOW } from '../../../../../../src/tcpip/tcp/state/flow-table.js';

const KEY = Int32Array.of(0x1234567, -0x7654321);

/** Flows whose search begins in one of a few slots of a table of 64, around its end. */
function collidingFlows(): [number, number][] {
  const hash = new HalfSipHash(KEY);
  const flows: [number, number][] = [];
  for (let n = 0; flows.length < 48; n++) {
    const remote = (0xc0a80000 + (n & 3)) | 0;
    const ports = (80 << 16) | n;
    const slot = hash.hash(remote, ports) & 63;
    if (slot >= 61 || slot < 3) flows.push([remote, ports]);
  }
  return flows;
}

describe('the flow table', () => {
  it('finds what was inserted, with both kinds of values', () => {
    const table = new FlowTable(4, KEY);
    expect(table.find(1, 2)).toBe(NO_FLOW);
    expect(table.insert(1, 2, 0)).toBe(true);
    expect(table.insert(-1, -2, -2)).toBe(true);
    expect(table.insert(0, 0, 0x7fff_ffff)).toBe(true);
    expect(table.find(1, 2)).toBe(0);
    expect(table.find(-1, -2)).toBe(-2);
    expect(table.find(0, 0)).toBe(0x7fff_ffff);
    expect(table.find(2, 1)).toBe(NO_FLOW);
    expect(table.replace(1, 2, -7)).toBe(true);
    expect(table.find(1, 2)).toBe(-7);
    expect(table.replace(2, 1, 5)).toBe(false);
    expect(table.remove(2, 1)).toBe(false);
    expect(table.size).toBe(3);
  });

  it('takes exactly its capacity, and no flow twice', () => {
    for (const capacity of [1, 2, 3, 100]) {
      const table = new FlowTable(capacity, KEY);
      expect(table.insert(7, 0, 0)).toBe(true);
      expect(table.insert(7, 0, 1)).toBe(false);
      expect(table.find(7, 0)).toBe(0);
      for (let i = 1; i < capacity; i++) expect(table.insert(7, i, i)).toBe(true);
      expect(table.insert(7, capacity, 1)).toBe(false);
      expect(table.find(7, capacity)).toBe(NO_FLOW);
      expect(table.size).toBe(capacity);
      for (let i = 0; i < capacity; i++) expect(table.remove(7, i)).toBe(true);
      expect(table.size).toBe(0);
    }
  });

  it('grows with what it holds, and loses nothing', () => {
    const flows = 200_000;
    const table = new FlowTable(flows, KEY);
    const slots = (): number => table['mask'] + 1;
    expect(slots()).toBe(1024);
    for (let i = 0; i < flows; i++) {
      if (!table.insert(i, ~i, i)) throw new Error(`${i} was not inserted`);
      if (i % 3 === 0 && !table.remove(i, ~i)) throw new Error(`${i} was not removed`);
      if (table.size * 2 > slots()) throw new Error(`${table.size} flows in ${slots()} slots`);
    }
    for (let i = 0; i < flows; i++) {
      if (table.find(i, ~i) !== (i % 3 === 0 ? NO_FLOW : i)) throw new Error(`${i} has ${table.find(i, ~i)}`);
    }
    expect(slots()).toBe(2 ** 19);
  });

  it('removes a flow by its value, and no other', () => {
    const table = new FlowTable(4, KEY);
    table.insert(1, 2, 3);
    table.removeValue(1, 2, 4);
    table.removeValue(2, 2, 3);
    expect(table.find(1, 2)).toBe(3);
    table.removeValue(1, 2, 3);
    expect(table.find(1, 2)).toBe(NO_FLOW);
    expect(table.size).toBe(0);
  });

  it('behaves as a Map does, although many flows begin in the same slots', () => {
    const flows = collidingFlows();
    const flow = fc.integer({ min: 0, max: flows.length - 1 });
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('insert' as const), flow }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), flow }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace' as const), flow }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new FlowTable(32, KEY);
        const model = new Map<number, number>();
        let value = 0;
        for (const { kind, flow } of steps) {
          const [remote, ports] = flows[flow]!;
          value++;
          if (kind === 'insert') {
            const fits = !model.has(flow) && model.size < 32;
            expect(table.insert(remote, ports, value)).toBe(fits);
            if (fits) model.set(flow, value);
          } else if (kind === 'remove') {
            expect(table.remove(remote, ports)).toBe(model.delete(flow));
          } else {
            expect(table.replace(remote, ports, -2 - value)).toBe(model.has(flow));
            if (model.has(flow)) model.set(flow, -2 - value);
          }
          expect(table.size).toBe(model.size);
          for (let i = 0; i < flows.length; i++) {
            expect(table.find(flows[i]![0], flows[i]![1])).toBe(model.get(i) ?? NO_FLOW);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('flows that an attacker chooses', () => {
  const FLOWS = 20_000;
  const ATTACKER = 0x0b000001;

  /** The longest run of places in use: what a search may have to look through. */
  function longestRun(flow: (i: number) => [remote: number, ports: number], key: Int32Array): number {
    const flows = new FlowTable(FLOWS, key);
    for (let i = 0; i < FLOWS; i++) flows.insert(...flow(i), i);
    expect(flows.size).toBe(FLOWS);
    const slots = flows['slots'];
    let run = 0;
    let longest = 0;
    for (let at = 2; at < slots.length; at += 3) {
      run = slots[at] === 0 ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest;
  }

  it.each<[string, (i: number) => [number, number]]>([
    ['ports in turn', (i) => [ATTACKER, (80 << 16) | i]],
    ['addresses in turn', (i) => [ATTACKER + i, (80 << 16) | 1000]],
    ['addresses with equal low bits', (i) => [i << 16, (80 << 16) | 1000]],
    ['addresses and ports that cancel out', (i) => [i, (80 << 16) | (i ^ 0xffff)]],
  ])('are spread over the table as any others: %s', (_, flow) => {
    for (let key = 1; key <= 3; key++) {
      expect(longestRun(flow, Int32Array.of(key * 0x12345677, -key))).toBeLessThan(120);
    }
  });
});
