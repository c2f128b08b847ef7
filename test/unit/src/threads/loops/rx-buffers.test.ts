/** The Rx worker's buffers while other threads have them: when it collects them, and whom it wakes. */
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../../../rings/buffer-pool.js';
import { PacketTable } from '../../../../../rings/packet-table.js';
import { RxBuffers } from '../../../../../src/threads/loops/rx-buffers.js';
import { planBuffers } from '../../../../../src/threads/shared/buffer-plan.js';
import { Interconnect } from '../../../../../src/threads/shared/interconnect.js';
import { RingReturn } from '../../../../../src/threads/shared/ring-return.js';

const CORES = 10;

function open(hasTxWorker: boolean) {
  const plan = planBuffers(CORES, 16_384);
  const interconnect = Interconnect.create(plan, hasTxWorker);
  const pool = new BufferPool({ count: plan.buffers, shift: 11, base: 0 }, 0, plan.rxBuffers);
  const buffers = new RxBuffers({ pool, table: new PacketTable(pool.geometry.count), offloads: 0 }, interconnect);
  return { plan, interconnect, pool, buffers };
}

/** The core takes this many buffers from the pool, as if they had been delivered to it. */
function give({ pool, buffers }: ReturnType<typeof open>, core: number, count: number): number[] {
  return Array.from({ length: count }, () => {
    const handle = pool.get();
    buffers.holder[handle] = core + 1;
    buffers.held[core]!++;
    return handle;
  });
}

function release({ interconnect }: ReturnType<typeof open>, core: number, handles: readonly number[]): void {
  const ring = new RingReturn(interconnect.ring(core, 'rxFree'));
  for (const handle of handles) ring.put(handle);
  ring.flush();
}

describe('buffers of the Rx worker', () => {
  it('come home within some polls from any core that released them, if none is needed', () => {
    const port = open(false);
    const before = port.pool.available;
    for (let core = 0; core < CORES; core++) release(port, core, give(port, core, 3));
    expect(port.pool.available).toBe(before - 3 * CORES);
    // Eight polls for eight cores, and one more for the other threads.
    for (let poll = 0; poll < 7; poll++) port.buffers.tick();
    expect(port.pool.available).toBe(before - 3 * CORES);
    port.buffers.tick();
    expect(port.pool.available).toBe(before - 3 * (CORES - 8));
    for (let poll = 0; poll < 8; poll++) port.buffers.tick();
    expect(port.pool.available).toBe(before);
    expect([...port.buffers.held]).toEqual(new Array(CORES).fill(0));
    expect(port.buffers.holder.every((holder) => holder === 0)).toBe(true);
  });

  it('are collected until there are twice as many as needed, and no further', () => {
    const port = open(false);
    const { pool, buffers } = port;
    give(port, 2, pool.available - 2 * buffers.lowWater - 15);
    const [first, second] = [give(port, 0, 10), give(port, 1, 10)];
    release(port, 0, first);
    release(port, 1, second);
    expect(pool.available).toBe(2 * buffers.lowWater - 5);
    buffers.collect();
    expect([buffers.held[0], buffers.held[1]]).toEqual([0, 10]);
    // Collecting continues at the core where it stopped.
    give(port, 2, 10);
    buffers.collect();
    expect([buffers.held[0], buffers.held[1]]).toEqual([0, 0]);
  });

  it.each([
    ['1kb', false],
    ['2kb', true],
  ])('that are needed wake the sender in mode %s: it may have sent them, and sleep', (_, hasTxWorker) => {
    const port = open(hasTxWorker);
    const { interconnect, pool, buffers } = port;
    const sender = interconnect.txDoorbell();
    const listener = hasTxWorker ? interconnect.txListener() : interconnect.rxListener();
    expect(listener.arm()).toBe(true);
    buffers.collect();
    expect(sender.isAsleep).toBe(true);
    give(port, 0, pool.available - buffers.lowWater + 1);
    buffers.collect();
    expect(sender.isAsleep).toBe(false);
  });

  it('that were sent come home from the Tx worker', () => {
    const port = open(true);
    const handles = give(port, 4, 40);
    const home = new RingReturn(port.interconnect.rxReturn());
    for (const handle of handles) home.put(handle);
    home.flush();
    port.buffers.collectFrom(0);
    expect(port.buffers.held[4]).toBe(0);
  });
});
