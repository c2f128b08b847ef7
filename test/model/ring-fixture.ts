/** The configuration of a ring under test, the memory that its two ends share, and the places in that memory. */
import fc from 'fast-check';
import { closeFile, eventfd } from '../../drivers/libc/index.js';
import { PacketMemory } from '../../drivers/memory/index.js';
import { makeQueueCounters } from '../../drivers/virtio/device/queue-counters.js';
import type { GuestMemory, RingOptions, RingPlace } from '../../drivers/virtio/device/ring.js';
import { allocateIndirect, indirectBytes } from '../../drivers/virtio/driver/chains/indirect-tables.js';
import type { ChainMemory } from '../../drivers/virtio/driver/queue-tables.js';
import type { QueueLayout } from '../../drivers/virtio/transport.js';
import type { BufferGeometry } from '../../rings/buffer-pool.js';
import { PacketTable } from '../../rings/packet-table.js';
import { MODEL_IOVA_BASE } from '../support/virtio/device-model.js';
import type { Rules, Wish } from './virtqueue.js';

/** Whose code plays a side: the product's, or the plain ends that were written only from the specification. */
export type Player = 'ours' | 'plain';

export interface Config {
  readonly driver: Player;
  readonly device: Player;
  readonly packed: boolean;
  readonly size: number;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
  readonly mergeable: boolean;
  /** Buffers that the driver has besides those that a full ring holds. */
  readonly spare: number;
  /**
   * Of our driver, transmit: its queue without offloads, which sends packets in one buffer; or its queue with offloads,
   * whose packets lie in up to two buffers, described by chains or by indirect tables.
   */
  readonly parts: 'one' | 'chains' | 'tables';
}

const MAX_SIZE = 256;
const SHIFT = 11;
/** Most buffers of a packet. */
export const MAX_PARTS = 2;
const MAX_BUFFERS = MAX_PARTS * 2 * MAX_SIZE;
const TABLE_BYTES = indirectBytes(MAX_SIZE);
const RING_BYTES = 16 * MAX_SIZE + 4096 * 2;

/** Rings of all sizes from 2 to 256, small ones more often: they wrap and fill soon. */
export function configs(driver: Player, device: Player): fc.Arbitrary<Config> {
  const shared = { driver: fc.constant(driver), device: fc.constant(device), eventIdx: fc.boolean() };
  const more = {
    mergeable: fc.boolean(),
    spare: fc.constantFrom(0, 1, 3, 8, 100),
    parts: fc.constantFrom('one' as const, 'chains' as const, 'tables' as const),
  };
  const split = fc.record<Config>({
    ...shared,
    ...more,
    packed: fc.constant(false),
    size: fc.constantFrom(2, 4, 4, 8, 8, 16, 64, 256),
    inOrder: fc.constant(false),
  });
  const packed = fc.record<Config>({
    ...shared,
    ...more,
    packed: fc.constant(true),
    size: fc.oneof(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: MAX_SIZE })),
    // The backend does not offer IN_ORDER, but uses buffers in order all the same: the driver may be told so.
    inOrder: fc.boolean(),
  });
  return fc.oneof(split, packed);
}

export function rulesOf({ size, inOrder, eventIdx, packed }: Config): Rules {
  return { size, inOrder, eventIdx, period: packed ? 2 * size : 0x1_0000 };
}

/**
 * What zeroed areas say that a side wants: all; with EVENT_IDX in a split ring only the first entry (2.7.10, 2.8.10).
 */
export function zeroedWish({ packed, eventIdx }: Config): Wish {
  return eventIdx && !packed ? { at: 0 } : 'always';
}

/**
 * A memory with one ring and buffers, used again by each run. What one run leaves there must not matter to the next.
 */
export class RingFixture implements GuestMemory {
  readonly memory: PacketMemory;
  readonly geometry: BufferGeometry;
  readonly callFd = eventfd();
  /** What is known of the packets in the buffers, and where the indirect tables are. */
  readonly table = new PacketTable(MAX_BUFFERS);
  readonly chains: ChainMemory;
  private readonly ring: number;

  constructor() {
    this.memory = PacketMemory.create(RING_BYTES + TABLE_BYTES + (MAX_BUFFERS << SHIFT), 'never');
    this.ring = this.memory.allocate(RING_BYTES, 4096);
    const base = this.memory.allocate(MAX_BUFFERS << SHIFT, 1 << SHIFT);
    this.geometry = { count: MAX_BUFFERS, shift: SHIFT, base };
    this.chains = allocateIndirect(this.memory, MAX_SIZE, this.table);
  }

  /** Addresses of the driver are offsets from {@link MODEL_IOVA_BASE}. */
  translate(low: number, high: number, length: number): number {
    const offset = high * 2 ** 32 + low - MODEL_IOVA_BASE;
    return offset >= 0 && offset + length <= this.memory.size ? offset : -1;
  }

  layout(size: number): QueueLayout {
    return {
      size,
      descriptors: this.ring,
      driver: this.ring + 16 * MAX_SIZE,
      device: this.ring + 16 * MAX_SIZE + 4096,
    };
  }

  /** Clears the memory of the ring, as product code does after a change of the layout. */
  clearRing(): void {
    this.memory.u8.fill(0, this.ring, this.ring + RING_BYTES);
  }

  dispose(): void {
    closeFile(this.callFd);
    this.memory.dispose();
  }
}

/** Where a device finds its ring: in this memory, or in that of a plain driver. */
export interface RingAt {
  readonly guest: GuestMemory;
  readonly place: RingPlace;
  readonly options: RingOptions;
}

export function ringAt(fixture: RingFixture, config: Config): RingAt {
  const { descriptors, driver, device } = fixture.layout(config.size);
  const { size, packed, eventIdx, mergeable } = config;
  return {
    guest: fixture,
    place: { desc: descriptors, avail: driver, used: device },
    options: {
      size,
      base: packed ? 0x8000 : 0,
      packed,
      eventIdx,
      indirect: true,
      headerBytes: 12,
      mergeable,
      callFd: fixture.callFd,
      counts: makeQueueCounters(),
    },
  };
}

/** A number of runs for `npm test`, and one for a long run (TSPMD_LONG=1). */
export const runs = (short: number, long: number): number => (process.env.TSPMD_LONG === undefined ? short : long);
