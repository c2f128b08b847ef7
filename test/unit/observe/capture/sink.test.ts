/** What a capture wants, in the thread with the packets: direction, drops, filter, length, and one burst of several. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FilterError } from '../../../../observe/capture/filter/lexer.js';
import {
  CaptureSink,
  CaptureSinks,
  type CaptureWish,
  DIRECTION_IN,
  DIRECTION_OUT,
  MAX_EVERY,
  NO_REASON,
  whereOf,
} from '../../../../observe/capture/sink.js';
import { views } from '../../../support/bess/fake-port.js';
import { arp, flowPacket } from '../../../support/link/frames.js';
import { TestCapture, wishFor } from '../../../support/observe/records.js';

afterEach(() => vi.restoreAllMocks());

function open(fields: Partial<CaptureWish> = {}) {
  const capture = new TestCapture(fields);
  return { capture, sink: new CaptureSink(capture.order) };
}

const memory = views(1 << 18);

/** Shows a packet, in parts of these lengths; returns whether it was wanted. */
function show(
  sink: CaptureSink,
  frame: Uint8Array,
  where: number,
  reason = NO_REASON,
  parts = [frame.length],
): boolean {
  // Parts lie apart, at odd places.
  const places: number[] = [];
  for (let [i, from, at] = [0, 0, 101]; i < parts.length; from += parts[i++]!) {
    places.push(at);
    memory.u8.set(frame.subarray(from, from + parts[i]!), at);
    at += parts[i]! + 7;
  }
  const isWanted = sink.begin(memory.u8, places[0]!, parts[0]!, frame.length, where, reason);
  if (isWanted) for (const [i, at] of places.entries()) sink.add(memory, at, parts[i]!);
  sink.publish();
  return isWanted;
}

const IN = whereOf(DIRECTION_IN, 0);

describe('a capture in a thread', () => {
  it('gets direction, interface, reason, length and bytes of a packet', () => {
    const { capture, sink } = open();
    const frame = flowPacket(7, 1);
    expect(sink.takesBurst(DIRECTION_OUT)).toBe(true);
    expect(show(sink, frame, whereOf(DIRECTION_OUT, 4095))).toBe(true);
    expect(show(sink, frame, IN, 12)).toBe(true);
    const packet = { length: frame.length, bytes: [...frame], every: 1 };
    expect(capture.take()).toEqual([
      { ...packet, direction: 'out', interface: 4095, reason: NO_REASON },
      { ...packet, direction: 'in', interface: 0, reason: 12 },
    ]);
  });

  it('notes the time of the burst, from the origin of its thread', () => {
    const { capture, sink } = open();
    const before = performance.now();
    sink.takesBurst(DIRECTION_IN);
    show(sink, flowPacket(1, 1), IN);
    expect(capture.reader.peek()).toBe(true);
    expect(capture.reader.origin).toBe(performance.timeOrigin);
    expect(capture.reader.time).toBeGreaterThanOrEqual(before);
    expect(capture.reader.time).toBeLessThanOrEqual(performance.now());
  });

  it.each([
    [DIRECTION_IN, [true, false]],
    [DIRECTION_OUT, [false, true]],
    [DIRECTION_IN | DIRECTION_OUT, [true, true]],
    [0, [false, false]],
  ])('with directions %i it wants those, dropped or not', (directions, wanted) => {
    const both = [DIRECTION_IN, DIRECTION_OUT];
    const { sink } = open({ directions });
    expect(both.map((direction) => sink.takesBurst(direction))).toEqual(wanted);
    expect(both.map((direction) => sink.takesDrop(direction))).toEqual([false, false]);
    const { sink: drops } = open({ directions, drops: true });
    expect(both.map((direction) => drops.takesDrop(direction))).toEqual(wanted);
    expect(both.map((direction) => drops.takesBurst(direction))).toEqual([false, false]);
  });

  it('gets what its filter matches, and counts nothing else', () => {
    const { capture, sink } = open({ filter: 'udp port 7' });
    sink.takesBurst(DIRECTION_IN);
    expect([show(sink, flowPacket(9, 1), IN), show(sink, arp(), IN)]).toEqual([true, false]);
    expect([capture.take().length, capture.reader.seen, capture.reader.lost]).toEqual([1, 1, 0]);
  });

  it('throws what is wrong with a filter', () => {
    expect(() => open({ filter: 'tcp port' })).toThrow(FilterError);
  });

  it.each([
    [0, 2000, 2000],
    [1, 2000, 1],
    [96, 2000, 96],
    [96, 60, 60],
    [65_535, 65_600, 65_535],
    [0, 70_000, 65_600],
  ])('with snaplen %i it keeps, of %i bytes, %i', (snaplen, length, kept) => {
    const { capture, sink } = open({ snaplen });
    const frame = Uint8Array.from({ length }, (_, i) => i % 253);
    sink.takesBurst(DIRECTION_IN);
    show(sink, frame, IN);
    const [packet] = capture.take();
    expect(packet).toMatchObject({ length, bytes: [...frame.subarray(0, kept)] });
  });

  it.each([[[100]], [[1, 99]], [[33, 33, 34]], [[95, 1, 1, 3]], [[96, 4]], [[97, 3]]])(
    'a packet in parts of %j bytes is one packet, cut at the snaplen',
    (parts) => {
      const frame = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
      const whole = open();
      const cut = open({ snaplen: 96 });
      for (const { sink } of [whole, cut]) {
        sink.takesBurst(DIRECTION_IN);
        show(sink, frame, IN, NO_REASON, parts);
        // What lies behind it is the next packet.
        show(sink, frame, IN);
      }
      const bytes = [...frame];
      expect(whole.capture.take().map((packet) => packet.bytes)).toEqual([bytes, bytes]);
      expect(cut.capture.take().map((packet) => packet.bytes)).toEqual([bytes.slice(0, 96), bytes.slice(0, 96)]);
    },
  );

  it('counts what finds no room, and goes on when there is some', () => {
    const { capture, sink } = open();
    const frame = new Uint8Array(65_600);
    sink.takesBurst(DIRECTION_IN);
    const found = Array.from({ length: 9 }, () => show(sink, frame, IN));
    expect(found).toEqual([true, true, true, true, true, true, true, false, false]);
    expect([capture.reader.seen, capture.reader.lost, capture.take().length]).toEqual([9, 2, 7]);
    expect(show(sink, frame, IN)).toBe(true);
  });
});

