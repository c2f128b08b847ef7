import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModuleGraph } from '../../../bess/modules/graph.js';
import { L2Forward } from '../../../bess/modules/l2-forward.js';
import { MacTable, NOT_FOUND } from '../../../bess/modules/mac-table.js';
import { Merge, Sink } from '../../../bess/modules/merge-sink.js';
import { QueueInc } from '../../../bess/modules/port-inc.js';
import { QueueOut } from '../../../bess/modules/port-out.js';
import { Replicate } from '../../../bess/modules/replicate.js';
import { Source } from '../../../bess/modules/source.js';
import { renderStats, snapshot } from '../../../bess/stats.js';
import { fakePort, frame } from '../../support/bess/fake-port.js';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

function mac(vm: number): string {
  return `52:54:00:00:00:${vm.toString(16).padStart(2, '0')}`;
}

/** The pipeline of forward_script.bess for `count` VMs. */
function forwardScript(count: number) {
  const graph = new ModuleGraph();
  const vms = Array.from({ length: count }, (_, i) => fakePort(`vm${i}`));
  const fwd = graph.add(new L2Forward('fwd'));
  const repl = graph.add(
    new Replicate(
      'repl',
      vms.map((_, i) => i),
    ),
  );
  fwd.add([...vms.map((_, i) => ({ addr: mac(i), gate: i })), { addr: BROADCAST, gate: count }]);
  fwd.connect(count, repl, 0);
  vms.forEach(({ port }, i) => {
    const out = graph.add(new QueueOut(`out${i}`, port, 0));
    graph.add(new QueueInc(`in${i}`, port, 0)).connect(0, fwd, 0);
    fwd.connect(i, out, 0);
    repl.connect(i, out, 0);
  });
  graph.checkLoops();
  return { graph, vms, ports: vms.map(({ port }) => port) };
}

const WORKER = { busy: 0, idle: 0, asleep: false };

