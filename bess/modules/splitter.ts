/** The base of the modules that choose an output gate for each packet: sends the parts of a batch to their gates. */
import { MAX_BURST } from '../../drivers/virtio/device/packet-burst.js';
import { Batch } from './batch.js';
import { MAX_GATES, Module } from './module.js';

export abstract class Splitter extends Module {
  override readonly outputGates = MAX_GATES;
  /** The gate of each packet of the batch, in the order of the batch. */
  protected readonly gateOf = new Uint16Array(MAX_BURST);
  /** 1: {@link split} has sent this packet of the batch. */
  private readonly done = new Uint8Array(MAX_BURST);
  /** The packets that {@link split} sends to one gate. */
  private readonly part = new Batch();

  /** Sends a batch to one gate. */
  protected send(gate: number, batch: Batch): void {
    this.emit(gate, batch);
  }

  /**
   * Sends one batch to each gate. Gates come in the order of their first packets; packets of a gate keep their order.
   */
  protected split(batch: Batch): void {
    const { gateOf, done, part } = this;
    const { indices, count } = batch;
    for (let i = 0; i < count; i++) done[i] = 0;
    for (let i = 0; i < count; i++) {
      if (done[i] !== 0) continue;
      const gate = gateOf[i];
      part.beginLike(batch);
      for (let j = i; j < count; j++) {
        if (gateOf[j] !== gate) continue;
        done[j] = 1;
        part.add(indices[j]);
      }
      this.send(gate, part);
    }
  }
}
