/**
 * The driver side of a split virtqueue (virtio 1.2, 2.7): what receive and transmit have in common. Layout in memory,
 * publication of the available index, notification suppression both ways.
 *
 * All indexes into the typed arrays are computed once. Ring indexes are u16 and are written by one aligned 16-bit store,
 * with `Atomics.store`, which is also the fence that 2.7.13.3.1 asks for: nothing before it becomes visible after it.
 */
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { type AddressSpace, type MemoryViews, type PacketMemory, signedWords } from '../../memory/index.js';
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
import type { QueueTables } from './queue-tables.js';

/** Descriptors, available and used ring on cache lines of their own (a pair of lines: the prefetcher fetches two). */
const PART_ALIGNMENT = 128;

/** Takes room for a split queue of `size` entries (a power of two, at most 32768; virtio 1.2, 2.7) from the memory. */
export function allocateSplitQueue(memory: PacketMemory, size: number): QueueLayout {
  if (size < 2 || size > MAX_SPLIT_QUEUE_SIZE || (size & (size - 1)) !== 0) {
    throw new RangeError(
      `queue size ${size}: a split queue has a power of two of entries, 2 to ${MAX_SPLIT_QUEUE_SIZE}`,
    );
  }
  return {
    size,
    descriptors: memory.allocate(size * DESC_BYTES, PART_ALIGNMENT),
    driver: memory.allocate(availBytes(size), PART_ALIGNMENT),
    device: memory.allocate(usedBytes(size), PART_ALIGNMENT),
  };
}

export abstract class DriverQueue extends QueueBuffers {
  protected readonly u32: Uint32Array;
  /** The same words, signed. */
  protected readonly i32: Int32Array;
  /** Entries - 1, to wrap an index with. */
  protected mask: number;
  // Indexes into u16 or u32 of the parts of the queue.
  protected readonly desc32: number;
  protected readonly availRing16: number;
  protected readonly usedRing32: number;
  private readonly availFlags16: number;
  private readonly availIdx16: number;
  private usedEvent16: number;
  private readonly usedFlags16: number;
  private readonly usedIdx16: number;
  private availEvent16: number;

  /** Next available index to publish, u16. */
  protected availIndex = 0;
  /** Next used entry to read, u16. */
  protected usedIndex = 0;
  private eventIdx = false;
  private interruptsOn = false;

  constructor(name: string, memory: MemoryViews, layout: QueueLayout, pool: BufferPool, tables?: QueueTables) {
    super(name, memory, layout, pool, tables);
    this.u32 = memory.u32;
    this.i32 = signedWords(memory);
    this.mask = layout.size - 1;
    this.desc32 = layout.descriptors >> 2;
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

  /**
   * Brings the queue to its state after a device reset: rings zeroed, every buffer that the device held back in the
   * pool. Returns how many that were. The device must not run.
   */
  reset(space: AddressSpace, headerOffset: number, eventIdx: boolean): number {
    const held = this.takeBack();
    this.mapBuffers(space, headerOffset);
    this.u32.fill(0, this.desc32, this.desc32 + this.size * (DESC_BYTES >> 2));
    this.u16.fill(0, this.availFlags16, this.availFlags16 + (availBytes(this.size) >> 1));
    this.u16.fill(0, this.usedFlags16, this.usedFlags16 + (usedBytes(this.size) >> 1));
    this.rewind(eventIdx);
    return held;
  }

  /** To the beginning of a ring that was brought to that state already. */
  protected rewind(eventIdx: boolean): void {
    this.availIndex = 0;
    this.usedIndex = 0;
    this.eventIdx = eventIdx;
    this.interruptsOn = false;
    this.broken = '';
    this.suppressInterrupts();
  }

  /** Entries that the device has used and we have not read; one Atomics load. Sets {@link broken} on a wild index. */
  protected usedCount(): number {
    const count = (Atomics.load(this.u16, this.usedIdx16) - this.usedIndex) & 0xffff;
    if (count > this.size) {
      this.broken = `${this.name}: the used index jumped by ${count} in a queue of ${this.size}`;
      return 0;
    }
    return count;
  }

  /** Publishes `added` new available entries and rings the doorbell when the device wants it (virtio 1.2, 2.7.13.4). */
  protected publish(added: number): void {
    const old = this.availIndex;
    const next = (old + added) & 0xffff;
    this.availIndex = next;
    // The store is the fence between the ring's content and the index. The loads are atomic too: on arm64 a plain one may
    // overtake a sequentially consistent store, and a notification be missed (2.7.13.4.1).
    Atomics.store(this.u16, this.availIdx16, next);
    if (this.eventIdx) {
      if (!passesEvent(Atomics.load(this.u16, this.availEvent16), next, old)) return;
    } else if ((Atomics.load(this.u16, this.usedFlags16) & VIRTQ_USED_F_NO_NOTIFY) !== 0) {
      return;
    }
    this.kick();
  }

  /** Asks for an interrupt at the next used buffer. False (and off again) when one is there already. */
  enableInterrupts(): boolean {
    this.interruptsOn = true;
    // Both are stores that the check below must not overtake: Atomics, for their fence.
    if (this.eventIdx) Atomics.store(this.u16, this.usedEvent16, this.usedIndex);
    else Atomics.store(this.u16, this.availFlags16, 0);
    if (this.usedCount() === 0 && this.broken === '') return true;
    this.disableInterrupts();
    return false;
  }

  /** No interrupts wanted. The device may send one all the same (virtio 1.2, 2.7.7). */
  disableInterrupts(): void {
    if (this.interruptsOn) this.suppressInterrupts();
  }

  private suppressInterrupts(): void {
    this.interruptsOn = false;
    // With EVENT_IDX flags stay 0 (2.7.7.1); an event just behind the index fires once in 65536 entries.
    if (this.eventIdx) this.u16[this.usedEvent16] = (this.usedIndex - 1) & 0xffff;
    else this.u16[this.availFlags16] = VIRTQ_AVAIL_F_NO_INTERRUPT;
  }
}