describe('a capture of one burst of several', () => {
  /** Which of `count` bursts it takes. */
  const taken = (sink: CaptureSink, count: number, direction = DIRECTION_IN): number[] =>
    Array.from({ length: count }, (_, i) => i).filter(() => sink.takesBurst(direction));

  it('takes each when it is asked for each', () => {
    expect(taken(open().sink, 5)).toEqual([0, 1, 2, 3, 4]);
  });

  it('takes as many as it is asked for on average, spaced by chance', () => {
    const { capture, sink } = open();
    capture.reader.sample(8);
    // Spacings of 1 to 15 bursts, each as often as the others.
    let next = 0;
    vi.spyOn(Math, 'random').mockImplementation(() => (next++ % 15) / 15);
    const places = taken(sink, 8 * 1500);
    expect(places.length).toBe(1500);
    const spacings = new Set(places.slice(1).map((place, i) => place - places[i]!));
    expect([...spacings].sort((one, other) => one - other)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  });

  it('sees both directions although they take turns', () => {
    const { capture, sink } = open();
    capture.reader.sample(2);
    const counts = [0, 0];
    for (let i = 0; i < 4000; i++) {
      if (sink.takesBurst(i % 2 === 0 ? DIRECTION_IN : DIRECTION_OUT)) counts[i % 2]!++;
    }
    // 1000 of each are expected; a fixed spacing takes 2000 and none.
    for (const count of counts) expect(count).toBeGreaterThan(500);
  });

  it('says of each packet how many it stands for', () => {
    const { capture, sink } = open();
    for (const every of [1, 2, 1024, MAX_EVERY]) {
      capture.reader.sample(every);
      while (!sink.takesBurst(DIRECTION_IN));
      show(sink, flowPacket(1, every), whereOf(DIRECTION_OUT, 4095));
      show(sink, flowPacket(1, every), IN);
      expect(capture.take()).toMatchObject([
        { every, direction: 'out', interface: 4095 },
        { every, direction: 'in', interface: 0 },
      ]);
    }
  });

  it('does not wait for the end of a long spacing when more are wanted again', () => {
    const { capture, sink } = open();
    capture.reader.sample(MAX_EVERY);
    vi.spyOn(Math, 'random').mockReturnValue(0.9999);
    expect(taken(sink, 10)).toEqual([]);
    capture.reader.sample(4);
    expect(taken(sink, 14)).toEqual([6, 13]);
    capture.reader.sample(1);
    expect(taken(sink, 3)).toEqual([0, 1, 2]);
  });
});

describe('the captures of a thread', () => {
  it('come and go by their numbers', () => {
    const sinks = new CaptureSinks();
    const state = () => [sinks.isOn, sinks.wantsDrops, sinks.all.map(({ id }) => id)];
    expect(state()).toEqual([false, false, []]);
    sinks.add(new TestCapture(wishFor({ id: 1 })).order);
    expect(state()).toEqual([true, false, [1]]);
    sinks.add(new TestCapture(wishFor({ id: 2, drops: true })).order);
    sinks.add(new TestCapture(wishFor({ id: 3 })).order);
    expect(state()).toEqual([true, true, [1, 2, 3]]);
    sinks.close(9);
    sinks.close(2);
    expect(state()).toEqual([true, false, [1, 3]]);
    sinks.close(1);
    sinks.close(3);
    expect(state()).toEqual([false, false, []]);
  });

  it('make the ring of one that begins here', () => {
    const sinks = new CaptureSinks();
    const [ring, ...others] = sinks.open(wishFor({ id: 5 }));
    const capture = new TestCapture({}, ring);
    sinks.all[0]!.takesBurst(DIRECTION_IN);
    show(sinks.all[0]!, flowPacket(1, 1), IN);
    expect([others, sinks.all[0]!.id, capture.take().length]).toEqual([[], 5, 1]);
  });

  it('are not changed by a filter that cannot be used', () => {
    const sinks = new CaptureSinks();
    expect(() => sinks.add(new TestCapture({ filter: '((' }).order)).toThrow(FilterError);
    expect([sinks.isOn, sinks.all.length]).toEqual([false, 0]);
  });
});
