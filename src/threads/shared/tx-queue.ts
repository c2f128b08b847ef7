/** A `tx_queue` as the place where a {@link TxBurst} goes: the thread that sends takes the frames from there. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { PacketTable } from '../../../rings/packet-table.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import type { BufferReturn, FrameSink } from '../../link/lower-layer.js';
import type { Doorbell } from './doorbell.js';

export class TxQueue implements FrameSink {
  /** While the link is down, the thread that sends drops the frames and counts them. */
  readonly isUp = true;
  /** How many buffers the packets had until now beyond their first ones, modulo 2^32. */
  moreBuffers = 0;

  /**
   * @param sender the doorbell of the thread that sends
   * @param hasOffloads whether packets can lie in several buffers
   */
  constructor(
    readonly memory: MemoryViews,
    readonly pool: BufferReturn,
    readonly table: PacketTable,
    private readonly ring: SpscRing,
    private readonly sender: Doorbell,
    private readonly hasOffloads = false,
  ) {}

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    // Before the thread that sends can have them, because their entries change then.
    const buffers = this.hasOffloads ? this.table.partsOf(handles, 0, count) : count;
    const taken = this.ring.enqueueBurst(handles, lengths, 0, count);
    if (buffers !== count) {
      const left = taken === count ? 0 : this.table.partsOf(handles, taken, count);
      this.moreBuffers = (this.moreBuffers + buffers - left - taken) | 0;
    }
    this.sender.ring();
    return taken;
  }
}
