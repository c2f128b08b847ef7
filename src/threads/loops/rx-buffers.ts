/**
 * The Rx worker's buffers while others have them: who has each, how many each has, and how they come home. Each core gives
 * back what it has released by a ring of its own; what was sent comes back from the Tx side.
 */
import type { BufferPool } from '../../../rings/buffer-pool.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { BURST } from '../../link/tx-burst.js';
import type { Doorbell } from '../doorbell.js';
import type { Interconnect } from '../interconnect.js';

/** Polls until buffers are brought home that are not missed yet, and of how many cores at a time. */
const POLLS_TO_HOME = 8;
const CORES_TO_HOME = 8;
/** Nobody: the buffer is in the pool, the receive ring, or being worked on. */
const NOBODY = 0;

export class RxBuffers {
  /** Below it buffers are collected from all cores at once. */
  readonly lowWater: number;
  /** Who has each buffer: 1 + core, or NOBODY. Open to the loop that spreads packets. */
  readonly holder: Uint8Array;
  /** How many of them each core has or is having sent, its `rx_queue` and what it gave back lately included. */
  readonly held: Int32Array;
  /** Where they come back: from each core, and with a Tx worker from that. */
  private readonly returns: SpscRing[];
  private readonly hasTxWorker: boolean;
  private readonly txDoorbell: Doorbell;
  /** Cores whose stack has failed, and 0 for the Tx worker. */
  readonly isGone: Uint8Array;
  private readonly freed = new Uint32Array(BURST);
  private readonly freedLengths = new Uint32Array(BURST);
  private nextToCollect = 0;
  private pollsToHome = POLLS_TO_HOME;

  constructor(
    private readonly pool: BufferPool,
    interconnect: Interconnect,
  ) {
    const { cores, rxBuffers, deviceRing } = interconnect.plan;
    this.hasTxWorker = interconnect.hasTxWorker;
    this.returns = interconnect.rings('rxFree');
    if (this.hasTxWorker) this.returns.push(interconnect.rxHome());
    this.txDoorbell = interconnect.txDoorbell();
    this.isGone = new Uint8Array(this.returns.length);
    this.holder = new Uint8Array(rxBuffers);
    this.held = new Int32Array(cores);
    // Half of what is not in the receive ring: while all goes well, they come home before.
    this.lowWater = Math.max(2 * BURST, (rxBuffers - deviceRing) >> 1);
  }

  /** A buffer that came back. */
  home(handle: number): void {
    const holder = this.holder[handle];
    if (holder !== NOBODY) {
      this.held[holder - 1]--;
      this.holder[handle] = NOBODY;
    }
    this.pool.put(handle);
  }

  /** Takes the buffers that were given back, from one core after the other, until there are enough. */
  collect(): void {
    const { returns, pool } = this;
    for (let tried = 0; tried < returns.length; tried++) {
      this.collectFrom(this.next());
      if (pool.available >= 2 * this.lowWater) return;
    }
    // Some may have been sent, and a thread that sleeps sees no reason to bring them home.
    if (pool.available < this.lowWater) this.txDoorbell.ring();
  }

  /**
   * To be called at each poll: now and then takes what was sent and what some cores have given back, long before it is
   * needed. The fewer buffers go round, the more of them are in the cache.
   */
  tick(): void {
    if (--this.pollsToHome > 0) return;
    this.pollsToHome = POLLS_TO_HOME;
    for (let left = Math.min(CORES_TO_HOME, this.returns.length); left > 0; left--) {
      const from = this.next();
      if (!this.returns[from].looksEmpty) this.collectFrom(from);
    }
    this.collectFromSender();
  }

  /** Takes what `core` has released, and what was sent. */
  collectOf(core: number): void {
    this.collectFrom(core);
    this.collectFromSender();
  }

  /**
   * What `core`, which is gone, had comes home.
   * @param inFlight for each buffer, whether the Tx side has it: those come home by themselves
   */
  retire(core: number, inFlight: Uint8Array): void {
    this.isGone[core] = 1;
    // What it had sent before that, and is not in flight any more, is in the ring already, and must not come home twice.
    this.collectFromSender();
    for (let handle = 0; handle < this.holder.length; handle++) {
      if (this.holder[handle] === core + 1 && inFlight[handle] === 0) this.home(handle);
    }
  }

  /** Whose turn it is. */
  private next(): number {
    const from = this.nextToCollect;
    this.nextToCollect = from + 1 === this.returns.length ? 0 : from + 1;
    return from;
  }

  private collectFrom(from: number): void {
    if (this.isGone[from] !== 0) return;
    const { freed, freedLengths } = this;
    const ring = this.returns[from];
    for (let count = BURST; count === BURST; ) {
      count = ring.dequeueBurst(freed, freedLengths, BURST);
      for (let i = 0; i < count; i++) this.home(freed[i]);
    }
  }

  /** What was sent comes home by the Tx worker's ring, where there is one. */
  private collectFromSender(): void {
    if (this.hasTxWorker) this.collectFrom(this.held.length);
  }
}
