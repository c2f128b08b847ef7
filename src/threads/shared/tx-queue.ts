/** A `tx_queue` as the place where a {@link TxBurst} goes: the thread that sends takes the frames from there. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { PacketTable } from '../../../rings/packet-table.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import type { BufferReturn, FrameSink } from '../../link/lower-layer.js';
import type { Doorbell } from './doorbell.js';

export class TxQueue implements FrameSink {
  /** While the link is down, the thread that sends drops the frames and counts them. */
  readonly isUp = true;

  /** @param sender the doorbell of the thread that sends */
  constructor(
    readonly memory: MemoryViews,
    readonly pool: BufferReturn,
    readonly table: PacketTable,
    private readonly ring: SpscRing,
    private readonly sender: Doorbell,
  ) {}

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const taken = this.ring.enqueueBurst(handles, lengths, 0, count);
    this.sender.ring();
    return taken;
  }
}
