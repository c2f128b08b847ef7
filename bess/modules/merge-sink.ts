/** Merge joins many gates into one; Sink discards packets (BESS: merge.cc, sink.cc). */
import type { Batch } from './batch.js';
import { MAX_GATES, Module } from './module.js';

/** Sends packets from all input gates to output gate 0. */
export class Merge extends Module {
  override readonly className = 'Merge';
  override readonly inputGates = MAX_GATES;

  override process(batch: Batch): void {
    this.emit(0, batch);
  }
}

/** Discards all packets. */
export class Sink extends Module {
  override readonly className = 'Sink';
  override readonly outputGates = 0;
  /** Packets that this module discarded. */
  discarded = 0;

  override process(batch: Batch): void {
    this.discarded += batch.count;
    if (this.capture.wantsDrops) this.capture.droppedBy(this, batch);
  }
}
