/** How much the receiving loop takes from the device at once, and that it hands it over whole and in order. */
import { describe, expect, it } from 'vitest';
import { flowPacket } from '../support/frames.js';
import { expectEveryBufferOnce, Multicore, numberOf, takeAll } from '../support/multicore.js';

const BURST = 32;
const port = (stackCores: number): Multicore => new Multicore({ stackCores, buffers: 1024 * stackCores });
const inject = (to: Multicore, count: number, flowOf: (i: number) => number): void => {
  for (let i = 0; i < count; i++) to.device.inject(flowPacket(flowOf(i), i));
};
const scattered = (i: number): number => 1000 + 7 * i;

describe('the receiving loop', () => {
  it.each([1, 2, 8, 15])('takes a burst a turn for %d cores', (cores) => {
    const few = port(cores);
    inject(few, 3 * BURST, scattered);
    expect(few.pollRx()).toBe(BURST);
  });

  it.each([
    [16, 2],
    [32, 4],
  ])('takes for %d cores %d bursts, so that each has some of them', (cores, bursts) => {
    const many = port(cores);
    inject(many, 5 * BURST, scattered);
    expect(many.pollRx()).toBe(bursts * BURST);
    expectEveryBufferOnce(many);
  });

  it('waits for no more than there is', () => {
    const many = port(16);
    inject(many, 3, scattered);
    expect(many.pollRx()).toBe(3);
    expect(many.cores.flatMap(takeAll)).toHaveLength(3);
    expect(many.pollRx()).toBe(0);
  });

  it('goes no further when a core has a burst of its own', () => {
    const many = port(32);
    inject(many, 5 * BURST, () => 1000);
    expect(many.pollRx()).toBe(BURST);
    const [core] = many.cores.filter(({ index }) => many.interconnect.ring(index, 'rxQueue').count > 0);
    expect(takeAll(core!).map(numberOf)).toEqual(Array.from({ length: BURST }, (_, i) => i));
  });

  // A row that fills up within a turn goes at once, what comes for that core after it with the others: still in order.
  it('keeps the order of each flow where one has nearly all packets', () => {
    const many = port(32);
    const flowOf = (i: number): number => (i % 5 === 0 ? scattered(i) : 1000);
    inject(many, 300, flowOf);
    many.settle();
    let delivered = 0;
    for (const core of many.cores) {
      const last = new Map<number, number>();
      for (const buffer of takeAll(core)) {
        const number = numberOf(buffer);
        expect(number).toBeGreaterThan(last.get(flowOf(number)) ?? -1);
        last.set(flowOf(number), number);
        core.release(buffer);
        delivered++;
      }
    }
    expect(delivered).toBe(300);
    expectEveryBufferOnce(many);
  });
});
