/** Replicate and L2Forward: the gates by which a packet leaves, and the counter of a packet that has none. */
import { describe, expect, it } from 'vitest';
import { L2Forward } from '../../../../bess/modules/l2-forward.js';
import type { Module } from '../../../../bess/modules/module.js';
import { QueueInc } from '../../../../bess/modules/port-inc.js';
import { QueueOut } from '../../../../bess/modules/port-out.js';
import { Replicate } from '../../../../bess/modules/replicate.js';
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../../rings/packet-table.js';
import { errorOf, fakePort, frame, poll } from '../../../support/bess/fake-port.js';

const A = '52:54:00:00:00:0a';
const B = '52:54:00:00:00:0b';
const C = '52:54:00:00:00:0c';

describe('Replicate', () => {
  function replicate(gates: number[]) {
    const a = fakePort('a');
    const outs = [0, 1, 2].map((i) => fakePort(`out${i}`));
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

  it('keeps for all copies what a packet leaves to its receiver', () => {
    const { a, input, outs } = replicate([0, 1, 2]);
    const gso = { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1448, csumStart: 34, csumOffset: 16 };
    a.queue.offer(frame(A, 1));
    a.queue.offerUnfinished(gso, frame(A, 2, 3000));
    poll(input);
    for (const { queue } of outs) expect(queue.receivedOffloads).toEqual([null, gso]);
    a.queue.offer(frame(A, 3));
    poll(input);
    for (const { queue } of outs) expect(queue.receivedOffloads).toEqual([null, gso, null]);
  });

  it('sends the original by gate 0, whatever the list begins with', () => {
    const { a, input, tags } = replicate([2, 1]);
    a.queue.offer(frame(A, 1));
    poll(input);
    expect(tags()).toEqual([[1], [1], []]);
  });

  it('passes packets on by gate 0 if it has no gates', () => {
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
    const unicast = new QueueInc('other', fakePort('x').port, 0);
    a.queue.offer(frame(A, 1));
    poll(input);
    const direct = fakePort('direct');
    direct.queue.offer(frame(B, 9));
    const task = new QueueInc('direct-in', direct.port, 0);
    const out0 = repl.gates[0]?.next as Module;
    task.connect(0, out0, 0);
    poll(task);
    expect(outs[0]?.port.outPackets).toBe(2);
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
    const a = fakePort('a');
    const outs = [0, 1, 2].map((i) => fakePort(`out${i}`));
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
    expect(outs[1]?.port.stats().out.bytes).toBe(150);
    expect(fwd.gates[0]?.packets).toBe(3);
  });

  it('neither learns addresses nor leaves out the port that a packet came from', () => {
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

  it('counts an entry whose gate is not connected as a deadend, not as unknown', () => {
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
