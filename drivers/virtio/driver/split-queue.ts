/**
 * The driver's side of a split virtqueue (virtio 1.2, 2.7): what receive and transmit have in common. Layout in memory,
 * publication of the available index, notification suppression in both directions.
 *
 * All positions in the typed arrays are computed once. Ring indexes are u16, written by one aligned 16-bit
 * `Atomics.store`. It is also the fence that 2.7.13.3.1 asks for: earlier stores become visible before it.
 */
import type { PacketMemory } from '../../memory/index.js';
import {
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_RING,
  availBytes,
  availEventOffset,
  DESC_BYTES,
  MAX_SPLIT_QUEUE_SIZE,
  passesEvent,
  USED_FLAGS,
  USED_IDX,
  USED_RING,
  usedBytes,
  usedEventOffset,
  VIRTQ_AVAIL_F_NO_INTERRUPT,
  VIRTQ_USED_F_NO_NOTIFY,
} from '../layout/split.js';
import type { QueueLayout } from '../transport.js';
import { QueueBuffers } from './queue-buffers.js';

/** Descriptors, available ring and used ring each begin on a pair of cache lines of their own. */
const PART_ALIGNMENT = 128;

/** Takes memory for a split queue of `size` entries: a power of two, at most 32768 (virtio 1.2, 2.7). */
export function allocateSplitQueue(memory: PacketMemory, size: number): QueueLayout {
  if (size < 2 || size > MAX_SPLIT_QUEUE_SIZE || (size & (size - 1)) !== 0) {
    throw new RangeError(
      `queue size ${size}: a split queue has a power of two of entries, from 2 to ${MAX_SPLIT_QUEUE_SIZE}`,
    );
  }
  return {
    size,
    descriptors: memory.allocate(size * DESC_BYTES, PART_ALIGNMENT),
    driver: memory.allocate(availBytes(size), PART_ALIGNMENT),
    device: memory.allocate(usedBytes(size), PART_ALIGNMENT),
  };
}

export abstract class SplitQueue extends QueueBuffers {
  protected readonly u32: Uint32Array;
  /** Entries - 1, to wrap an index. */
  protected mask: number;
  // Positions of the parts of the queue in u16 (names in 16) or u32 (names in 32).
  protected readonly availRing16: number;
  protected readonly usedRing32: number;
  private readonly availFlags16: number;
  private readonly availIdx16: number;
  private usedEvent16: number;
  private readonly usedFlags16: number;
  private readonly usedIdx16: number;
  private availEvent16: number;

  /** The next available index to publish, u16. */
  protected availIndex = 0;
  /** The index of the next used entry to read, u16. */
  protected usedIndex = 0;

  constructor(...parts: ConstructorParameters<typeof QueueBuffers>) {
    super(...parts);
    const [, memory, layout] = parts;
    this.u32 = memory.u32;
    this.mask = layout.size - 1;
    this.availFlags16 = (layout.driver + AVAIL_FLAGS) >> 1;
    this.availIdx16 = (layout.driver + AVAIL_IDX) >> 1;
    this.availRing16 = (layout.driver + AVAIL_RING) >> 1;
    this.usedEvent16 = (layout.driver + usedEventOffset(layout.size)) >> 1;
    this.usedFlags16 = (layout.device + USED_FLAGS) >> 1;
    this.usedIdx16 = (layout.device + USED_IDX) >> 1;
    this.usedRing32 = (layout.device + USED_RING) >> 2;
    this.availEvent16 = (layout.device + availEventOffset(layout.size)) >> 1;
  }

  override resize(size: number): void {
    super.resize(size);
    this.mask = size - 1;
    this.usedEvent16 = (this.layout.driver + usedEventOffset(size)) >> 1;
    this.availEvent16 = (this.layout.device + availEventOffset(size)) >> 1;
  }

  protected clearRing(): void {
    this.u32.fill(0, this.desc32, this.desc32 + this.size * (DESC_BYTES >> 2));
    this.u16.fill(0, this.availFlags16, this.availFlags16 + (availBytes(this.size) >> 1));
    this.u16.fill(0, this.usedFlags16, this.usedFlags16 + (usedBytes(this.size) >> 1));
  }

  protected override rewind(eventIdx: boolean): void {
    this.availIndex = 0;
    this.usedIndex = 0;
    super.rewind(eventIdx);
  }

  /** Number of used entries that were not read yet, by one Atomics load. Sets {@link broken} on an impossible index. */
  protected usedCount(): number {
    const count = (Atomics.load(this.u16, this.usedIdx16) - this.usedIndex) & 0xffff;
    if (count > this.size) {
      this.broken = `${this.name}: the used index jumped by ${count} in a queue of ${this.size}`;
      return 0;
    }
    return count;
  }

  /**
   * Publishes `added` new available entries, and rings the doorbell if the device asks for it (virtio 1.2, 2.7.13.4).
   */
  protected publish(added: number): void {
    const old = this.availIndex;
    const next = (old + added) & 0xffff;
    this.availIndex = next;
    // The store is the fence between the ring's content and the index. The loads below are atomic too: on arm64 a plain
    // load may overtake a sequentially consistent store, and then a notification is missed (2.7.13.4.1).
    Atomics.store(this.u16, this.availIdx16, next);
    if (this.eventIdx) {
      if (!passesEvent(Atomics.load(this.u16, this.availEvent16), next, old)) return;
    } else if ((Atomics.load(this.u16, this.usedFlags16) & VIRTQ_USED_F_NO_NOTIFY) !== 0) {
      return;
    }
    this.kick();
  }

  protected nextPlace(): number {
    return this.availIndex;
  }

  protected requestInterrupt(): void {
    if (this.eventIdx) Atomics.store(this.u16, this.usedEvent16, this.usedIndex);
    else Atomics.store(this.u16, this.availFlags16, 0);
  }

  protected suppressInterrupts(): void {
    // With EVENT_IDX the flags stay 0 (2.7.7.1). An event just behind the index causes one interrupt per 65536 entries.
    if (this.eventIdx) this.u16[this.usedEvent16] = (this.usedIndex - 1) & 0xffff;
    else this.u16[this.availFlags16] = VIRTQ_AVAIL_F_NO_INTERRUPT;
  }

  protected hasUsed(): boolean {
    return this.usedCount() !== 0;
  }
}
