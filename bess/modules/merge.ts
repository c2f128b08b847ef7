/** The modules that do nothing to a packet: Merge (many gates into one) and Sink (BESS: merge.cc, sink.cc). */
import type { Batch } from './batch.js';
import { MAX_GATES, Module } from './module.js';

/** All input gates leave by output gate 0. */
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
  /** Packets that ended here. */
  discarded = 0;

  override process(batch: Batch): void {
    this.discarded += batch.count;
  }
}
