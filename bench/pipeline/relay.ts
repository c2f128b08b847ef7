/**
 * What stands for a core where only the rings and the loops that fill and drain them are looked at: passes on what comes,
 * unread. Many real cores on one thread would push each other's packet objects out of the cache, which on threads of their
 * own they cannot.
 */

import { BURST } from '../../src/link/tx-burst.js';
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
    // There is always room: of all buffers that receive, a pass has few on their way.
    this.txQueue.enqueueBurst(handles, lengths, 0, count);
    return count;
  }
}
