/** What captures see of a switch: the packets at its ports, and each packet that is dropped, with the reason. */
import { describe, expect, it } from 'vitest';
import { L2Forward } from '../../../bess/modules/l2-forward.js';
import { Merge, Sink } from '../../../bess/modules/merge-sink.js';
import type { Module } from '../../../bess/modules/module.js';
import { PortInc, QueueInc } from '../../../bess/modules/port-inc.js';
import { PortOut, QueueOut } from '../../../bess/modules/port-out.js';
import { Replicate } from '../../../bess/modules/replicate.js';
import { Source } from '../../../bess/modules/source.js';
import { SpoofGuard } from '../../../bess/modules/spoof-guard.js';
import { NO_SWITCH_CAPTURE, SwitchCapture } from '../../../bess/switch-capture.js';
import type { OpenedCapture } from '../../../observe/capture/session.js';
import { type CaptureWish, NO_REASON } from '../../../observe/capture/sink.js';
import { fakePort, frame, poll } from '../../support/bess/fake-port.js';
import { TestCapture, wishFor } from '../../support/observe/records.js';

const A = '52:54:00:00:00:0a';
const B = '52:54:00:00:00:0b';
const C = '52:54:00:00:00:0c';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** Two ports, a table between them that also knows B, and a capture. */
function twoPorts(...more: Module[]) {
  const [a, b] = [fakePort('a', 2), fakePort('b')];
  const table = new L2Forward('table');
  table.add([
    { addr: A, gate: 0 },
    { addr: B, gate: 1 },
  ]);
  const input = new PortInc('in', a.port);
  input.connect(0, table, 0);
  const out = new PortOut('out', b.port);
  table.connect(1, out, 0);
  const modules = [input, table, out, ...more];
  const capture = new SwitchCapture();
  capture.attach([a.port, b.port], modules);
  return { a, b, table, input, out, modules, capture };
}

/** Begins a capture; returns what was answered, and a reader of its packets. */
function begin(capture: SwitchCapture, wish: Partial<CaptureWish> = {}): TestCapture & { opened: OpenedCapture } {
  const opened = capture.begin(wishFor(wish));
  expect(opened.rings.length).toBe(1);
  return Object.assign(new TestCapture(wish, opened.rings[0]), { opened });
}

/** The tags of the packets that have come, with where each was seen. */
function seen(reader: TestCapture) {
  return reader.take().map(({ direction, interface: at, bytes, length }) => {
    expect(bytes.length).toBe(length);
    return [`${direction} ${at}`, bytes[14]];
  });
}

/** The tags of the packets that have come, with the text of each reason. */
function dropped(reader: TestCapture & { opened: OpenedCapture }) {
  const { interfaces, reasons } = reader.opened;
  return reader.take().map(({ direction, interface: at, bytes, reason }) => {
    return [`${direction} ${interfaces[at]!.name}`, bytes[14], reasons[reason]];
  });
}

