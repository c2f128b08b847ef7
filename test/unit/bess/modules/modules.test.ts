/** The modules that packets enter and leave by, the Source that makes packets, and the gates that connect modules. */
import { describe, expect, it } from 'vitest';
import { ModuleGraph } from '../../../../bess/modules/graph.js';
import { L2Forward } from '../../../../bess/modules/l2-forward.js';
import { Merge, Sink } from '../../../../bess/modules/merge-sink.js';
import type { Module } from '../../../../bess/modules/module.js';
import { PortInc, QueueInc } from '../../../../bess/modules/port-inc.js';
import { PortOut, QueueOut } from '../../../../bess/modules/port-out.js';
import { Replicate } from '../../../../bess/modules/replicate.js';
import { Source } from '../../../../bess/modules/source.js';
import { errorOf, fakePort, frame, poll } from '../../../support/bess/fake-port.js';

const B = '52:54:00:00:00:0b';

describe('input and output modules', () => {
  it('carry a burst by reference and complete it after it is delivered', () => {
    const a = fakePort('a');
    const b = fakePort('b');
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new QueueOut('out', b.port, 0), 0);
    a.queue.offer(frame(B, 1), frame(B, 2, 1514));
    expect(poll(input)).toBe(2);
    expect(b.queue.tags).toEqual([1, 2]);
    expect(b.queue.received[1]?.length).toBe(1514);
    expect(a.queue.completed).toBe(2);
    expect(a.port.stats().inc).toEqual({ packets: 2, bytes: 1574, dropped: 0 });
    expect(b.port.stats().out).toEqual({ packets: 2, bytes: 1574, dropped: 0 });
    expect(input.gates[0]).toMatchObject({ packets: 2, bytes: 1574 });
  });

  it('counts what the device has refused as dropped', () => {
    const { port, queue } = fakePort('a');
    queue.malformed = 4;
    expect(port.stats().inc).toEqual({ packets: 0, bytes: 0, dropped: 4 });
    expect(port.deviceCounters()).toEqual({ in_badHead: 4 });
  });

  it('counts what the kernel has dropped before the device could take it', () => {
    const { port, queue } = fakePort('a');
    queue.counters = () => ({ in_packets: 9, in_kernelDropped: 3, in_tooShort: 2 });
    expect(port.stats().inc.dropped).toBe(5);
  });

  it('takes at most 32 packets at once, or as many as set_burst says', () => {
    const a = fakePort('a');
    const input = new PortInc('in', a.port);
    input.connect(0, new Sink('sink'), 0);
    a.queue.offer(...Array.from({ length: 80 }, (_, i) => frame(B, i)));
    expect(poll(input)).toBe(32);
    input.setBurst(3);
    expect(poll(input)).toBe(3);
    input.setBurst(0);
    expect(poll(input)).toBe(0);
    expect(errorOf(() => input.setBurst(33))).toMatchObject({ code: 'EINVAL', message: 'burst size must be [0,32]' });
  });

  it('drops and counts packets and bytes that the peer does not take', () => {
    const a = fakePort('a');
    const b = fakePort('b');
    b.queue.room = 1;
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new PortOut('out', b.port), 0);
    a.queue.offer(frame(B, 1, 100), frame(B, 2, 200), frame(B, 3, 300));
    poll(input);
    expect(b.queue.tags).toEqual([1]);
    expect(b.port.stats().out).toEqual({ packets: 1, bytes: 100, dropped: 2 });
    expect(b.port.droppedWithoutPeer).toBe(0);
    expect(a.queue.completed).toBe(3);
  });

  it('drops and counts what is sent to a port without a peer', () => {
    const a = fakePort('a');
    const b = fakePort('b');
    b.device.isUp = false;
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new QueueOut('out', b.port, 0), 0);
    a.queue.offer(frame(B, 1));
    poll(input);
    expect(b.port.stats().out.dropped).toBe(1);
    expect(b.port.droppedWithoutPeer).toBe(1);
  });

  it('PortInc polls all queues, QueueInc polls one', () => {
    const { port, device } = fakePort('a', 3);
    const all = new PortInc('all', port);
    expect(all.tasks.length).toBe(3);
    all.close();
    const one = new QueueInc('one', port, 2);
    device.endpoints[2]?.offer(frame(B, 1));
    expect(poll(one)).toBe(1);
    expect(one.describe()).toBe('a:2/PMDPort');
    expect(all.describe()).toBe('a/PMDPort');
  });

  it('a queue has one owner: EBUSY names it; a queue that is not there is EINVAL', () => {
    const { port } = fakePort('p', 2);
    new QueueInc('first', port, 1);
    expect(errorOf(() => new QueueInc('second', port, 1))).toMatchObject({
      code: 'EBUSY',
      message: expect.stringContaining('first'),
    });
    expect(errorOf(() => new PortInc('all', port)).code).toBe('EBUSY');
    const out = new PortOut('out', port);
    expect(errorOf(() => new QueueOut('again', port, 0)).code).toBe('EBUSY');
    out.close();
    expect(new QueueOut('again', port, 0).describe()).toBe('p:0/PMDPort');
    expect(errorOf(() => new QueueInc('none', port, 2)).code).toBe('EINVAL');
  });
});