describe('the pipeline of forward_script.bess', () => {
  it('sends unicast to its VM, and broadcast to all VMs with the sender', () => {
    const { graph, vms, ports } = forwardScript(3);
    vms[0]?.queue.offer(frame(mac(1), 1), frame(BROADCAST, 2), frame(mac(2), 3), frame('02:00:00:00:00:01', 4));
    for (const task of graph.tasks) task.run();
    expect(vms.map(({ queue }) => queue.tags)).toEqual([[2], [1, 2], [2, 3]]);
    expect(snapshot(ports, graph, WORKER, 1).summary).toEqual({
      received: 4,
      generated: 0,
      copied: 2,
      cut: 0,
      forwarded: 5,
      replicated: 3,
      dropped: {
        total: 1,
        full: 0,
        noPeer: 0,
        interfaceDown: 0,
        unknownDestination: 1,
        deadend: 0,
        sink: 0,
        tunnel: 0,
      },
    });
  });

  it('accounts for every packet and keeps the order of each flow, for any traffic', () => {
    const packet = fc.record({ to: fc.integer({ min: 0, max: 6 }), bytes: fc.integer({ min: 1, max: 200 }) });
    const vm = fc.record({
      bursts: fc.array(fc.array(packet, { maxLength: 40 }), { maxLength: 4 }),
      room: fc.integer({ min: 0, max: 60 }),
      isUp: fc.boolean(),
      base: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(vm, { minLength: 1, maxLength: 4 }), (config) => {
        const { graph, vms, ports } = forwardScript(config.length);
        let tag = 0;
        let offered = 0;
        config.forEach(({ bursts, room, isUp, base }, i) => {
          const { queue, device } = vms[i] as (typeof vms)[number];
          Object.assign(queue, { room, base });
          device.isUp = isUp;
          for (const { to, bytes } of bursts.flat()) {
            const whole = frame(to === 6 ? BROADCAST : mac(to), tag++, Math.max(bytes, 16));
            queue.waiting.push([whole.slice(0, bytes)]);
            offered++;
          }
        });
        let moved = 0;
        do {
          moved = graph.tasks.reduce((sum, task) => sum + task.run(), 0);
        } while (moved > 0);
        const { summary } = snapshot(ports, graph, WORKER, 1);
        const { total, ...reasons } = summary.dropped;
        expect(summary.received).toBe(offered);
        expect(summary.received + summary.generated + summary.copied).toBe(summary.forwarded + total);
        expect(Object.values(reasons).reduce((sum, count) => sum + count, 0)).toBe(total);
        const delivered = vms.flatMap(({ queue }) => queue.received);
        expect(delivered.length).toBe(summary.forwarded);
        expect(ports.reduce((sum, port) => sum + port.stats().out.bytes, 0)).toBe(
          delivered.reduce((sum, bytes) => sum + bytes.length, 0),
        );
        for (const { queue } of vms) {
          expect(queue.completed).toBe(queue.taken);
          // A flow has one destination address and one sender. Tags count up over all senders.
          const flows = new Map<string, number>();
          for (const bytes of queue.received.filter((one) => one.length >= 16)) {
            const sender = config.length === 1 ? 0 : senderOf(config, bytes);
            const flow = `${sender} ${bytes.slice(0, 6)}`;
            const number = (bytes[14] ?? 0) + (bytes[15] ?? 0) * 256;
            expect(number).toBeGreaterThan(flows.get(flow) ?? -1);
            flows.set(flow, number);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('renders ports, modules and the sum', () => {
    const { graph, vms, ports } = forwardScript(2);
    const source = graph.add(new Source('source', 60));
    source.connect(0, graph.add(new Merge('merge')), 0);
    graph.connect('merge', 0, graph.add(new Sink('sink')).name, 0);
    vms[0]?.queue.offer(...Array.from({ length: 1200 }, (_, i) => frame(mac(1), i)), frame('02:00:00:00:00:01', 0));
    for (let i = 0; i < 40; i++) for (const task of graph.tasks) task.run();
    const text = renderStats(snapshot(ports, graph, WORKER, 1));
    expect(text).toMatch(/vm1 +│ mock vm1 +│ UP +│ inc │ +0 │ +0 │ +0 │\n│ +│ +│ +│ out │ +1,200 │ +72,000 │ +0 │/);
    expect(text).toMatch(/fwd::L2Forward\(3 addresses\) +│ :0 -> 0:out0 +│ +0 │/);
    expect(text).toMatch(/deadends +│ +1 │/);
    expect(text).toContain(
      'forwarded 1,200 (of these replicated 0), dropped 1,281 (1 unknown destination, 1,280 sink)',
    );
  });

  it('tells an interface that is down from a peer that is full', () => {
    const { graph, vms, ports } = forwardScript(2);
    const [vm0, vm1] = vms as [(typeof vms)[0], (typeof vms)[0]];
    vm1.queue.room = 2;
    vm1.queue.interfaceDown = 3;
    vm1.device.problem = 'the interface tap0 is down';
    vm0.queue.offer(...Array.from({ length: 10 }, (_, i) => frame(mac(1), i)));
    for (const task of graph.tasks) task.run();
    const stats = snapshot(ports, graph, WORKER, 1);
    expect(stats.summary.dropped).toMatchObject({ total: 8, full: 5, interfaceDown: 3 });
    const text = renderStats(stats);
    expect(text).toContain('dropped 8 (5 peer full, 3 interface down)');
    expect(text).toMatch(/^port vm1: the interface tap0 is down$/m);
  });
});

/** Tags were given out in order: this finds the VM that offered the frame. */
function senderOf(config: { bursts: unknown[][] }[], bytes: Uint8Array): number {
  let first = (bytes[14] ?? 0) + (bytes[15] ?? 0) * 256;
  for (let i = 0; i < config.length; i++) {
    first -= config[i]?.bursts.flat().length ?? 0;
    if (first < 0) return i;
  }
  return -1;
}

describe('MacTable', () => {
  it('behaves as a Map, over any sequence of add, delete and find', () => {
    const address = fc.record({ head: fc.integer({ min: -4, max: 60 }), tail: fc.integer({ min: 0, max: 3 }) });
    const step = fc.record({ what: fc.constantFrom('add', 'delete', 'find'), address, gate: fc.nat(0x7fff) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const table = new MacTable(128);
        const model = new Map<string, number>();
        for (const { what, address: one, gate } of steps) {
          const key = `${one.head} ${one.tail}`;
          if (what === 'delete') expect(table.delete(one.head, one.tail)).toBe(model.delete(key));
          else if (what === 'add' && !model.has(key)) {
            const added = table.add(one.head, one.tail, gate);
            expect(added).toBe(model.size < 128);
            if (added) model.set(key, gate);
          }
          expect(table.find(one.head, one.tail)).toBe(model.get(key) ?? NOT_FOUND);
          expect(table.size).toBe(model.size);
        }
        for (const [key, gate] of model) {
          const [head, tail] = key.split(' ').map(Number) as [number, number];
          expect(table.find(head, tail)).toBe(gate);
        }
      }),
    );
  });

  it('finds thousands of addresses, and not the zero address if it was not added', () => {
    const table = new MacTable(4096);
    for (let i = 0; i < 4096; i++) expect(table.add(Math.imul(i, 0x01010101) | 0, i, i)).toBe(true);
    expect(table.add(-1, 0xffff, 1)).toBe(false);
    for (let i = 0; i < 4096; i++) expect(table.find(Math.imul(i, 0x01010101) | 0, i)).toBe(i);
    expect(new MacTable(8).find(0, 0)).toBe(NOT_FOUND);
  });
});
