/** The way of buffers back to the thread that they belong to: collected in a ring, and published a burst at a time. */
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { OwnershipError } from '../../errors.js';
import { BURST } from '../../link/bursts/tx-burst.js';

/** The second value of a ring's slot means nothing here. */
const UNUSED = 0;
/** The only ring of the fan-out. */
const RING = 0;

export class RingReturn {
  private readonly out: SpscFanOut;
  private readonly capacity: number;

  /** @param ring of which this is the producer. It has room for all buffers that can come back, so it is never full */
  constructor(ring: SpscRing) {
    this.out = new SpscFanOut([ring]);
    this.capacity = ring.capacity;
  }

  /** Gives a buffer back, with the next {@link flush} at the latest. */
  put(handle: number): void {
    let waiting = this.out.stage(RING, handle, UNUSED);
    if (waiting === 0) waiting = this.putLate(handle);
    if (waiting === BURST) this.flush();
  }

  /** How many buffers were given back until now, modulo 2^32. */
  get produced(): number {
    return this.out.produced(RING);
  }

  /** Publishes what was collected. */
  flush(): void {
    this.out.publish(RING);
  }

  /** The ring had no room when this thread last looked at it: looks again. */
  private putLate(handle: number): number {
    if (this.out.allow(RING, this.capacity) > 0) return this.out.stage(RING, handle, UNUSED);
    throw new OwnershipError('a ring of returned buffers is full: some buffer was given back twice');
  }
}
