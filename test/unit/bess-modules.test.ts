import { describe, expect, it } from 'vitest';
import { ModuleGraph } from '../../bess/datapath/graph.js';
import { L2Forward } from '../../bess/datapath/l2-forward.js';
import { Merge, Sink } from '../../bess/datapath/merge.js';
import type { Module } from '../../bess/datapath/module.js';
import { PortInc, QueueInc } from '../../bess/datapath/port-inc.js';
import { PortOut, QueueOut } from '../../bess/datapath/port-out.js';
import { Replicate } from '../../bess/datapath/replicate.js';
import { Source } from '../../bess/datapath/source.js';
import { errorOf, frame, mockPort } from './bess-mocks.js';

const A = '52:54:00:00:00:0a';
const B = '52:54:00:00:00:0b';
const C = '52:54:00:00:00:0c';

/** Polls every task of a module once. */
function poll(module: Module): number {
  return module.tasks.reduce((sum, task) => sum + task.run(), 0);
}

describe('input and output modules', () => {
  it('carry a burst by reference and complete it after it is delivered', () => {
    const a = mockPort('a');
    const b = mockPort('b');
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new QueueOut('out', b.port, 0), 0);
    a.queue.offer(frame(B, 1), frame(B, 2, 1514));
    expect(poll(input)).toBe(2);
    expect(b.queue.tags).toEqual([1, 2]);
    expect(b.queue.received[1]?.length).toBe(1514);
    expect(a.queue.completed).toBe(2);
    expect(a.port.inc).toEqual({ packets: 2, bytes: 1574, dropped: 0 });
    expect(b.port.out).toEqual({ packets: 2, bytes: 1574, dropped: 0 });
    expect(input.gates[0]).toMatchObject({ packets: 2, bytes: 1574 });
  });

  it('takes at most 32 packets at once, or as many as set_burst says', () => {
    const a = mockPort('a');
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

  it('drops and counts what the peer does not take, the bytes too', () => {
    const a = mockPort('a');
    const b = mockPort('b');
    b.queue.room = 1;
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new PortOut('out', b.port), 0);
    a.queue.offer(frame(B, 1, 100), frame(B, 2, 200), frame(B, 3, 300));
    poll(input);
    expect(b.queue.tags).toEqual([1]);
    expect(b.port.out).toEqual({ packets: 1, bytes: 100, dropped: 2 });
    expect(b.port.droppedWithoutPeer).toBe(0);
    expect(a.queue.completed).toBe(3);
  });

  it('drops and counts what is sent to a port without a peer', () => {
    const a = mockPort('a');
    const b = mockPort('b');
    b.device.isUp = false;
    const input = new QueueInc('in', a.port, 0);
    input.connect(0, new QueueOut('out', b.port, 0), 0);
    a.queue.offer(frame(B, 1));
    poll(input);
    expect(b.port.out.dropped).toBe(1);
    expect(b.port.droppedWithoutPeer).toBe(1);
  });

  it('PortInc polls all queues, QueueInc one', () => {
    const { port, device } = mockPort('a', 3);
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
    const { port } = mockPort('p', 2);
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
    const out = new QueueOut('out', mockPort('p').port, 0);
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
    ['QueueInc has one output gate', () => new QueueInc('m', mockPort('p').port, 0), 1, () => new Sink('s'), 0],
    ['Replicate has 32', () => new Replicate('m', [0]), 32, () => new Sink('s'), 0],
    ['L2Forward has 8192', () => new L2Forward('m'), 8192, () => new Sink('s'), 0],
    ['a Sink has none', () => new Sink('m'), 0, () => new Sink('s'), 0],
    ['a Source takes nothing', () => new Merge('m'), 0, () => new Source('s'), 0],
    ['QueueOut has one input gate', () => new Merge('m'), 0, () => new QueueOut('s', mockPort('p').port, 0), 1],
    ['a gate is an integer', () => new L2Forward('m'), 0.5, () => new Sink('s'), 0],
    ['a gate is not negative', () => new L2Forward('m'), -1, () => new Sink('s'), 0],
  ])('%s', (_, from, gate, to, inputGate) => {
    expect(errorOf(() => from().connect(gate, to(), inputGate)).code).toBe('EINVAL');
  });

  it('packets for an unconnected gate are dropped and counted as deadends', () => {
    const a = mockPort('a');
    const input = new QueueInc('in', a.port, 0);
    a.queue.offer(frame(B, 1));
    poll(input);
    expect(input.deadends).toBe(1);
    expect(a.queue.completed).toBe(1);
  });

  it('a loop is refused with the way that it takes', () => {
    const graph = new ModuleGraph();
    for (const name of ['m1', 'm2', 'm3']) graph.add(new Merge(name));
    graph.connect('m1', 0, 'm2', 0);
    graph.connect('m2', 0, 'm3', 0);
    expect(() => graph.checkLoops()).not.toThrow();
    graph.connect('m3', 0, 'm2', 1);
    expect(errorOf(() => graph.checkLoops()).message).toContain('m2 -> m3 -> m2');
  });

  it('names are unique, and made up as BESS does', () => {
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

describe('Replicate', () => {
  function replicate(gates: number[]) {
    const a = mockPort('a');
    const outs = [0, 1, 2].map((i) => mockPort(`out${i}`));
    const input = new QueueInc('in', a.port, 0);
    const repl = new Replicate('repl', gates);
    input.connect(0, repl, 0);
    outs.forEach(({ port }, i) => {
      repl.connect(i, new QueueOut(`q${i}`, port, 0), 0);
    });
    return { a, input, repl, outs, tags: () => outs.map(({ queue }) => queue.tags) };
  }

  it('hands every packet to every gate, in order, and counts the copies', () => {
    const { a, input, repl, outs, tags } = replicate([0, 1, 2]);
    a.queue.offer(frame(A, 1), frame(A, 2));
    poll(input);
    expect(tags()).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(repl.copies).toBe(4);
    expect(outs.map(({ port }) => port.replicated)).toEqual([2, 2, 2]);
  });

  it('sends the original by gate 0, whatever the list begins with', () => {
    const { a, input, tags } = replicate([2, 1]);
    a.queue.offer(frame(A, 1));
    poll(input);
    expect(tags()).toEqual([[1], [1], []]);
  });

  it('without gates passes packets on by gate 0', () => {
    const { a, input, repl, tags } = replicate([]);
    a.queue.offer(frame(A, 1));
    poll(input);
    expect(tags()).toEqual([[1], [], []]);
    repl.setGates([0, 2]);
    a.queue.offer(frame(A, 2));
    poll(input);
    expect(tags()).toEqual([[1, 2], [], [2]]);
  });

  it('marks only what went through it', () => {
    const { a, input, repl, outs } = replicate([0, 1]);
    const unicast = new QueueInc('other', mockPort('x').port, 0);
    a.queue.offer(frame(A, 1));
    poll(input);
    const direct = mockPort('direct');
    direct.queue.offer(frame(B, 9));
    const task = new QueueInc('direct-in', direct.port, 0);
    const out0 = repl.gates[0]?.next as Module;
    task.connect(0, out0, 0);
    poll(task);
    expect(outs[0]?.port.out.packets).toBe(2);
    expect(outs[0]?.port.replicated).toBe(1);
    expect(unicast.deadends).toBe(0);
  });

  it('has at most 32 gates', () => {
    const gates = Array.from({ length: 33 }, (_, i) => i);
    expect(errorOf(() => new Replicate('r', gates))).toMatchObject({
      code: 'EINVAL',
      message: 'no more than 32 gates',
    });
  });
});

describe('L2Forward', () => {
  function forward(entries: { addr: string; gate: number }[]) {
    const a = mockPort('a');
    const outs = [0, 1, 2].map((i) => mockPort(`out${i}`));
    const input = new QueueInc('in', a.port, 0);
    const fwd = new L2Forward('fwd');
    fwd.add(entries);
    input.connect(0, fwd, 0);
    outs.forEach(({ port }, i) => {
      fwd.connect(i, new QueueOut(`q${i}`, port, 0), 0);
    });
    return { a, input, fwd, outs, tags: () => outs.map(({ queue }) => queue.tags) };
  }

  it('splits a mixed burst by destination and keeps the order within a gate', () => {
    const { a, input, fwd, tags, outs } = forward([
      { addr: A, gate: 0 },
      { addr: B, gate: 1 },
    ]);
    a.queue.offer(frame(A, 1), frame(B, 2), frame(C, 3), frame(A, 4), frame(B, 5, 90), frame(A, 6));
    poll(input);
    expect(tags()).toEqual([[1, 4, 6], [2, 5], []]);
    expect(fwd.unknown).toBe(1);
    expect(fwd.deadends).toBe(1);
    expect(outs[1]?.port.out.bytes).toBe(150);
    expect(fwd.gates[0]?.packets).toBe(3);
  });

  it('neither learns nor leaves out the port that a packet came from', () => {
    const { a, input, fwd, tags } = forward([{ addr: A, gate: 0 }]);
    a.queue.offer(frame(A, 1), frame(B, 2), frame(A, 3), frame(B, 4));
    poll(input);
    expect(tags()[0]).toEqual([1, 3]);
    expect(fwd.unknown).toBe(2);
  });

  it('sends unknown destinations by the default gate', () => {
    const { a, input, fwd, tags } = forward([{ addr: A, gate: 0 }]);
    fwd.setDefaultGate(2);
    a.queue.offer(frame(A, 1), frame(C, 2));
    poll(input);
    expect(tags()).toEqual([[1], [], [2]]);
    expect(fwd.unknown).toBe(0);
  });

  it('counts an entry whose gate is not connected as a deadend, not as an unknown destination', () => {
    const { a, input, fwd } = forward([{ addr: A, gate: 7 }]);
    a.queue.offer(frame(A, 1));
    poll(input);
    expect(fwd.deadends).toBe(1);
    expect(fwd.unknown).toBe(0);
  });

  it('reads the address at odd offsets and across segments', () => {
    const { a, input, tags } = forward([
      { addr: A, gate: 0 },
      { addr: B, gate: 1 },
    ]);
    a.queue.base = 1;
    a.queue.offer(frame(A, 1), frame(B, 2));
    poll(input);
    const whole = frame(B, 3);
    a.queue.waiting.push([whole.slice(0, 1), whole.slice(1, 3), whole.slice(3)]);
    poll(input);
    expect(tags()).toEqual([[1], [2, 3], []]);
  });

  it('drops a frame too short for an address, even with a default gate', () => {
    const { a, input, fwd, tags } = forward([]);
    fwd.setDefaultGate(0);
    a.queue.offer(new Uint8Array(5));
    poll(input);
    expect(tags()[0]).toEqual([]);
    expect(fwd.unknown).toBe(1);
  });

  it('answers add, delete and lookup as BESS does', () => {
    const fwd = new L2Forward('fwd', 4, 1);
    fwd.add([{ addr: A, gate: 3 }]);
    expect(fwd.lookup([A])).toEqual([3]);
    expect(errorOf(() => fwd.add([{ addr: A, gate: 1 }]))).toMatchObject({
      code: 'EEXIST',
      message: `MAC address '${A}' already exist`,
    });
    expect(errorOf(() => fwd.add([{ addr: 'nonsense', gate: 1 }]))).toMatchObject({
      code: 'EINVAL',
      message: 'nonsense is not a proper mac address',
    });
    expect(errorOf(() => fwd.add([{ addr: '', gate: 1 }])).code).toBe('EINVAL');
    expect(errorOf(() => fwd.delete([B]))).toMatchObject({
      code: 'ENOENT',
      message: `MAC address '${B}' does not exist`,
    });
    fwd.delete([A]);
    expect(errorOf(() => fwd.lookup([A])).code).toBe('ENOENT');
    fwd.populate('00:00:00:00:00:00', 4, 2);
    expect(errorOf(() => fwd.add([{ addr: A, gate: 1 }]))).toMatchObject({
      code: 'ENOMEM',
      message: 'Not enough space',
    });
  });

  it('keeps 15 bits of a gate, as BESS does', () => {
    const fwd = new L2Forward('fwd');
    fwd.add([{ addr: A, gate: 0x8001 }]);
    expect(fwd.lookup([A])).toEqual([1]);
  });

  it('populate counts up from the base over the gates', () => {
    const fwd = new L2Forward('fwd');
    fwd.add([{ addr: '52:54:00:00:01:00', gate: 9 }]);
    fwd.populate('52:54:00:00:00:fe', 4, 3);
    expect(fwd.lookup(['52:54:00:00:00:fe', '52:54:00:00:00:ff', '52:54:00:00:01:00', '52:54:00:00:01:01'])).toEqual([
      0, 1, 9, 0,
    ]);
    expect(errorOf(() => fwd.populate('', 1, 1)).code).toBe('EINVAL');
    expect(errorOf(() => fwd.populate(A, 1, 0)).code).toBe('EINVAL');
  });

  it.each([
    [3, 4],
    [-1, 4],
    [2 ** 27, 4],
    [1024, 3],
    [1024, 8],
  ])('refuses size %i with bucket %i', (size, bucket) => {
    expect(errorOf(() => new L2Forward('fwd', size, bucket))).toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining(`initialization failed with argument size: '${size}' bucket: '${bucket}'`),
    });
  });
});

describe('Source', () => {
  it('makes packets of the size and number that it is told', () => {
    const out = mockPort('out');
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