describe('gates', () => {
  it('an output gate takes one connection, an input gate many', () => {
    const merge = new Merge('merge');
    const sink = new Sink('sink');
    const out = new QueueOut('out', fakePort('p').port, 0);
    const fwd = new L2Forward('fwd');
    fwd.connect(0, out, 0);
    fwd.connect(1, out, 0);
    expect(errorOf(() => fwd.connect(0, sink, 0))).toMatchObject({
      code: 'EBUSY',
      message: expect.stringMatching(/^Connection fwd:0->0:sink failed: .*out/),
    });
    fwd.disconnect(0);
    fwd.connect(0, merge, 8191);
    expect(fwd.gates[0]?.next).toBe(merge);
  });

  it.each<[string, () => Module, number, () => Module, number]>([
    ['QueueInc has one output gate', () => new QueueInc('m', fakePort('p').port, 0), 1, () => new Sink('s'), 0],
    ['Replicate has 32', () => new Replicate('m', [0]), 32, () => new Sink('s'), 0],
    ['L2Forward has 8192', () => new L2Forward('m'), 8192, () => new Sink('s'), 0],
    ['a Sink has none', () => new Sink('m'), 0, () => new Sink('s'), 0],
    ['a Source takes nothing', () => new Merge('m'), 0, () => new Source('s'), 0],
    ['QueueOut has one input gate', () => new Merge('m'), 0, () => new QueueOut('s', fakePort('p').port, 0), 1],
    ['a gate is an integer', () => new L2Forward('m'), 0.5, () => new Sink('s'), 0],
    ['a gate is not negative', () => new L2Forward('m'), -1, () => new Sink('s'), 0],
  ])('%s', (_, from, gate, to, inputGate) => {
    expect(errorOf(() => from().connect(gate, to(), inputGate)).code).toBe('EINVAL');
  });

  it('packets for an unconnected gate are dropped and counted as deadends', () => {
    const a = fakePort('a');
    const input = new QueueInc('in', a.port, 0);
    a.queue.offer(frame(B, 1));
    poll(input);
    expect(input.deadends).toBe(1);
    expect(a.queue.completed).toBe(1);
  });

  it('a loop is refused, with its path', () => {
    const graph = new ModuleGraph();
    for (const name of ['m1', 'm2', 'm3']) graph.add(new Merge(name));
    graph.connect('m1', 0, 'm2', 0);
    graph.connect('m2', 0, 'm3', 0);
    expect(() => graph.checkLoops()).not.toThrow();
    graph.connect('m3', 0, 'm2', 1);
    expect(errorOf(() => graph.checkLoops()).message).toContain('m2 -> m3 -> m2');
  });

  it('names are unique, and are made up as in BESS', () => {
    const graph = new ModuleGraph();
    graph.add(new Sink(graph.nameFor(null, 'sink')));
    expect(graph.nameFor(null, 'sink')).toBe('sink1');
    expect(errorOf(() => graph.nameFor('sink0', 'sink'))).toMatchObject({
      code: 'EEXIST',
      message: 'Module sink0 exists',
    });
    expect(errorOf(() => graph.get('nobody')).message).toBe("No module 'nobody' found");
  });
});

describe('Source', () => {
  it('makes packets of the size and number that it is told', () => {
    const out = fakePort('out');
    const source = new Source('source', 100);
    source.connect(0, new QueueOut('q', out.port, 0), 0);
    expect(poll(source)).toBe(32);
    source.setBurst(2);
    source.setPacketSize(64);
    poll(source);
    expect(out.queue.received.map((bytes) => bytes.length).slice(31)).toEqual([100, 64, 64]);
    expect(source.generated).toBe(34);
    expect(errorOf(() => new Source('s', 2049)).code).toBe('EINVAL');
    expect(errorOf(() => source.setPacketSize(0)).code).toBe('EINVAL');
  });
});
