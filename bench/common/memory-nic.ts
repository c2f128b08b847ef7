/**
 * A NIC in memory whose other end is the benchmark. It has a receive ring that is used in order, as that of a driver, so
 * that buffers are as warm in the cache as with a real NIC. Packets that are sent leave immediately.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../drivers/net-device.js';
import { BufferPool } from '../../rings/buffer-pool.js';
import { PacketTable } from '../../rings/packet-table.js';

const SHIFT = 11;

/** Returns the bytes of memory for a number of buffers. */
export const memoryBytes = (buffers: number): number => buffers << SHIFT;

export const geometryOf = (buffers: number) => ({ count: buffers, shift: SHIFT, base: 0 });

export function viewsOf(buffer: SharedArrayBuffer): MemoryViews {
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

export interface MemoryNicOptions {
  readonly buffers: number;
  /** Number of buffers for receiving, the first ones. The others belong to the cores. */
  readonly rxBuffers: number;
  /** Length of the receive ring, a power of two. */
  readonly ring: number;
  /** Whether sent buffers go to a pool of their own. */
  readonly separateSent: boolean;
}

export abstract class MemoryNic implements NetDevice {
  abstract readonly name: string;
  readonly notice = '';
  readonly mtu = 1500;
  readonly isUp = true;
  readonly pollOnly = false;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  readonly offloads = 0;
  onWake = null;
  onLink = null;
  onAnnounce = null;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  /** Place `i` from {@link head} is at `(head + i) & mask`. */
  protected readonly ring: Uint32Array;
  protected readonly mask: number;
  protected head = 0;
  /** Number of buffers in the ring. */
  protected filled = 0;

  constructor(
    readonly memory: MemoryViews,
    readonly mac: Uint8Array,
    { buffers, rxBuffers, ring, separateSent }: MemoryNicOptions,
  ) {
    const geometry = geometryOf(buffers);
    this.table = new PacketTable(geometry.count);
    this.pool = new BufferPool(geometry, 0, rxBuffers);
    this.sent = separateSent ? new BufferPool(geometry, 0, 0) : this.pool;
    this.ring = new Uint32Array(ring);
    this.mask = ring - 1;
  }

  abstract rxBurst(max: number): number;
  abstract txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;

  /** Refills the ring. Returns how many buffers it has. */
  protected fill(): number {
    const { pool, ring, mask } = this;
    while (this.filled <= mask && pool.available > 0) ring[(this.head + this.filled++) & mask] = pool.get();
    return this.filled;
  }

  /** Takes buffers from the head of the ring. */
  protected take(count: number): void {
    this.head = (this.head + count) & this.mask;
    this.filled -= count;
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
