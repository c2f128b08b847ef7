/** A NIC in memory whose other end are {@link Clients}. It always has packets while connections wait for their turn. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { MAX_RX_BURST } from '../../../drivers/net-device.js';
import { BURST } from '../../../src/link/bursts/tx-burst.js';
import type { BufferPlan } from '../../../src/threads/shared/buffer-plan.js';
import { MemoryNic } from '../../common/memory-nic.js';
import { STATION } from '../../pipeline/network.js';
import type { Clients } from './client.js';

export class ClientNic extends MemoryNic {
  readonly name = 'clients';
  /** The cores for which a burst of packets was received since {@link dueCount} was set to 0. */
  readonly due = new Uint8Array(MAX_RX_BURST);
  dueCount = 0;
  /** Packets of each core since its last burst. */
  private readonly received: Int32Array;

  /**
   * @param coreOf the core of each connection
   * @param separateSent whether sent buffers go to a pool of their own
   */
  constructor(
    memory: MemoryViews,
    private readonly clients: Clients,
    { buffers, rxBuffers, deviceRing, cores }: BufferPlan,
    private readonly coreOf: Uint8Array,
    separateSent: boolean,
  ) {
    super(memory, STATION.mac, { buffers, rxBuffers, ring: deviceRing, separateSent });
    this.received = new Int32Array(cores);
    for (let handle = 0; handle < rxBuffers; handle++) clients.writeTemplate(this.pool.offsetOf(handle));
  }

  rxBurst(max: number): number {
    const { rxHandles: handles, rxLengths: lengths, pool, ring, mask, clients, coreOf, received } = this;
    const count = clients.take(Math.min(max, this.fill()));
    for (let i = 0; i < count; i++) {
      const handle = ring[(this.head + i) & mask];
      const connection = clients.connectionAt(i);
      handles[i] = handle;
      lengths[i] = clients.write(pool.offsetOf(handle), connection);
      const core = coreOf[connection];
      if (++received[core] < BURST) continue;
      received[core] = 0;
      this.due[this.dueCount++] = core;
    }
    this.take(count);
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { sent, clients, pool } = this;
    for (let i = 0; i < count; i++) {
      const handle = handles[i];
      clients.receive(pool.offsetOf(handle), lengths[i]);
      sent.put(handle);
    }
    clients.endBurst();
    return count;
  }
}