describe('a capture of a switch', () => {
  it('has the ports as its interfaces', () => {
    const { capture } = twoPorts();
    const { opened } = begin(capture);
    expect(opened.interfaces).toEqual([
      { name: 'a', description: 'mock a' },
      { name: 'b', description: 'mock b' },
    ]);
    expect(new Set(opened.reasons).size).toBe(opened.reasons.length);
  });

  it('sees a packet where it comes in, and where it goes out', () => {
    const { a, b, input, capture } = twoPorts();
    const reader = begin(capture);
    a.queue.offer(frame(B, 1), frame(B, 2, 1514));
    poll(input);
    expect(b.queue.tags).toEqual([1, 2]);
    expect(reader.take().map(({ reason, every, length }) => [reason, every, length])).toEqual([
      [NO_REASON, 1, 60],
      [NO_REASON, 1, 1514],
      [NO_REASON, 1, 60],
      [NO_REASON, 1, 1514],
    ]);
    a.device.endpoints[1]!.offer(frame(B, 3));
    a.queue.offer(frame(C, 4));
    poll(input);
    expect(seen(reader)).toEqual([
      ['in 0', 4],
      ['in 0', 3],
      ['out 1', 3],
    ]);
  });

  it.each([
    [{ directions: 1 }, [['in 0', 1]]],
    [{ directions: 2 }, [['out 1', 1]]],
    [{ port: 'a' }, [['in 0', 1]]],
    [{ port: 'b' }, [['out 1', 1]]],
    [{ filter: 'ether dst 52:54:00:00:00:0c' }, []],
    [{ drops: true }, []],
  ])('with %j sees what was asked for', (wish, expected) => {
    const { a, input, capture } = twoPorts();
    const reader = begin(capture, wish);
    a.queue.offer(frame(B, 1));
    poll(input);
    expect(seen(reader)).toEqual(expected);
  });

  it('sees packets in several segments, which lie anywhere', () => {
    const { a, input, capture } = twoPorts();
    const [whole, cut] = [begin(capture), begin(capture, { id: 2, snaplen: 64 })];
    a.queue.base = 3;
    const parts = [frame(B, 1, 30), new Uint8Array(31).fill(7), new Uint8Array(100).fill(8)];
    a.queue.offerUnfinished({ flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 }, ...parts);
    poll(input);
    const bytes = parts.flatMap((part) => [...part]);
    const both = [{ length: 161 }, { length: 161 }];
    expect(whole.take()).toMatchObject(both.map((packet) => ({ ...packet, bytes })));
    expect(cut.take()).toMatchObject(both.map((packet) => ({ ...packet, bytes: bytes.slice(0, 64) })));
  });

  it('sees each copy of a packet that goes to several ports', () => {
    const ports = ['a', 'b', 'c'].map((name) => fakePort(name));
    const input = new QueueInc('in', ports[0]!.port, 0);
    const copies = new Replicate('copies', [0, 1]);
    input.connect(0, copies, 0);
    const outs = [1, 2].map((i) => new QueueOut(`out${i}`, ports[i]!.port, 0));
    for (const [gate, out] of outs.entries()) copies.connect(gate, out, 0);
    const capture = new SwitchCapture();
    capture.attach(
      ports.map(({ port }) => port),
      [input, copies, ...outs],
    );
    const reader = begin(capture);
    ports[0]!.queue.offer(frame(BROADCAST, 5));
    poll(input);
    expect(seen(reader).sort()).toEqual([
      ['in 0', 5],
      ['out 1', 5],
      ['out 2', 5],
    ]);
  });

  it('ends by its number, and costs nothing then', () => {
    const { a, input, capture } = twoPorts();
    const [one, drops] = [begin(capture), begin(capture, { id: 2, drops: true })];
    expect([capture.isOn, capture.wantsDrops]).toEqual([true, true]);
    capture.close(2);
    expect([capture.isOn, capture.wantsDrops]).toEqual([true, false]);
    capture.close(1);
    expect(capture.isOn).toBe(false);
    a.queue.offer(frame(B, 1), frame(C, 2));
    poll(input);
    expect([one.take(), drops.take()]).toEqual([[], []]);
  });

  it('is not begun for a port that is not there', () => {
    const { capture } = twoPorts();
    const error = "port: this switch has no port 'c'; it has a, b";
    expect(() => capture.begin(wishFor({ port: 'c' }))).toThrow(error);
    expect(() => new SwitchCapture().begin(wishFor({ port: 'c' }))).toThrow('it has none');
    expect(capture.isOn).toBe(false);
  });
});

