/**
 * What the driver's side of every virtqueue keeps, in either layout: which buffers the device holds, how the device
 * addresses them, the doorbell, and whether the driver wants interrupts.
 */
import { type BufferPool, bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { type AddressSpace, contiguousIova, type MemoryViews, signedWords } from '../../memory/index.js';
import type { Doorbell, QueueLayout } from '../transport.js';
import { makeQueueCounts, QueueCount } from './queue-counts.js';
import { makeQueueTables, type QueueTables, SLOT_FREE } from './queue-tables.js';

/** Where the EtherType of a frame lies in its buffer. */
const ETHER_TYPE_OFFSET = FRAME_OFFSET + ETHERNET_HEADER_BYTES - 2;
/** Number of values of the low word of an address. */
const WORD_VALUES = 2 ** 32;

/**
 * Overwrites the EtherType in a buffer that goes back to the pool without being received. The device may have written a
 * frame there that nobody has received; a sender that recognises its own frames when their buffers come back must not
 * mistake that frame for one of its own.
 */
export function forgetFrame(u16: Uint16Array, pool: BufferPool, handle: number): void {
  u16[(pool.offsetOf(handle) + ETHER_TYPE_OFFSET) >> 1] = 0;
}

export abstract class QueueBuffers {
  protected readonly u16: Uint16Array;
  protected readonly i32: Int32Array;
  /** Index of the first descriptor in the memory's 32-bit words. */
  protected readonly desc32: number;
  /** Entries. */
  protected size: number;
  // See QueueTables.
  protected readonly slotHandle: Int32Array;
  protected readonly addressLow: Uint32Array;
  protected readonly addressHigh: Uint32Array;
  /** All buffers have the same high word: descriptors get it once, at the start, which saves a store per packet. */
  protected oneHighWord = false;
  /** Whether VIRTIO_F_EVENT_IDX was negotiated. */
  protected eventIdx = false;
  private interruptsOn = false;
  private shape = '';
  private doorbell: Pick<Doorbell, 'ring'> = { ring: (_next) => {} };
  /** What is wrong with the ring, or empty. A broken ring is left alone until the device is reset. */
  broken = '';

  /** @param pool where buffers come from, and where they go when the device has finished with them */
  constructor(
    readonly name: string,
    memory: MemoryViews,
    public layout: QueueLayout,
    protected readonly pool: BufferPool,
    readonly tables: QueueTables = makeQueueTables(layout.size, pool.geometry.count, false),
    /** Indexes: {@link QueueCount}. */
    readonly counts: Float64Array = makeQueueCounts(),
  ) {
    this.u16 = memory.u16;
    this.i32 = signedWords(memory);
    this.desc32 = layout.descriptors >> 2;
    this.size = layout.size;
    this.slotHandle = tables.slotHandle;
    this.addressLow = tables.addressLow;
    this.addressHigh = tables.addressHigh;
  }

  /** The largest number of entries that there is memory for. */
  get capacity(): number {
    return this.slotHandle.length;
  }

  /**
   * Uses `size` entries, a power of two up to {@link capacity}: a device may allow fewer than memory was taken for.
   * Call it before the queue's reset, while the device does not run.
   */
  resize(size: number): void {
    if (size < 2 || size > this.capacity || (size & (size - 1)) !== 0) {
      throw new RangeError(
        `${this.name}: cannot have ${size} entries; possible are powers of two from 2 to ${this.capacity}`,
      );
    }
    this.layout = { ...this.layout, size };
    this.size = size;
  }

  /**
   * Brings the queue to its state after a device reset: the ring is zeroed, and the buffers that the device held go
   * back to the pool. Returns how many these were. The device must not run.
   */
  reset(space: AddressSpace, headerOffset: number, eventIdx: boolean): number {
    const held = this.takeBack();
    this.mapBuffers(space, headerOffset);
    this.clearRing();
    this.rewind(eventIdx);
    return held;
  }

  /** Zeroes the ring. */
  protected abstract clearRing(): void;

  /** Goes to the beginning of a ring that was reset already, perhaps by another thread. */
  protected rewind(eventIdx: boolean): void {
    this.eventIdx = eventIdx;
    this.broken = '';
    this.interruptsOn = false;
    this.suppressInterrupts();
  }

  /**
   * Returns to the pool every buffer that the device held; the result is how many. The device must not run. Frames in
   * these buffers are forgotten.
   */
  takeBack(): number {
    let held = 0;
    // All slots, not only those of the present size.
    for (let slot = 0; slot < this.slotHandle.length; slot++) {
      const handle = this.slotHandle[slot];
      if (handle === SLOT_FREE) continue;
      forgetFrame(this.u16, this.pool, handle);
      this.pool.put(handle);
      this.slotHandle[slot] = SLOT_FREE;
      held++;
    }
    return held;
  }

  /**
   * Whether these constants differ from those of the last call. If so, a burst function that was made over them must be
   * made again, and otherwise not: docs/v8.md, "Bursts as closures".
   */
  protected isNewShape(...constants: readonly (number | boolean)[]): boolean {
    const before = this.shape;
    this.shape = constants.join();
    return this.shape !== before;
  }

  /** Learns how the device addresses the buffers. */
  protected mapBuffers(space: AddressSpace, headerOffset: number): void {
    const { addressLow, addressHigh, pool } = this;
    const { base, count, shift } = pool.geometry;
    const bytes = 1 << shift;
    this.oneHighWord = true;
    // Asks once per page and does little for each of thousands of buffers. Otherwise V8 would find this loop hot and
    // compile it, which takes longer than all the rest: half a second in an emulated guest.
    for (let first = 0; first < count; ) {
      const slot = base + (first << shift);
      const address = contiguousIova(space, slot, bytes) + (pool.offsetOf(first) - slot) + headerOffset;
      const inPage = Math.floor((space.contiguousBytes - (slot % space.contiguousBytes)) / bytes);
      // Rounded down, because a later buffer may begin further into its slot than this one.
      const inWord = Math.max(1, Math.floor((WORD_VALUES - (address % WORD_VALUES)) / bytes));
      const end = Math.min(count, first + inPage, first + inWord);
      const low = (address % WORD_VALUES) - bufferStart(first, shift);
      for (let handle = first; handle < end; handle++) addressLow[handle] = low + bufferStart(handle, shift);
      addressHigh.fill(Math.floor(address / WORD_VALUES), first, end);
      if (addressHigh[first] !== addressHigh[0]) this.oneHighWord = false;
      first = end;
    }
  }

  /** Sets the doorbell that announces new buffers, from DRIVER_OK on. */
  attach(doorbell: Pick<Doorbell, 'ring'>): void {
    this.doorbell = doorbell;
  }

  /** Rings the doorbell. Needed once after DRIVER_OK, because a backend may start a ring only at its first kick. */
  kick(): void {
    this.counts[QueueCount.kicks]++;
    this.doorbell.ring(this.nextPlace());
  }

  /** Where the next buffer is made available, as {@link Doorbell.ring} wants it. */
  protected abstract nextPlace(): number;

  /**
   * Asks for an interrupt at the next used buffer. Returns false, with interrupts off again, when one is there already.
   */
  enableInterrupts(): boolean {
    this.interruptsOn = true;
    this.requestInterrupt();
    if (!this.hasUsed() && this.broken === '') return true;
    this.disableInterrupts();
    return false;
  }

  /** Says that no interrupts are wanted. The device may send one all the same (virtio 1.2, 2.7.7 and 2.8.10). */
  disableInterrupts(): void {
    if (!this.interruptsOn) return;
    this.interruptsOn = false;
    this.suppressInterrupts();
  }

  /** Tells the device that an interrupt is wanted. The loads of {@link hasUsed} must not overtake this store. */
  protected abstract requestInterrupt(): void;
  /** Tells the device that no interrupt is wanted. */
  protected abstract suppressInterrupts(): void;
  /** Whether the device has used a buffer that was not taken yet. Sets {@link broken} when the ring is in disorder. */
  protected abstract hasUsed(): boolean;
}
