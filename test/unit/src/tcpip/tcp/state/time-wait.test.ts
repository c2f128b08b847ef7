/** The TIME_WAIT table against a list. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowTable, NO_FLOW } from '../../../../../../src/tcpip/tcp/state/flow-table.js';
import {
  TimeWait,
  TW_EXPIRY,
  TW_FLAG_TIMESTAMPS,
  TW_FLAGS,
  TW_PORTS,
  TW_RCV_NXT,
  TW_RCV_WND,
  TW_REMOTE,
  TW_SND_NXT,
  TW_TS_OFFSET,
  TW_TS_RECENT,
  timeWaitValue,
} from '../../../../../../src/tcpip/tcp/state/time-wait.js';

const KEY = Int32Array.of(99, -1);
const MSL2 = 60_000;

const addFlow = (table: TimeWait, ports: number, now: number): number => table.add(1, ports, 0, 0, 0, 0, 0, 0, now);

describe('TIME_WAIT', () => {
  it('keeps what the answer to a FIN needs, and takes over the flow of the row', () => {
    const flows = new FlowTable(10, KEY);
    const table = new TimeWait(4, MSL2, flows);
    flows.insert(-1, 80, 7);
    expect(table.msToNext(0)).toBe(Number.POSITIVE_INFINITY);
    const index = table.add(-1, 80, 2, 3, 4, TW_FLAG_TIMESTAMPS, 5, 6, 1000);
    const { words } = table;
    const at = table.at(index);
    expect(flows.find(-1, 80)).toBe(timeWaitValue(index));
    expect(timeWaitValue(timeWaitValue(index))).toBe(index);
    const names = [TW_REMOTE, TW_PORTS, TW_SND_NXT, TW_RCV_NXT, TW_RCV_WND, TW_FLAGS, TW_TS_RECENT, TW_TS_OFFSET];
    expect(names.map((name) => words[at + name])).toEqual([-1, 80, 2, 3, 4, 1, 5, 6]);
    expect(words[at + TW_EXPIRY]).toBe(61_000);
    expect(table.msToNext(1000)).toBe(MSL2);
    expect(table.expire(60_999)).toBe(0);
    expect(table.expire(61_000)).toBe(1);
    expect(flows.find(-1, 80)).toBe(NO_FLOW);
    expect(flows.size).toBe(0);
  });

  it('forgets the connection that would end next when it is full', () => {
    const flows = new FlowTable(3, KEY);
    const table = new TimeWait(3, MSL2, flows);
    const indexes = [1, 2, 3].map((ports) => addFlow(table, ports, ports));
    table.touch(indexes[0]!, 4);
    addFlow(table, 5, 5);
    expect(table.recycled).toBe(1);
    expect(table.size).toBe(3);
    expect(flows.find(1, 2)).toBe(NO_FLOW);
    for (const ports of [1, 3, 5]) expect(flows.find(1, ports)).not.toBe(NO_FLOW);
  });

  it('adds nothing when the flow table is full', () => {
    const flows = new FlowTable(2, KEY);
    const table = new TimeWait(3, MSL2, flows);
    flows.insert(9, 9, 0);
    expect(addFlow(table, 1, 0)).toBe(0);
    expect(addFlow(table, 2, 0)).toBe(-1);
    expect(table.size).toBe(1);
    flows.remove(9, 9);
    expect(addFlow(table, 2, 0)).toBe(1);
  });

  it('behaves as a list does, also where the clock wraps', () => {
    const capacity = 6;
    const entry = fc.integer({ min: 0, max: capacity });
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), n: fc.integer({ min: 0, max: 9 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('touch' as const), n: entry }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), n: entry }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), n: fc.integer({ min: 0, max: 40 }) }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0x7fff_ff00, max: 0x7fff_ffff }), fc.array(step), (start, steps) => {
        const flows = new FlowTable(20, KEY);
        const table = new TimeWait(capacity, 100, flows);
        let model: { ports: number; expiry: number }[] = [];
        let recycled = 0;
        let now = start;
        for (const { kind, n } of steps) {
          const chosen = model[n];
          if (kind === 'add') {
            if (model.some(({ ports }) => ports === n)) continue;
            if (model.length === capacity) {
              model.shift();
              recycled++;
            }
            model.push({ ports: n, expiry: now + 100 });
            expect(addFlow(table, n, now | 0)).toBeGreaterThanOrEqual(0);
          } else if (kind === 'pass') {
            now += n;
            const rest = model.filter(({ expiry }) => expiry > now);
            expect(table.expire(now | 0)).toBe(model.length - rest.length);
            model = rest;
          } else if (chosen !== undefined) {
            const index = timeWaitValue(flows.find(1, chosen.ports));
            model.splice(n, 1);
            if (kind === 'touch') {
              model.push({ ports: chosen.ports, expiry: now + 100 });
              table.touch(index, now | 0);
            } else {
              table.remove(index);
            }
          }
          expect(table.size).toBe(model.length);
          expect(flows.size).toBe(model.length);
          expect(table.recycled).toBe(recycled);
          const first = model[0];
          expect(table.msToNext(now | 0)).toBe(first === undefined ? Number.POSITIVE_INFINITY : first.expiry - now);
          for (const { ports, expiry } of model) {
            const at = table.at(timeWaitValue(flows.find(1, ports)));
            expect(table.words[at + TW_PORTS]).toBe(ports);
            expect(table.words[at + TW_EXPIRY]).toBe(expiry | 0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
