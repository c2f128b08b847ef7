/** The way of buffers back to the thread that they belong to: collected in the ring, and handed over a burst at a time. */
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { OwnershipError } from '../../errors.js';
import { BURST } from '../../link/tx-burst.js';

/** The ring's second value means nothing here. */
const UNUSED = 0;
/** The fan's only ring. */
const RING = 0;

export class RingReturn {
  private readonly out: SpscFanOut;
  private readonly capacity: number;

  /** @param ring of which this is the producer; has room for all buffers that can come back, so that it is never full */
  constructor(ring: SpscRing) {
    this.out = new SpscFanOut([ring]);
    this.capacity = ring.capacity;
  }

  /** Gives a buffer back: at the latest with the next {@link flush}. */
  put(handle: number): void {
    let waiting = this.out.stage(RING, handle, UNUSED);
    if (waiting === 0) waiting = this.putLate(handle);
    if (waiting === BURST) this.flush();
  }

  /** How many were given back until now, in 32 bits. */
  get produced(): number {
    return this.out.produced(RING);
  }

  /** Hands over what was collected. */
  flush(): void {
    this.out.publish(RING);
  }

  /** There was no room when the ring was last looked at: looks again. */
  private putLate(handle: number): number {
    if (this.out.allow(RING, this.capacity) > 0) return this.out.stage(RING, handle, UNUSED);
    throw new OwnershipError('a ring of returned buffers is full: some buffer was given back twice');
  }
}
