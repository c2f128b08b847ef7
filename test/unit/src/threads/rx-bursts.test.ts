/**
 * How many frames the receiving loop takes from the device at once, and that it hands them over completely and in
 * order.
 */
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { flowPacket, OUR_IP, PEER_IP } from '../../../support/link/frames.js';
import { expectEveryBufferOnce, numberOf, SteppedPort, takeAll } from '../../../support/threads/stepped-port.js';

const BURST = 32;
const port = (stackCores: number): SteppedPort => new SteppedPort({ stackCores, buffers: 1024 * stackCores });
const inject = (to: SteppedPort, count: number, flowOf: (i: number) => number): void => {
  for (let i = 0; i < count; i++) to.device.inject(flowPacket(flowOf(i), i));
};
/** One flow of each core. */
function flowsOf({ cores }: SteppedPort): number[] {
  const flow = { protocol: 17, source: parseIpv4(PEER_IP), destination: parseIpv4(OUR_IP), destinationPort: 7 };
  return cores.map((core) => {
    for (let sourcePort = 1; ; sourcePort++)
      if (core.rssCoreFor({ ...flow, sourcePort }) === core.index) return sourcePort;
  });
}
const scattered = (i: number): number => 1000 + 7 * i;

describe('the receiving loop', () => {
  it.each([1, 2, 8, 15])('takes one burst per turn for %d cores', (cores) => {
    const few = port(cores);
    inject(few, 3 * BURST, scattered);
    expect(few.pollRx()).toBe(BURST);
  });

  it.each([
    [16, 2],
    [32, 4],
  ])('takes for %d cores %d bursts, so that each core has some of them', (cores, bursts) => {
    const many = port(cores);
    inject(many, 5 * BURST, scattered);
    expect(many.pollRx()).toBe(bursts * BURST);
    expectEveryBufferOnce(many);
  });

  it.each([
    ['until they are eight', 3, [0, 0, 9, 9]],
    ['for four turns at most', 1, [0, 0, 0, 4]],
  ])('keeps a few packets back while the device has more, %s, and in order', (_, each, expected) => {
    const many = port(4);
    const [flow, other] = flowsOf(many) as [number, number];
    inject(many, 5 * BURST, (i) => (i % BURST < each ? flow : other));
    const waiting = expected.map(() => {
      many.pollRx();
      return many.interconnect.ring(0, 'rxQueue').count;
    });
    expect(waiting).toEqual(expected);
    many.settle();
    expect(takeAll(many.cores[0]!).map(numberOf)).toEqual(
      Array.from({ length: 5 * each }, (_, i) => BURST * Math.floor(i / each) + (i % each)),
    );
  });

  it('keeps nothing back if the device has no more, or a core has failed', () => {
    const many = port(4);
    const [flow, other] = flowsOf(many) as [number, number];
    inject(many, BURST, (i) => (i < 3 ? flow : other));
    many.pollRx();
    expect(many.interconnect.ring(0, 'rxQueue').count).toBe(0);
    many.pollRx();
    expect(many.interconnect.ring(0, 'rxQueue').count).toBe(3);
    inject(many, BURST, (i) => (i < 3 ? flow : other));
    many.pollRx();
    many.crash(1);
    expect(many.interconnect.ring(0, 'rxQueue').count).toBe(6);
    expectEveryBufferOnce(many);
  });

  it('waits for no more than there is', () => {
    const many = port(16);
    inject(many, 3, scattered);
    expect(many.pollRx()).toBe(3);
    expect(many.cores.flatMap(takeAll)).toHaveLength(3);
    expect(many.pollRx()).toBe(0);
  });

  it('takes no further burst once a core has a burst of its own', () => {
    const many = port(32);
    inject(many, 5 * BURST, () => 1000);
    expect(many.pollRx()).toBe(BURST);
    const [core] = many.cores.filter(({ index }) => many.interconnect.ring(index, 'rxQueue').count > 0);
    expect(takeAll(core!).map(numberOf)).toEqual(Array.from({ length: BURST }, (_, i) => i));
  });

  // A burst for one core that is full within a turn is handed over at once. What comes for that core later goes with
  // the others and is still in order.
  it('keeps the order of each flow where one flow has nearly all packets', () => {
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

  // A sender may know the key and choose the flows, such that cores have nearly a burst before the device's last one,
  // and exactly one with it.
  it.each([24, 32, 33, 64])('hands over whatever a choice of flows brings, with %d cores', (cores) => {
    const many = port(cores);
    const flowOf = flowsOf(many);
    const bursts = Math.min(4, cores >> 3);
    const nearlyFull = bursts - 1;
    const chosen: number[] = [];
    for (let core = 0; core < nearlyFull; core++) for (let i = 1; i < BURST; i++) chosen.push(core);
    for (let core = nearlyFull; chosen.length < nearlyFull * BURST; core++) chosen.push(core);
    for (let core = 0; core < nearlyFull; core++) chosen.push(core, core);
    for (let core = cores - 1; chosen.length < bursts * BURST; core--) chosen.push((core + cores) % cores);
    inject(many, chosen.length, (i) => flowOf[chosen[i]!]!);
    expect(many.pollRx()).toBe(chosen.length);
    const delivered = many.cores.map((core) => takeAll(core).length);
    expect(delivered).toEqual(many.cores.map(({ index }) => chosen.filter((core) => core === index).length));
    expectEveryBufferOnce(many);
  });
});
