/**
 * The seed's `tx_main_loop`: takes packets from the `tx_queue`s of the cores, one core after the other and at most one
 * burst of each per round, and sends them. Buffers that were sent go back to the thread that they belong to.
 *
 * A core that sends without end gets its burst per round, as every other core: its own queue fills, and no other.
 */
import { type BufferPool, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, type HandleReturn, LAST, NEXT, type PacketTable } from '../../../rings/packet-table.js';
import { SpscFanIn } from '../../../rings/spsc-fan-in.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { L2, type L2Counters } from '../../counters.js';
import { type CapturePoint, NO_CAPTURE } from '../../link/capture-point.js';
import { MAX_CORE_BURST } from '../shared/buffer-plan.js';
import type { Interconnect } from '../shared/interconnect.js';
import { RingReturn } from '../shared/ring-return.js';

/** A device, or the transmit queue of a device that another thread has. */
export interface TxDevice {
  readonly isUp: boolean;
  /** Where the device puts the buffers that it has sent. This loop empties it. */
  readonly sent: BufferPool;
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
  reclaimTx(): void;
}

/** Where the buffers of the Rx worker go back to: its own pool, or the ring to it. */
export interface RxReturn {
  put(handle: number): void;
  flush(): void;
}

/** Frames that are collected before the device gets them: room for the longest burst of one core. */
const BATCH = MAX_CORE_BURST;

// V8 folds local constants: docs/v8.md, "Local constants".
const NONE_LEFT = NO_BUFFER;
const ENTRY = ENTRY_SHIFT;
const SEVERAL = CHAIN;
const NEXT_AT = NEXT;
const NO_PART = LAST;

export class TxMainLoop implements HandleReturn {
  /** One round: sends what is queued, at most one burst of each queue. Returns how many frames the device took. */
  readonly poll: () => number;
  private readonly queues: SpscFanIn;
  /** The queue whose turn is next. */
  private turn = 0;
  /** Frames that the device has not taken yet: the first {@link pending} ones. */
  private readonly handles = new Uint32Array(BATCH);
  private readonly lengths = new Uint32Array(BATCH);
  private pending = 0;
  /** How many of them captures have seen already. */
  private seen = 0;
  /** Buffers of the packets that this loop or the device has. */
  private out = 0;
  /** For each buffer of the Rx worker: 1 from the tx_queue on until it is sent. */
  private readonly inFlight: Uint8Array;
  private readonly rxBuffers: number;
  private readonly txShift: number;
  /**
   * The rings by which the cores get their own buffers back, and whether something was put into one since the last
   * flush.
   */
  private readonly txFrees: RingReturn[];
  private isCoreDue = false;
  private readonly values: Float64Array;

