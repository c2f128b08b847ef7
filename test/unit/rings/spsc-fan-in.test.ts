/** The consumer's side of many rings: which of them seem to be empty, and what comes out. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpscFanIn } from '../../../rings/spsc-fan-in.js';
import { FIRST_INDEXES, put, severalRings, take } from '../../support/rings/ring-packets.js';

describe('SpscFanIn', () => {
  it('continues at the indexes of the rings', () => {
    const { side } = severalRings(2, 4);
    const [producers, consumers] = [side(), side()];
    put(producers[1]!, 1, 10);
    put(producers[1]!, 2, 20);
    take(consumers[1]!, 1);
    const fan = new SpscFanIn(consumers);
    expect(fan.length).toBe(2);
    expect([fan.looksEmpty(0), fan.looksEmpty(1)]).toEqual([true, false]);
    expect(fan.count(1)).toBe(1);
    const [handles, lengths] = [new Uint32Array(8), new Uint32Array(8)];
    expect(fan.dequeueBurst(1, handles, lengths, 4, 3)).toBe(1);
    expect([handles[3], lengths[3]]).toEqual([2, 20]);
    expect(fan.looksEmpty(1)).toBe(true);
  });

  it('refuses no rings, and rings of two buffers', () => {
    const [one] = severalRings(1, 8).side();
    const [other] = severalRings(1, 8).side();
    for (const rings of [[], [one!, other!]]) expect(() => new SpscFanIn(rings)).toThrow(RangeError);
  });

  it('behaves as queues, also where indexes pass 2^31 and 2^32', () => {
    const step = fc.record({ ring: fc.nat(2), enqueue: fc.boolean(), n: fc.nat(5) });
    fc.assert(
      fc.property(fc.constantFrom(...FIRST_INDEXES), fc.array(step, { maxLength: 300 }), (first, steps) => {
        const { side } = severalRings(3, 8, first);
        const producers = side();
        const fan = new SpscFanIn(side());
        const models: [number, number][][] = [[], [], []];
        const [handles, lengths] = [new Uint32Array(8), new Uint32Array(8)];
        let next = 0;
        for (const { ring, enqueue, n } of steps) {
          const model = models[ring]!;
          if (enqueue) {
            if (put(producers[ring]!, next, n)) model.push([next, n]);
            next++;
          } else {
            const count = fan.dequeueBurst(ring, handles, lengths, n);
            const taken = Array.from({ length: count }, (_, i) => [handles[i]!, lengths[i]!]);
            expect(taken).toEqual(model.splice(0, n));
          }
          expect(models.map((_, i) => fan.looksEmpty(i))).toEqual(models.map((left) => left.length === 0));
          expect(models.map((_, i) => fan.count(i))).toEqual(models.map((left) => left.length));
        }
      }),
    );
  });
});
