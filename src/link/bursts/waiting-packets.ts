/**
 * Received packets that wait for the stack, first in, first out: handles and lengths from {@link head} to {@link tail}.
 * A core receives a burst when less than a burst waits, so there is room for two. Fields and arrays are public for the
 * loops that fill and empty it: docs/v8.md, "Inlining budget".
 */
import { BURST } from './tx-burst.js';

export class WaitingPackets {
  readonly handles = new Uint32Array(2 * BURST);
  /** Bytes of the packet, or of the frame with layer `ethernet`. */
  readonly lengths = new Uint32Array(2 * BURST);
  head = 0;
  tail = 0;

  get count(): number {
    return this.tail - this.head;
  }

  /** Moves the packets to the front, so that there is room for a burst behind them. Returns {@link tail}. */
  makeRoom(): number {
    const { head, tail } = this;
    if (head !== tail) {
      this.handles.copyWithin(0, head, tail);
      this.lengths.copyWithin(0, head, tail);
    }
    this.head = 0;
    this.tail = tail - head;
    return this.tail;
  }
}
