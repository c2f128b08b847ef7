/** The producer's side of many rings: what is staged is not visible to the consumer until it is published. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { FIRST_INDEXES, put, severalRings, take } from '../../support/rings/ring-packets.js';

function open(rings: number, capacity: number, firstIndex = 0) {
  const { side } = severalRings(rings, capacity, firstIndex);
  return { fan: new SpscFanOut(side()), consumers: side() };
}

describe('SpscFanOut', () => {
  it('hands over what was staged, in order, when it is published and not before', () => {
    const { fan, consumers } = open(3, 8);
    fan.allow(1, 8);
    expect(fan.stage(1, 0xffff, 60)).toBe(1);
    expect(fan.stage(1, 0, 0xffff)).toBe(2);
    expect(fan.waiting(1)).toBe(2);
    expect(consumers.map((ring) => ring.count)).toEqual([0, 0, 0]);
    expect(fan.publish(1)).toBe(2);
    expect(fan.waiting(1)).toBe(0);
    expect(fan.count(1)).toBe(2);
    expect(take(consumers[1]!, 8)).toEqual([
      [0xffff, 60],
      [0, 0xffff],
    ]);
    expect(fan.count(1)).toBe(0);
    expect(fan.publish(1)).toBe(0);
    expect([take(consumers[0]!, 8), take(consumers[2]!, 8)]).toEqual([[], []]);
  });

  it('stages nothing beyond the allowance, and allows no more than there is room for', () => {
    const { fan, consumers } = open(2, 4);
    expect(fan.stage(0, 1, 1)).toBe(0);
    expect(fan.allow(0, 2)).toBe(2);
    expect([fan.stage(0, 1, 1), fan.stage(0, 2, 2), fan.stage(0, 3, 3)]).toEqual([1, 2, 0]);
    // What is staged takes room, too.
    expect(fan.allow(0, 100)).toBe(2);
    expect([fan.stage(0, 3, 3), fan.stage(0, 4, 4), fan.stage(0, 5, 5)]).toEqual([3, 4, 0]);
    fan.publish(0);
    expect(fan.allow(0, 100)).toBe(0);
    expect(take(consumers[0]!, 1)).toEqual([[1, 1]]);
    expect(fan.allow(0, 100)).toBe(1);
    expect(fan.allow(0, -1)).toBe(0);
    expect(fan.stage(0, 5, 5)).toBe(0);
    expect(take(consumers[0]!, 9)).toHaveLength(3);
  });

  it('continues at the indexes of the rings', () => {
    const { side } = severalRings(2, 4);
    const [producers, consumers] = [side(), side()];
    put(producers[1]!, 7, 70);
    const fan = new SpscFanOut(producers);
    fan.allow(1, 4);
    fan.stage(1, 8, 80);
    fan.publish(1);
    expect(take(consumers[1]!, 4)).toEqual([
      [7, 70],
      [8, 80],
    ]);
  });

  it('refuses no rings, rings of two buffers, and of two capacities', () => {
    const [one] = severalRings(1, 8).side();
    const [other] = severalRings(1, 8).side();
    const short = new SpscRing(one!.buffer, 0, 4);
    for (const rings of [[], [one!, other!], [one!, short]]) expect(() => new SpscFanOut(rings)).toThrow(RangeError);
  });

  it('behaves as bounded queues, also where indexes pass 2^31 and 2^32', () => {
    const step = fc.record({
      ring: fc.nat(2),
      act: fc.constantFrom('stage', 'publish', 'allow', 'take'),
      n: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.constantFrom(...FIRST_INDEXES), fc.array(step, { maxLength: 300 }), (first, steps) => {
        const capacity = 8;
        const { fan, consumers } = open(3, capacity, first);
        const models = [0, 1, 2].map(() => ({
          staged: [] as [number, number][],
          published: [] as [number, number][],
          room: 0,
        }));
        let next = 0;
        for (const { ring, act, n } of steps) {
          const model = models[ring]!;
          const consumer = consumers[ring]!;
          if (act === 'stage') {
            const taken = fan.stage(ring, next, n);
            if (model.room > 0) model.staged.push([next, n]);
            expect(taken).toBe(model.room > 0 ? model.staged.length : 0);
            model.room = Math.max(0, model.room - 1);
            next++;
          } else if (act === 'publish') {
            expect(fan.publish(ring)).toBe(model.staged.length);
            model.published.push(...model.staged.splice(0));
          } else if (act === 'allow') {
            model.room = Math.min(n, capacity - model.staged.length - model.published.length);
            expect(fan.allow(ring, n)).toBe(model.room);
          } else {
            expect(take(consumer, n)).toEqual(model.published.splice(0, n));
          }
          expect(fan.waiting(ring)).toBe(model.staged.length);
          expect(fan.count(ring)).toBe(model.published.length);
          expect(consumer.count).toBe(model.published.length);
        }
      }),
    );
  });
});