describe('a capture of what a switch drops', () => {
  const NO_ENTRY =
    'dropped by table (L2Forward): no entry for its destination, or the gate of the entry is not connected';

  it('sees packets without an entry, and those for a gate that leads nowhere', () => {
    const { a, input, capture } = twoPorts();
    const reader = begin(capture, { drops: true });
    a.queue.offer(frame(B, 1), frame(C, 2), frame(A, 3), frame(B, 4), frame(C, 5));
    poll(input);
    expect(dropped(reader).sort((one, other) => Number(one[1]) - Number(other[1]))).toEqual([
      ['in a', 2, NO_ENTRY],
      ['in a', 3, NO_ENTRY],
      ['in a', 5, NO_ENTRY],
    ]);
  });

  it('sees what the peer does not get, wherever it is in the burst, and why', () => {
    const { a, b, input, capture } = twoPorts();
    const [reader, sent] = [begin(capture, { drops: true }), begin(capture, { id: 2, directions: 2 })];
    b.queue.longest = 1000;
    a.queue.offer(frame(B, 1), frame(B, 2, 1001), frame(B, 3), frame(C, 0), frame(B, 4, 1514), frame(B, 5));
    poll(input);
    const tooLong = "out_tooLong: longer than the peer's MTU allows";
    expect(dropped(reader).filter(([where]) => where === 'out b')).toEqual([
      ['out b', 2, tooLong],
      ['out b', 4, tooLong],
    ]);
    expect(seen(sent)).toEqual([
      ['out 1', 1],
      ['out 1', 3],
      ['out 1', 5],
    ]);
    expect(b.queue.tags).toEqual([1, 3, 5]);
    // Another reason, although the old one has been counted, too.
    b.queue.room = 1;
    a.queue.offer(frame(B, 6), frame(B, 7));
    poll(input);
    const full = "out_noBuffer: the peer's ring, or the kernel's queue, is full";
    expect(dropped(reader)).toEqual([['out b', 7, full]]);
    b.device.isUp = false;
    a.queue.offer(frame(B, 8), frame(B, 9));
    poll(input);
    const noPeer = 'out_noDriver: no peer is connected, or its ring is stopped';
    expect(dropped(reader)).toEqual([
      ['out b', 8, noPeer],
      ['out b', 9, noPeer],
    ]);
  });

  it('does not take for a reason what was counted before it began', () => {
    const { a, b, input, capture } = twoPorts();
    b.queue.longest = 1000;
    a.queue.offer(frame(B, 1, 1514));
    poll(input);
    const reader = begin(capture, { drops: true });
    b.queue.room = 0;
    a.queue.offer(frame(B, 2));
    poll(input);
    expect(dropped(reader)[0]![2]).toMatch(/^out_noBuffer/);
  });

  it('sees all packets of a full burst that is refused', () => {
    const { a, b, input, capture } = twoPorts();
    const reader = begin(capture, { drops: true });
    b.queue.room = 0;
    a.queue.offer(...Array.from({ length: 32 }, (_, i) => frame(B, i)));
    poll(input);
    expect(dropped(reader).map(([, tag]) => tag)).toEqual(Array.from({ length: 32 }, (_, i) => i));
  });

  it.each([
    [{ directions: 1 }, ['in a']],
    [{ directions: 2 }, ['out b']],
    [{ port: 'a' }, ['in a']],
    [{ port: 'b' }, ['out b']],
    [{ filter: 'ether dst 52:54:00:00:00:0b' }, ['out b']],
  ])('with %j sees what was asked for', (wish, expected) => {
    const { a, b, input, capture } = twoPorts();
    const reader = begin(capture, { drops: true, ...wish });
    b.queue.room = 0;
    a.queue.offer(frame(B, 1), frame(C, 2));
    poll(input);
    expect(dropped(reader).map(([where]) => where)).toEqual(expected);
  });

  it('sees what a Sink discards, and what a module sends to no gate', () => {
    const [sink, merge] = [new Sink('sink'), new Merge('merge')];
    const { a, b, table, input: first, capture } = twoPorts(sink, merge);
    table.connect(0, sink, 0);
    const input = new PortInc('in2', b.port);
    input.connect(0, merge, 0);
    const reader = begin(capture, { drops: true });
    a.queue.offer(frame(A, 1));
    b.queue.offer(frame(A, 2));
    poll(first);
    poll(input);
    expect(dropped(reader)).toEqual([
      ['in a', 1, 'dropped by sink (Sink): a Sink discards all packets'],
      ['in b', 2, 'dropped by merge (Merge): it left by a gate that is not connected'],
    ]);
  });

  it('sees the packets of a guard that are not those of its VM', () => {
    const guard = new SpoofGuard('guard', Uint8Array.of(0x52, 0x54, 0, 0, 0, 1), []);
    const { b, capture } = twoPorts(guard);
    const input = new PortInc('in2', b.port);
    input.connect(0, guard, 0);
    const reader = begin(capture, { drops: true });
    b.queue.offer(frame(A, 1));
    poll(input);
    const reason =
      'dropped by guard (SpoofGuard): a source address is not that of the VM, or the gate for such packets is not connected';
    expect(dropped(reader)).toEqual([['in b', 1, reason]]);
  });

  it('has an interface for what a Source makes, which came in by no port', () => {
    const [source, sink] = [new Source('source'), new Sink('sink')];
    const { a, input, capture } = twoPorts(source, sink);
    source.connect(0, sink, 0);
    source.setBurst(2);
    const reader = begin(capture, { drops: true });
    const ofPort = begin(capture, { id: 2, drops: true, port: 'a' });
    // A port was the last one before.
    a.queue.offer(frame(C, 7));
    poll(input);
    poll(source);
    expect(reader.opened.interfaces[2]).toEqual({ name: 'generated', description: 'packets that Source modules make' });
    expect(dropped(reader).map(([where]) => where)).toEqual(['in a', 'in generated', 'in generated']);
    expect(dropped(ofPort).map(([where]) => where)).toEqual(['in a']);
  });
});

describe('modules and ports that are in no switch', () => {
  it('have a capture that wants nothing, whatever passes', () => {
    const [source, sink] = [new Source('source'), new Sink('sink')];
    source.connect(0, sink, 0);
    expect(poll(source)).toBe(32);
    expect([NO_SWITCH_CAPTURE.isOn, NO_SWITCH_CAPTURE.wantsDrops]).toEqual([false, false]);
  });
});
