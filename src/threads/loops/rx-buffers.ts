/**
 * The Rx worker's buffers while other threads have them: which core has each buffer, how many each core has, and how
 * they come back. Each core gives back what it released over a ring of its own; what was sent comes back from the Tx
 * loop.
 */
import type { NetDevice } from '../../../drivers/net-device.js';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { ENTRY_SHIFT, LAST, NEXT, type PacketTable } from '../../../rings/packet-table.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { BURST } from '../../link/bursts/tx-burst.js';
import type { Doorbell } from '../shared/doorbell.js';
import type { Interconnect } from '../shared/interconnect.js';

/** Polls between two rounds that collect buffers before the pool needs them, and the most cores of such a round. */
const POLLS_PER_ROUND = 8;
const CORES_PER_ROUND = 8;
/** No core: the buffer is in the pool, in the receive ring, or being worked on. */
const NO_CORE = 0;

export class RxBuffers {
  readonly pool: BufferPool;
  readonly table: PacketTable;
  private readonly hasOffloads: boolean;
  /** When fewer buffers are free, {@link collect} is due. */
  readonly lowWater: number;
  /** Which core has each buffer: 1 + its number, or NO_CORE. {@link CoreQueues} writes it. */
  readonly holder: Uint8Array;
  /** How many buffers each core has: in its `rx_queue`, in its stack, being sent, or given back and not collected. */
  readonly held: Int32Array;
  /** Cores whose stack has failed. The last entry is for the Tx worker and stays 0. */
  readonly isGone: Uint8Array;
  /** The rings by which buffers come back: one per core, and with a Tx worker one from there. */
  private readonly returns: SpscRing[];
  private readonly hasTxWorker: boolean;
  private readonly txDoorbell: Doorbell;
  private readonly freed = new Uint32Array(BURST);
  private readonly freedLengths = new Uint32Array(BURST);
  private nextToCollect = 0;
  private pollsToRound = POLLS_PER_ROUND;

  constructor({ pool, table, offloads }: Pick<NetDevice, 'pool' | 'table' | 'offloads'>, interconnect: Interconnect) {
    this.pool = pool;
    this.table = table;
    this.hasOffloads = offloads !== 0;
    const { cores, rxBuffers, deviceRing } = interconnect.plan;
    this.hasTxWorker = interconnect.hasTxWorker;
    this.returns = interconnect.rings('rxFree');
    if (this.hasTxWorker) this.returns.push(interconnect.rxReturn());
    this.txDoorbell = interconnect.txDoorbell();
    this.isGone = new Uint8Array(this.returns.length);
    this.holder = new Uint8Array(rxBuffers);
    this.held = new Int32Array(cores);
    // Half of what is not in the receive ring. Normally tick() collects buffers before the pool falls so low.
    this.lowWater = Math.max(2 * BURST, (rxBuffers - deviceRing) >> 1);
  }

  /** Takes a buffer back into the pool. */
  takeBack(handle: number): void {
    const holder = this.holder[handle];
    if (holder !== NO_CORE) {
      this.held[holder - 1]--;
      this.holder[handle] = NO_CORE;
    }
    this.pool.put(handle);
  }

  /** Takes back the buffers of a packet that no core has got. */
  drop(handle: number): void {
    if (this.hasOffloads) this.table.free(handle, this.pool);
    else this.pool.put(handle);
  }

  /** Notes that `core` has the packet whose first buffer is `handle`, and which lies in several. */
  giveChain(handle: number, core: number): void {
    const { words } = this.table;
    for (let part = handle; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]) this.holder[part] = core + 1;
  }

  /** Collects the buffers that were given back, from one ring after the other, until enough are free. */
  collect(): void {
    const { returns, pool } = this;
    for (let tried = 0; tried < returns.length; tried++) {
      this.drain(this.next());
      if (pool.available >= 2 * this.lowWater) return;
    }
    // The device may have sent some, but a Tx worker that sleeps has no reason to reclaim them.
    if (pool.available < this.lowWater) this.txDoorbell.ring();
  }

  /**
   * To be called at each poll. Every eighth time it collects what was sent and what some cores have given back, long
   * before the pool needs it: the fewer buffers are in use, the more of them are in the cache.
   */
  tick(): void {
    if (--this.pollsToRound > 0) return;
    this.pollsToRound = POLLS_PER_ROUND;
    for (let left = Math.min(CORES_PER_ROUND, this.returns.length); left > 0; left--) {
      const ring = this.next();
      if (!this.returns[ring].looksEmpty) this.drain(ring);
    }
    this.drainTxWorker();
  }

  /** Collects what `core` has given back, and what was sent. */
  collectFrom(core: number): void {
    this.drain(core);
    this.drainTxWorker();
  }

  /**
   * The stack of `core` has failed: takes back the buffers that the core had.
   * @param inFlight for each buffer, whether the Tx loop has it (1): such a buffer comes back by itself
   */
  retire(core: number, inFlight: Uint8Array): void {
    this.isGone[core] = 1;
    // Buffers of the core that the Tx worker has sent wait in `rxReturn` already. They must not come back twice.
    this.drainTxWorker();
    for (let handle = 0; handle < this.holder.length; handle++) {
      if (this.holder[handle] !== core + 1 || inFlight[handle] !== 0) continue;
      // Each part of a packet is taken back by itself.
      this.table.clear(handle);
      this.takeBack(handle);
    }
  }

  /** The ring whose turn it is. */
  private next(): number {
    const ring = this.nextToCollect;
    this.nextToCollect = ring + 1 === this.returns.length ? 0 : ring + 1;
    return ring;
  }

  private drain(ring: number): void {
    if (this.isGone[ring] !== 0) return;
    const { freed, freedLengths } = this;
    const from = this.returns[ring];
    for (let count = BURST; count === BURST; ) {
      count = from.dequeueBurst(freed, freedLengths, BURST);
      for (let i = 0; i < count; i++) this.takeBack(freed[i]);
    }
  }

  /** What the Tx worker has sent comes back by the last ring. */
  private drainTxWorker(): void {
    if (this.hasTxWorker) this.drain(this.held.length);
  }
}
