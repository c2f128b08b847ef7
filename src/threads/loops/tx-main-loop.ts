/**
 * The seed's `tx_main_loop`: takes what the cores have put into their `tx_queue`s, one core after the other and a bounded
 * burst of each, and sends it in bursts as long as there is something. What was sent goes back to where it belongs.
 *
 * A core that floods gets its burst a turn, as every other: its own queue fills, nobody else's.
 */
import { type BufferPool, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { SpscFanIn } from '../../../rings/spsc-fan-in.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { L2, type L2Counters } from '../../counters.js';
import { RingReturn } from '../core/ring-return.js';
import type { Interconnect } from '../interconnect.js';
import { MAX_CORE_BURST } from '../plan.js';

/** A device, or the transmit queue of one that another thread has. */
export interface TxDevice {
  readonly isUp: boolean;
  /** Where buffers are that the device has sent; emptied here. */
  readonly sent: BufferPool;
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
  reclaimTx(): void;
}

/** Where buffers go that the Rx worker has received: its own pool, or the ring to it. */
export interface RxHome {
  put(handle: number): void;
  flush(): void;
}

/** Frames that are collected before the device gets them: room for one core's longest turn. */
const BATCH = MAX_CORE_BURST;

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const NONE_LEFT = NO_BUFFER;

export class TxMainLoop {
  /** Sends what there is, each queue having had its turn once at most. Returns how many frames the device took. */
  readonly poll: () => number;
  private readonly handles = new Uint32Array(BATCH);
  private readonly lengths = new Uint32Array(BATCH);
  /** Frames that the device has not taken yet, from index 0 on. */
  private pending = 0;
  /** Buffers that the device has. */
  private out = 0;
  private readonly queues: SpscFanIn;
  private readonly txFrees: RingReturn[];
  private readonly rxBuffers: number;
  private readonly txShift: number;
  /** The next queue in turn. */
  private turn = 0;
  /** Of each buffer of the Rx worker: 1 from the tx_queue on until it is sent. */
  private readonly inFlight: Uint8Array;
  /** Whether some core is to get buffers of its own back. */
  private coresDue = false;
  private readonly values: Float64Array;

  /**
   * @param queues the cores' tx_queues, and the Rx worker's
   * @param coreBurst most packets of a queue a turn, at most {@link MAX_CORE_BURST}
   */
  constructor(
    private readonly device: TxDevice,
    interconnect: Interconnect,
    queues: readonly SpscRing[],
    private readonly rxHome: RxHome,
    private readonly coreBurst: number,
    counters: L2Counters,
  ) {
    const { rxBuffers, txBuffers } = interconnect.plan;
    this.queues = new SpscFanIn(queues);
    this.txFrees = interconnect.rings('txFree').map((ring) => new RingReturn(ring));
    this.rxBuffers = rxBuffers;
    this.txShift = Math.log2(txBuffers);
    this.inFlight = new Uint8Array(rxBuffers);
    this.values = counters.values;
    this.poll = this.makePoll();
  }

  /** Whether the device has buffers that it may be done with soon, of which nothing tells. */
  get isSending(): boolean {
    return this.out > 0 && this.device.isUp;
  }

  /** Whether packets wait. */
  get hasWork(): boolean {
    if (this.pending > 0) return true;
    for (let i = 0; i < this.queues.length; i++) if (this.queues.count(i) > 0) return true;
    return false;
  }

  /**
   * The stack of `core` has failed: what is still in its queue is dropped and counted.
   * @returns for each of the Rx worker's buffers, whether it is still to be sent: 1. It comes home by itself.
   */
  retire(core: number): Uint8Array {
    this.discard(core, L2.tx_lost_core_gone);
    this.flushHomes();
    return this.inFlight.slice();
  }

  /** The end, after that of the cores: sends what they have queued; what the device does not take is dropped and counted. */
  drain(): void {
    const { queues } = this;
    let left = this.pending;
    for (let i = 0; i < queues.length; i++) left += queues.count(i);
    // No more than that: the Rx worker may be answering ARP all the while.
    for (let taken = 1; left > 0 && taken > 0; left -= taken) taken = this.poll();
    for (let i = 0; i < queues.length; i++) this.discard(i, L2.tx_lost_link_down);
    this.values[L2.tx_lost_link_down] += this.pending;
    for (let i = 0; i < this.pending; i++) this.giveBack(this.handles[i]);
    this.pending = 0;
    this.flushHomes();
  }

  private discard(queue: number, reason: number): void {
    const handles = new Uint32Array(BATCH);
    const lengths = new Uint32Array(BATCH);
    for (let count = BATCH; count === BATCH; ) {
      count = this.queues.dequeueBurst(queue, handles, lengths, BATCH);
      this.values[reason] += count;
      for (let i = 0; i < count; i++) this.giveBack(handles[i]);
    }
  }

  /** Hands the device the frames that wait; drops them when the link is down. */
  private send(): number {
    const { device, handles, lengths, pending } = this;
    const taken = device.txBurst(handles, lengths, pending);
    const left = pending - taken;
    this.pending = left;
    this.out += taken;
    this.values[L2.tx_handed] += taken;
    if (left === 0) return taken;
    if (!device.isUp) {
      // Kept, they would be sent when the link comes back, perhaps minutes late.
      for (let i = taken; i < pending; i++) this.giveBack(handles[i]);
      this.flushHomes();
      this.values[L2.tx_lost_link_down] += left;
      this.pending = 0;
    } else if (taken > 0) {
      handles.copyWithin(0, taken, pending);
      lengths.copyWithin(0, taken, pending);
    }
    return taken;
  }

  /** Closures, not methods: V8 knows their arrays and their device when it compiles them. */
  private makePoll(): () => number {
    const { device, queues, handles, lengths, coreBurst, inFlight, rxBuffers, rxHome } = this;
    const { sent } = device;

    /** Takes each queue's turn, as long as there is room for a burst. */
    const gather = (): void => {
      let { turn, pending } = this;
      for (let left = queues.length; left > 0 && pending + coreBurst <= BATCH; left--) {
        if (!queues.looksEmpty(turn)) {
          const end = pending + queues.dequeueBurst(turn, handles, lengths, coreBurst, pending);
          for (; pending < end; pending++) {
            const handle = handles[pending];
            if (handle < rxBuffers) inFlight[handle] = 1;
          }
        }
        turn = turn + 1 === queues.length ? 0 : turn + 1;
      }
      this.turn = turn;
      this.pending = pending;
    };

    /** Gives back what the device has sent. */
    const bringHome = (): void => {
      if (sent.available === 0) return;
      this.out -= sent.available;
      for (let handle = sent.get(); handle !== NONE_LEFT; handle = sent.get()) {
        if (handle < rxBuffers) {
          inFlight[handle] = 0;
          rxHome.put(handle);
        } else {
          this.giveToCore(handle);
        }
      }
      this.flushHomes();
    };

    return () => {
      gather();
      // Each time, not when the device runs out of room: what was sent still counts as its core's, and a core has a share.
      device.reclaimTx();
      const taken = this.pending === 0 ? 0 : this.send();
      bringHome();
      return taken;
    };
  }

  private giveBack(handle: number): void {
    if (handle < this.rxBuffers) {
      this.inFlight[handle] = 0;
      this.rxHome.put(handle);
    } else {
      this.giveToCore(handle);
    }
  }

  private giveToCore(handle: number): void {
    this.txFrees[(handle - this.rxBuffers) >>> this.txShift].put(handle);
    this.coresDue = true;
  }

  private flushHomes(): void {
    this.rxHome.flush();
    if (!this.coresDue) return;
    this.coresDue = false;
    for (let core = 0; core < this.txFrees.length; core++) this.txFrees[core].flush();
  }
}
