import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpscRing } from '../../../../../rings/spsc-ring.js';
import { BURST } from '../../../../../src/link/bursts/tx-burst.js';
import { type BufferPlan, defaultBuffers, planBuffers } from '../../../../../src/threads/shared/buffer-plan.js';
import { Interconnect } from '../../../../../src/threads/shared/interconnect.js';

const isPowerOfTwo = (value: number): boolean => Number.isInteger(Math.log2(value));
const cores = fc.integer({ min: 1, max: 64 });

/** A plan, or null where there are too few buffers. */
function planOrNull(count: number, buffers: number): BufferPlan | null {
  try {
    return planBuffers(count, buffers);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return null;
  }
}

const plans = fc
  .tuple(cores, fc.integer({ min: 256, max: 65536 }))
  .map(([count, buffers]) => planOrNull(count, buffers))
  .filter((plan) => plan !== null);

describe('the plan of the buffers', () => {
  it('gives every buffer to one owner, and no queue more than its owner has', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const { buffers, cores, rxBuffers, txBuffers, deviceRing, rxShare, rxQueue, txQueue } = plan;
        expect(rxBuffers + cores * txBuffers).toBe(buffers);
        for (const power of [txBuffers, deviceRing, rxQueue, txQueue]) expect(isPowerOfTwo(power)).toBe(true);
        for (const least of [txBuffers, deviceRing, rxQueue, txQueue]) expect(least).toBeGreaterThanOrEqual(64);
        // When each core has all that it may have, the receive ring is still full, and four bursts are left.
        expect(cores * rxShare + deviceRing + 4 * BURST).toBeLessThanOrEqual(rxBuffers);
        // A core may hold a burst beside a full queue.
        expect(rxQueue + BURST).toBeLessThanOrEqual(rxShare);
      }),
    );
  });

  it('works for every number of cores with the default, and with the minimum', () => {
    for (let count = 1; count <= 64; count++) {
      expect(planBuffers(count, defaultBuffers(count)).cores).toBe(count);
      const message = /too few for .*: take (\d+), or at least (\d+)$/;
      const [, take, least] = message.exec(messageOf(() => planBuffers(count, 256))) ?? [];
      expect(Number(take)).toBe(defaultBuffers(count));
      expect(planBuffers(count, Number(least)).buffers).toBe(Number(least));
      expect(() => planBuffers(count, Number(least) - 1)).toThrow(message);
    }
  });

  it.each([0, 65, -1, 1.5, Number.NaN])('has no plan for %d cores', (count) => {
    expect(() => planBuffers(count, 65536)).toThrow(`${count} cores for the stack: possible are 1 to 64`);
  });
});

