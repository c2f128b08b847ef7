/**
 * A NIC in memory whose other end are {@link Clients}. As `bench/pipeline/endless-nic.ts`, it uses its receive ring in
 * order, and what is sent leaves immediately. It always has packets while connections wait for their turn.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../../drivers/net-device.js';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { PacketTable } from '../../../rings/packet-table.js';
import { BURST } from '../../../src/link/bursts/tx-burst.js';
import type { BufferPlan } from '../../../src/threads/shared/buffer-plan.js';
import { geometryOf } from '../../pipeline/endless-nic.js';
import { STATION } from '../../pipeline/network.js';
import type { Clients } from './client.js';

export class ClientNic implements NetDevice {
  readonly name = 'clients';
  readonly notice = '';
  readonly mtu = 1500;
  readonly isUp = true;
  readonly pollOnly = false;
  readonly mac = STATION.mac;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  readonly offloads = 0;
  onWake = null;
  onLink = null;
  onAnnounce = null;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  /** The cores for which a burst of packets was received since {@link dueCount} was set to 0. */
  readonly due = new Uint8Array(MAX_RX_BURST);
  dueCount = 0;
  private readonly ring: Uint32Array;
  private readonly mask: number;
  private head = 0;
  private filled = 0;
  /** Packets of each core since its last burst. */
  private readonly received: Int32Array;

  /**
   * @param coreOf the core of each connection
   * @param separateSent whether sent buffers go to a pool of their own
   */
  constructor(
    readonly memory: MemoryViews,
    private readonly clients: Clients,
    { buffers, rxBuffers, deviceRing, cores }: BufferPlan,
    private readonly coreOf: Uint8Array,
    separateSent: boolean,
  ) {
    const geometry = geometryOf(buffers);
    this.table = new PacketTable(geometry.count);
    this.pool = new BufferPool(geometry, 0, rxBuffers);
    this.sent = separateSent ? new BufferPool(geometry, 0, 0) : this.pool;
    this.ring = new Uint32Array(deviceRing);
    this.mask = deviceRing - 1;
    this.received = new Int32Array(cores);
    for (let handle = 0; handle < rxBuffers; handle++) clients.writeTemplate(this.pool.offsetOf(handle));
  }

  rxBurst(max: number): number {
    const { rxHandles: handles, rxLengths: lengths, pool, ring, mask, clients, coreOf, received } = this;
    while (this.filled <= mask && pool.available > 0) ring[(this.head + this.filled++) & mask] = pool.get();
    const count = clients.take(Math.min(max, this.filled));
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
    this.head = (this.head + count) & mask;
    this.filled -= count;
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

  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    return false;
  }

  disableRxInterrupt(): void {}

  counters(): DeviceCounters {
    return {};
  }

  async close(): Promise<void> {}
}