  /**
   * @param queues the tx_queues of the cores, and that of the Rx worker
   * @param coreBurst most packets of a queue per round, at most {@link MAX_CORE_BURST}
   * @param table of a device with offloads, whose packets may lie in several buffers; null for any other
   * @param capture sees the frames that the device gets
   */
  constructor(
    private readonly device: TxDevice,
    interconnect: Interconnect,
    queues: readonly SpscRing[],
    private readonly rxReturn: RxReturn,
    private readonly coreBurst: number,
    counters: L2Counters,
    private readonly table: PacketTable | null = null,
    private readonly capture: CapturePoint = NO_CAPTURE,
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

  /** Whether buffers are to come back. The device may be done with them soon, and no interrupt tells of that. */
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
   * @returns for each buffer of the Rx worker, whether it is still to be sent (1). Such a buffer comes back by itself.
   */
  retire(core: number): Uint8Array {
    this.discard(core, L2.tx_lost_core_gone);
    this.flushReturns();
    return this.inFlight.slice();
  }

  /**
   * The end, after the end of the cores: sends what they have queued. What the device does not take is dropped and
   * counted.
   */
  drain(): void {
    const { queues } = this;
    let left = this.pending;
    for (let i = 0; i < queues.length; i++) left += queues.count(i);
    // No more than what is queued now, because the Rx worker may go on answering ARP.
    for (let taken = 1; left > 0 && taken > 0; left -= taken) taken = this.poll();
    for (let i = 0; i < queues.length; i++) this.discard(i, L2.tx_lost_link_down);
    this.values[L2.tx_lost_link_down] += this.pending;
    this.dropFrom(0);
  }

  /** Closures: docs/v8.md, "Bursts as closures". */
  private makePoll(): () => number {
    const { device, queues, handles, lengths, coreBurst, inFlight, rxBuffers, rxReturn, table } = this;
    const { sent } = device;

    /** Notes the buffers beyond the first ones of the packets from place `from` to `end`. */
    const noteParts = ({ words }: PacketTable, from: number, end: number): void => {
      for (let i = from; i < end; i++) {
        if ((words[handles[i] << ENTRY] & SEVERAL) === 0) continue;
        let part = words[(handles[i] << ENTRY) + NEXT_AT];
        for (; part !== NO_PART; part = words[(part << ENTRY) + NEXT_AT]) {
          this.out++;
          if (part < rxBuffers) inFlight[part] = 1;
        }
      }
    };

    /** Takes a burst of each queue, as long as there is room for a burst. */
    const gather = (): void => {
      let { turn, pending } = this;
      for (let left = queues.length; left > 0 && pending + coreBurst <= BATCH; left--) {
        if (!queues.looksEmpty(turn)) {
          const end = pending + queues.dequeueBurst(turn, handles, lengths, coreBurst, pending);
          this.out += end - pending;
          if (table !== null) noteParts(table, pending, end);
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

    /** Gives back the buffers that the device has sent. */
    const returnSent = (): void => {
      if (sent.available === 0) return;
      this.out -= sent.available;
      for (let handle = sent.get(); handle !== NONE_LEFT; handle = sent.get()) {
        if (handle < rxBuffers) {
          inFlight[handle] = 0;
          rxReturn.put(handle);
        } else {
          this.giveToCore(handle);
        }
      }
      this.flushReturns();
    };

    return () => {
      gather();
      // At each poll, even if the device has room: a buffer that was sent still counts against the share of its core.
      device.reclaimTx();
      const taken = this.pending === 0 ? 0 : this.send();
      returnSent();
      return taken;
    };
  }

  /** Hands the collected frames to the device. Drops what the device does not take if the link is down. */
  private send(): number {
    const { device, handles, lengths, pending } = this;
    const { capture } = this;
    // Before the device has them, because it may give their buffers back at once. Frames that are dropped with the link
    // were never sent.
    if (capture.isOn && device.isUp) {
      capture.sent(handles, lengths, this.seen, pending);
      this.seen = pending;
    }
    const taken = device.txBurst(handles, lengths, pending);
    const left = pending - taken;
    this.values[L2.tx_handed] += taken;
    if (left > 0 && !device.isUp) {
      // Otherwise they would be sent when the link comes back, perhaps minutes late.
      this.values[L2.tx_lost_link_down] += left;
      this.dropFrom(taken);
      return taken;
    }
    this.pending = left;
    if (this.seen > 0) this.seen = left;
    if (left === 0) return taken;
    if (taken > 0) {
      handles.copyWithin(0, taken, pending);
      lengths.copyWithin(0, taken, pending);
    }
    return taken;
  }

  private discard(queue: number, reason: number): void {
    const handles = new Uint32Array(BATCH);
    const lengths = new Uint32Array(BATCH);
    for (let count = BATCH; count === BATCH; ) {
      count = this.queues.dequeueBurst(queue, handles, lengths, BATCH);
      this.values[reason] += count;
      const { capture } = this;
      if (capture.wantsDrops) for (let i = 0; i < count; i++) capture.droppedOut(handles[i], lengths[i], reason);
      for (let i = 0; i < count; i++) this.giveBack(handles[i]);
    }
  }

  /** Gives back the collected packets from place `from` on. */
  private dropFrom(from: number): void {
    const { capture, handles, lengths, pending } = this;
    if (capture.wantsDrops)
      for (let i = from; i < pending; i++) capture.droppedOut(handles[i], lengths[i], L2.tx_lost_link_down);
    for (let i = from; i < pending; i++) this.out -= this.giveBack(handles[i]);
    this.pending = this.seen = 0;
    this.flushReturns();
  }

  /** Gives back all buffers of a packet. Returns how many they were. */
  private giveBack(handle: number): number {
    if (this.table !== null) return this.table.free(handle, this);
    this.put(handle);
    return 1;
  }

  /** Gives back a buffer, with the next flush. */
  put(handle: number): void {
    if (handle < this.rxBuffers) {
      this.inFlight[handle] = 0;
      this.rxReturn.put(handle);
    } else {
      this.giveToCore(handle);
    }
  }

  private giveToCore(handle: number): void {
    this.txFrees[(handle - this.rxBuffers) >>> this.txShift].put(handle);
    this.isCoreDue = true;
  }

  private flushReturns(): void {
    this.rxReturn.flush();
    if (!this.isCoreDue) return;
    this.isCoreDue = false;
    for (let core = 0; core < this.txFrees.length; core++) this.txFrees[core].flush();
  }
}
