/**
 * The `rx_queue`s of all cores, as the Rx worker fills them. A packet is staged in the ring of its core and published
 * with others: to publish costs an atomic store and the cache lines of the core, some 25 ns, however many packets it
 * is.
 *
 * A core whose queue is full, or that has its share of the receive buffers, loses its own packets, and each is counted.
 * No other core loses anything for it.
 */
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import { L2, type L2Counters } from '../../counters.js';
import { BURST } from '../../link/bursts/tx-burst.js';
import { type CapturePoint, NO_CAPTURE } from '../../link/capture-point.js';
import type { Doorbell } from '../shared/doorbell.js';
import type { Interconnect } from '../shared/interconnect.js';
import type { RxBuffers } from './rx-buffers.js';

/** Most bursts that a poll reads from the device before it publishes. */
export const MAX_BURSTS = 4;
/**
 * While the device keeps returning full bursts, packets for a core are held back until eight are staged, and at most
 * for four polls. As soon as the device returns less than a burst, everything is published.
 */
const WORTH_PUBLISHING = 8;
const MAX_POLLS_HELD_BACK = 4;

// V8 folds local constants: docs/v8.md, "Local constants".
const RX_DELIVERED = L2.rx_delivered;

export class CoreQueues {
  /** The rings of all cores. The Rx loop stages packets in them, and calls the methods below for the special cases. */
  readonly rings: SpscFanOut;
  /** Whether a core has got a whole burst since {@link endPoll}. */
  hasFullBurst = false;

  private readonly doorbells: readonly Doorbell[];
  /** Most receive buffers that a core may have. */
  private readonly share: number;
  /** What is counted for the cores, and where the counters of each core begin. */
  private readonly values: Float64Array;
  private readonly valuesAt: Int32Array;
  /**
   * The cores for which packets are staged. A core that got a burst of its own meanwhile is listed twice, which does no
   * harm: the device must have returned nearly a burst for it in between, so there are at most {@link MAX_BURSTS} such
   * entries.
   */
  private readonly staged: Uint8Array;
  private stagedCount = 0;
  /** Polls since all staged packets were published. */
  private pollsHeldBack = 0;
  /** For each core: the buffers of its staged packets beyond their first ones. */
  private readonly moreStaged: Int32Array;
  /** Cores whose room was computed again in this poll: {@link stageLate}. */
  private readonly isRechecked: Uint8Array;
  private someRechecked = false;

  /**
   * @param counters one block per core, all in one buffer: what was delivered, and what was dropped
   * @param capture sees the packets that are dropped
   * @param before bytes of a frame before what is queued: those of its Ethernet header, or none
   */
  constructor(
    interconnect: Interconnect,
    private readonly buffers: RxBuffers,
    counters: readonly L2Counters[],
    private readonly capture: CapturePoint = NO_CAPTURE,
    private readonly before = 0,
  ) {
    const { cores, rxShare } = interconnect.plan;
    this.rings = new SpscFanOut(interconnect.rings('rxQueue'));
    this.doorbells = Array.from({ length: cores }, (_, core) => interconnect.coreDoorbell(core));
    this.share = rxShare;
    const blocks = counters.map((block) => block.share());
    if (blocks.some(({ buffer }) => buffer !== blocks[0].buffer)) {
      throw new RangeError('counters of the cores in several buffers');
    }
    this.values = new Float64Array(blocks[0].buffer);
    this.valuesAt = Int32Array.from(blocks, ({ byteOffset }) => byteOffset / 8);
    this.staged = new Uint8Array(cores + MAX_BURSTS);
    this.moreStaged = new Int32Array(cores);
    this.isRechecked = new Uint8Array(cores);
  }

  /** To be called before the first packet of a poll. */
  beginPoll(): void {
    if (!this.someRechecked) return;
    this.isRechecked.fill(0);
    this.someRechecked = false;
  }

  /** To be called when the first packet for `core` was staged. It is published by {@link endPoll}. */
  noteStaged(core: number): void {
    this.staged[this.stagedCount++] = core;
  }

  /** To be called when a whole burst is staged for `core`: publishes it. */
  publishBurst(core: number): void {
    this.publish(core);
    this.hasFullBurst = true;
  }

  /** To be called after the last packet of a poll. @param isMore whether the device has more packets */
  endPoll(isMore: boolean): void {
    this.publishFrom(isMore && this.pollsHeldBack + 1 < MAX_POLLS_HELD_BACK ? WORTH_PUBLISHING : 0);
  }

  /** Publishes all packets that are held back. */
  publishAll(): void {
    this.publishFrom(0);
  }

