/**
 * Fetches the cache lines that the layer will touch next, for many packets at once. The other end of the ring has
 * written or read these lines last, so each of them is hundreds of ns away. The CPU waits for several lines at the same
 * time only if the accesses lie close together in the program: docs/v8.md, "Lines of another CPU".
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { type BufferPool, bufferStart, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import type { Layer } from '../../config.js';
import { ETH_SOURCE } from '../../wire/ethernet.js';
import { BURST } from './tx-burst.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = BURST;
/** A 32-bit word of the frame that lies in the second line of a buffer and that only the layer writes. */
const SECOND_LINE = FRAME_OFFSET + ETH_SOURCE;
/** A burst of fewer packets is not worth a loop of its own. */
const FEWEST = 4;

/**
 * For the buffers that a stack takes. How many it will take until it polls again is guessed: as many as last time.
 */
export class TxFetcher {
  private taken = 0;
  private expected = 0;
  private readonly fewest: number;

  /**
   * @param pool from whose top buffers are taken
   * @param layer with `ethernet` the header belongs to the stack, and nothing is fetched
   */
  constructor(
    private readonly memory: MemoryViews,
    private readonly pool: BufferPool,
    layer: Layer,
  ) {
    this.fewest = layer === 'ip' ? FEWEST : 0x7fffffff;
  }

  /** The stack polls. */
  poll(): void {
    this.expected = this.taken;
    this.taken = 0;
  }

  /** The stack is about to take a buffer. */
  take(): void {
    const { taken } = this;
    this.taken = taken + 1;
    if ((taken & (FULL_BURST - 1)) === 0 && this.expected - taken >= this.fewest) this.fetch(this.expected - taken);
  }

  /**
   * Writes into the Ethernet header's place, so that the line with nearly all headers is ours alone before the stack
   * writes the packet. The buffers stay in the pool: if others are taken, nothing is lost but time.
   */
  private fetch(most: number): void {
    const { pool, memory } = this;
    const { stack, available } = pool;
    const { base, shift } = pool.geometry;
    const { u32 } = memory;
    const end = available - Math.min(most, FULL_BURST, available);
    for (let i = available - 1; i >= end; i--) {
      const start = base + bufferStart(stack[i], shift);
      u32[(start + SECOND_LINE) >>> 2] = 0;
    }
  }
}
