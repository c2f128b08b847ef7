/**
 * Takes the place of a stack core when only the loops and the rings are measured. It does with buffers what a core does
 * whose stack answers each request with a packet of its own, and copies one word of the packet: its ports.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { BURST } from '../../../src/link/bursts/tx-burst.js';
import type { Interconnect } from '../../../src/threads/shared/interconnect.js';
import { RingReturn } from '../../../src/threads/shared/ring-return.js';
import { ETH_HEADER_BYTES } from '../../../src/wire/ethernet.js';
import { geometryOf } from '../../common/memory-nic.js';
import { PORTS_AT } from './client.js';

export class TcpRelay {
  private readonly rxQueue;
  private readonly txQueue;
  private readonly txFree;
  private readonly received: RingReturn;
  private readonly own: BufferPool;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);

  constructor(
    interconnect: Interconnect,
    core: number,
    private readonly memory: MemoryViews,
  ) {
    const { buffers, rxBuffers, txBuffers } = interconnect.plan;
    this.rxQueue = interconnect.ring(core, 'rxQueue');
    this.txQueue = interconnect.ring(core, 'txQueue');
    this.txFree = interconnect.ring(core, 'txFree');
    this.received = new RingReturn(interconnect.ring(core, 'rxFree'));
    const first = rxBuffers + core * txBuffers;
    this.own = new BufferPool(geometryOf(buffers), first, first + txBuffers);
  }

  poll(): number {
    const { handles, lengths, own, received } = this;
    const { u32 } = this.memory;
    received.flush();
    // As a core, it takes back what was sent when it has no other buffer.
    while (own.available < BURST && this.reclaim() > 0);
    const count = this.rxQueue.dequeueBurst(handles, lengths, Math.min(BURST, own.available));
    for (let i = 0; i < count; i++) {
      const request = handles[i];
      const response = own.get();
      u32[(own.offsetOf(response) >>> 2) + PORTS_AT] = u32[(own.offsetOf(request) >>> 2) + PORTS_AT];
      received.put(request);
      handles[i] = response;
      lengths[i] += ETH_HEADER_BYTES;
    }
    this.txQueue.enqueueBurst(handles, lengths, 0, count);
    return count;
  }

  private reclaim(): number {
    const { handles, own } = this;
    const count = this.txFree.dequeueBurst(handles, this.lengths, BURST);
    for (let i = 0; i < count; i++) own.put(handles[i]);
    return count;
  }
}
