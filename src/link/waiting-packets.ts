/**
 * Received packets that wait for the stack, first in, first out: handles and lengths from {@link head} to {@link tail}. A
 * core receives a burst when less than one waits, so there is room for two. Fields and arrays are open to the loops that
 * fill and empty it: V8 then compiles a packet in or out to a handful of instructions.
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

  /** Moves what waits to the front, where at least a burst of room is behind it. Returns where the next goes: {@link tail}. */
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