describe('the memory between the threads', () => {
  const KINDS = ['rxQueue', 'rxFree', 'txQueue', 'txFree', 'asks', 'answers'] as const;

  it('has its own place for every part', () => {
    fc.assert(
      fc.property(plans, fc.boolean(), (plan, hasTxWorker) => {
        const interconnect = Interconnect.create(plan, hasTxWorker);
        const { buffer } = interconnect.shared();
        const regions = regionsOf(interconnect).sort((a, b) => a.from - b.from);
        for (const [i, { from, to, name }] of regions.entries()) {
          expect(to, name).toBeLessThanOrEqual(regions[i + 1]?.from ?? buffer.byteLength);
          expect(from % 4, name).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('has room in each ring for all that can come back through it', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const interconnect = Interconnect.create(plan, true);
        expect(interconnect.ring(0, 'rxFree').capacity).toBeGreaterThanOrEqual(plan.rxShare);
        expect(interconnect.rxReturn().capacity).toBeGreaterThanOrEqual(plan.rxBuffers);
        expect(interconnect.ring(0, 'txFree').capacity).toBeGreaterThanOrEqual(plan.txBuffers);
        expect(interconnect.ring(0, 'rxQueue').capacity).toBe(plan.rxQueue);
        expect(interconnect.ring(0, 'txQueue').capacity).toBe(plan.txQueue);
      }),
      { numRuns: 30 },
    );
  });

  it('is the same for every thread that attaches to it', () => {
    const here = Interconnect.create(planBuffers(3, 4096), true);
    const there = new Interconnect(here.shared());
    const one = new Uint32Array(1);
    for (const kind of KINDS) {
      for (let core = 0; core < 3; core++) {
        here.ring(core, kind).enqueueBurst(Uint32Array.of(core), Uint32Array.of(KINDS.indexOf(kind)), 0, 1);
        const length = new Uint32Array(1);
        expect(there.ring(core, kind).dequeueBurst(one, length, 1)).toBe(1);
        expect([one[0], length[0]]).toEqual([core, KINDS.indexOf(kind)]);
      }
    }
    expect(there.hasTxWorker).toBe(true);
    here.hostMemory().mac.set([1, 2, 3]);
    expect([...there.hostMemory().mac]).toEqual([1, 2, 3]);
    expect(there.isLinkUp).toBe(false);
    here.isLinkUp = true;
    expect(there.isLinkUp).toBe(true);
    here.neighbourTable().confirm(0x0a000002, Uint16Array.of(7, 8, 9), 0, 0);
    const mac = new Uint16Array(3);
    there.neighbourReader().lookup(0x0a000002, mac);
    expect([...mac]).toEqual([7, 8, 9]);
  });

  it('reports questions once for all that came until then', () => {
    const interconnect = Interconnect.create(planBuffers(2, 4096), false);
    expect(interconnect.takeAsked()).toBe(false);
    interconnect.setAsked();
    interconnect.setAsked();
    expect([interconnect.isAsked, interconnect.takeAsked()]).toEqual([true, true]);
    expect([interconnect.isAsked, interconnect.takeAsked()]).toEqual([false, false]);
  });

  it('has one doorbell for receiving and sending if one thread does both', () => {
    const rings = (hasTxWorker: boolean): boolean => {
      const interconnect = Interconnect.create(planBuffers(2, 4096), hasTxWorker);
      const words = new Int32Array(interconnect.shared().buffer);
      interconnect.rxListener().arm();
      interconnect.txDoorbell().ring();
      const isAwake = words[2 * 32] === 0;
      interconnect.rxDoorbell().ring();
      return isAwake;
    };
    expect(rings(false)).toBe(true);
    expect(rings(true)).toBe(false);
  });

  interface Region {
    readonly name: string;
    readonly from: number;
    readonly to: number;
  }

  /** The places of the parts, as the parts themselves report them. */
  function regionsOf(interconnect: Interconnect): Region[] {
    const regions: Region[] = [];
    const add = (name: string, from: number, bytes: number): void =>
      void regions.push({ name, from, to: from + bytes });
    const addRing = (name: string, ring: SpscRing): void => {
      const { control } = ring as unknown as { control: Int32Array };
      add(name, control.byteOffset, SpscRing.bytesFor(ring.capacity));
    };
    const { cores } = interconnect.plan;
    for (const kind of KINDS) for (const [core, ring] of interconnect.rings(kind).entries()) addRing(kind + core, ring);
    addRing('rxWorkersTxQueue', interconnect.rxWorkersTxQueue());
    addRing('rxReturn', interconnect.rxReturn());
    const bells = Array.from({ length: cores }, (_, core) => interconnect.coreDoorbell(core));
    for (const bell of [...bells, interconnect.rxDoorbell(), interconnect.txListener()]) {
      add('doorbell', (bell as unknown as { at: number }).at * 4, 128);
    }
    const { words } = interconnect as unknown as { words: Int32Array };
    add('link', words.byteOffset, 128);
    add('asked', words.byteOffset + 128, 128);
    const mac = interconnect.hostMemory().mac;
    add('mac', mac.byteOffset, 128);
    const table = (interconnect.neighbourTable() as unknown as { words: Int32Array }).words;
    add('neighbours', table.byteOffset, table.byteLength);
    return regions;
  }
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}
