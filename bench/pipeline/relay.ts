/**
 * Takes the place of a core when only the rings and their loops are measured: it passes packets on without reading
 * them. Many real cores on one thread would push each other's packet objects out of the cache, which does not happen on
 * separate threads.
 */

import { BURST } from '../../src/link/bursts/tx-burst.js';
import type { Interconnect } from '../../src/threads/shared/interconnect.js';
import { ETH_HEADER_BYTES } from '../../src/wire/ethernet.js';

export class Relay {
  private readonly rxQueue;
  private readonly txQueue;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);

  constructor(interconnect: Interconnect, core: number) {
    this.rxQueue = interconnect.ring(core, 'rxQueue');
    this.txQueue = interconnect.ring(core, 'txQueue');
  }

  poll(): number {
    const { handles, lengths } = this;
    const count = this.rxQueue.dequeueBurst(handles, lengths, BURST);
    for (let i = 0; i < count; i++) lengths[i] += ETH_HEADER_BYTES;
    // There is always room, because only few buffers are under way.
    this.txQueue.enqueueBurst(handles, lengths, 0, count);
    return count;
  }
}
