/** The way of buffers back to the thread that they belong to: collected, and handed over a burst at a time. */
import type { SpscRing } from '../../rings/spsc-ring.js';
import { BURST } from '../tx-burst.js';

export class RingReturn {
  private readonly handles = new Uint32Array(BURST);
  /** The ring's second word means nothing here. */
  private readonly unused = new Uint32Array(BURST);
  private collected = 0;

  /** @param ring of which this is the producer; has room for all buffers that can come back, so that it is never full */
  constructor(private readonly ring: SpscRing) {}

  /** Gives a buffer back: at the latest with the next {@link flush}. */
  put(handle: number): void {
    this.handles[this.collected++] = handle;
    if (this.collected === BURST) this.flush();
  }

  /** Hands over what was collected. */
  flush(): void {
    if (this.collected === 0) return;
    if (this.ring.enqueueBurst(this.handles, this.unused, 0, this.collected) !== this.collected) {
      throw new Error('a ring of returned buffers is full: some buffer was given back twice');
    }
    this.collected = 0;
  }
}