  /**
   * The stack of `core` has failed: the buffers that it was given come back, and it gets no more packets.
   * @param inFlight for each buffer, whether the Tx loop has it (1): such a buffer comes back by itself. Nothing may be
   * left in the `tx_queue` of the core.
   */
  retire(core: number, inFlight: Uint8Array): void {
    this.publishAll();
    this.rings.allow(core, 0);
    this.count(core, L2.rx_lost_core_gone, this.rings.count(core));
    this.buffers.retire(core, inFlight);
  }

  /**
   * The core had no room when it was last computed: computes it again, but once per poll, which bounds what a core at
   * its limit costs the others. Drops the packet if there is no room.
   * @returns as {@link SpscFanOut.stage}
   */
  stageLate(core: number, handle: number, length: number): number {
    const isGone = this.buffers.isGone[core] !== 0;
    if (!isGone && this.recheck(core) && this.rings.allow(core, this.roomOf(core)) > 0) {
      return this.rings.stage(core, handle, length);
    }
    const hasShare = this.roomLeft(core) <= 0;
    const full = hasShare ? L2.rx_drop_core_share : L2.rx_drop_queue_full;
    return this.drop(core, handle, length, isGone ? L2.rx_drop_core_gone : full);
  }

  /**
   * Stages a packet that lies in several buffers, if the core may have all of them. Otherwise drops it.
   * @returns as {@link SpscFanOut.stage}
   */
  stageChain(core: number, handle: number, length: number): number {
    const { rings, buffers } = this;
    if (buffers.isGone[core] !== 0) return this.drop(core, handle, length, L2.rx_drop_core_gone);
    const parts = buffers.table.parts(handle);
    let room = this.roomLeft(core);
    if (room < parts && this.recheck(core)) room = this.roomOf(core);
    if (room < parts) return this.drop(core, handle, length, L2.rx_drop_core_share);
    if (rings.allow(core, room) === 0) return this.drop(core, handle, length, L2.rx_drop_queue_full);
    const staged = rings.stage(core, handle, length);
    this.moreStaged[core] += parts - 1;
    // The ring counts packets, and its limit is to keep the buffers within the share.
    rings.allow(core, room - parts);
    return staged;
  }

  /** Whether the room of the core may be computed again in this poll. True once. */
  private recheck(core: number): boolean {
    if (this.isRechecked[core] !== 0) return false;
    this.isRechecked[core] = 1;
    this.someRechecked = true;
    return true;
  }

  private drop(core: number, handle: number, length: number, counter: number): number {
    this.count(core, counter, 1);
    if (this.capture.wantsDrops) this.capture.droppedIn(handle, this.before + length, counter);
    this.buffers.drop(handle);
    return 0;
  }

  /** How many more receive buffers the core may have, as far as this thread knows. */
  private roomLeft(core: number): number {
    return this.share - this.rings.waiting(core) - this.moreStaged[core] - this.buffers.held[core];
  }

  /**
   * How many more receive buffers the core may have. A core that keeps its buffers does not take those of the others.
   */
  private roomOf(core: number): number {
    if (this.roomLeft(core) < BURST) {
      this.buffers.collectFrom(core);
      // A core that sleeps hands over what it released when it wakes. Over its share it gets no packets, so nothing
      // else would wake it.
      if (this.roomLeft(core) < BURST) this.doorbells[core].ring();
    }
    return Math.max(0, this.roomLeft(core));
  }

  /** Publishes for the cores that have at least `least` packets staged. */
  private publishFrom(least: number): void {
    const { staged, stagedCount, rings } = this;
    let kept = 0;
    for (let i = 0; i < stagedCount; i++) {
      const core = staged[i];
      if (rings.waiting(core) >= least) this.publish(core);
      else staged[kept++] = core;
    }
    this.stagedCount = kept;
    this.pollsHeldBack = kept === 0 ? 0 : this.pollsHeldBack + 1;
    this.hasFullBurst = false;
  }

  /** Publishes what is staged for a core, if there is anything. */
  private publish(core: number): void {
    const count = this.rings.publish(core);
    if (count === 0) return;
    // A buffer that the core has given back already still counts as the core's until this thread takes it from the
    // ring.
    this.buffers.held[core] += count + this.moreStaged[core];
    this.moreStaged[core] = 0;
    this.count(core, RX_DELIVERED, count);
    this.doorbells[core].ring();
  }

  private count(core: number, counter: number, count: number): void {
    this.values[this.valuesAt[core] + counter] += count;
  }
}
