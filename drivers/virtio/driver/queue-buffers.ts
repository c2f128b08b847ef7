/**
 * What the driver's side of every virtqueue keeps, whatever its layout: which buffers the device holds, how the device
 * addresses them, and its doorbell.
 */
import { type BufferPool, bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { type AddressSpace, contiguousIova, type MemoryViews } from '../../memory/index.js';
import type { Doorbell, QueueLayout } from '../transport.js';
import { makeQueueTables, type QueueTables, SLOT_FREE } from './queue-tables.js';

/** Of a frame in its buffer. */
const ETHER_TYPE_OFFSET = FRAME_OFFSET + ETHERNET_HEADER_BYTES - 2;
/** Of an address, the low word's. */
const WORD_VALUES = 2 ** 32;

export abstract class QueueBuffers {
  protected readonly u16: Uint16Array;
  /** Entries. */
  protected size: number;
  // See QueueTables.
  protected readonly slotHandle: Int32Array;
  protected readonly addressLow: Uint32Array;
  protected readonly addressHigh: Uint32Array;
  /** All buffers have the same high word: a descriptor has it from the start on, and a store a packet is saved. */
  protected oneHighWord = false;
  private shape = '';
  private doorbell: Pick<Doorbell, 'ring'> = { ring: () => {} };
  /** What is wrong with the ring, or empty. A broken ring is left alone until the device was reset. */
  broken = '';
  /** Doorbells rung. */
  kicks = 0;

  constructor(
    readonly name: string,
    memory: MemoryViews,
    public layout: QueueLayout,
    /** Where buffers come from, and where those go that the device has done with. */
    protected readonly pool: BufferPool,
    readonly tables: QueueTables = makeQueueTables(layout.size, pool.geometry.count, false),
  ) {
    this.u16 = memory.u16;
    this.size = layout.size;
    this.slotHandle = tables.slotHandle;
    this.addressLow = tables.addressLow;
    this.addressHigh = tables.addressHigh;
  }

  /** The most entries that there is memory for. */
  get capacity(): number {
    return this.slotHandle.length;
  }

  /**
   * Uses `size` entries, a power of two and no more than the memory was taken for: a device may allow less than was
   * hoped for. Before the queue's reset, while the device does not run.
   */
  resize(size: number): void {
    if (size < 2 || size > this.capacity || (size & (size - 1)) !== 0) {
      throw new RangeError(`${this.name}: ${size} entries; possible are powers of two, 2 to ${this.capacity}`);
    }
    this.layout = { ...this.layout, size };
    this.size = size;
  }

  /**
   * Puts every buffer that the device held back into the pool; returns how many. The device must not run.
   *
   * Takes the EtherType out of each: nobody got what the device may have written there, and who sends from a buffer and
   * knows his frame again when it comes back must not take one of those for his.
   */
  takeBack(): number {
    let held = 0;
    // All slots, not only those of the present size.
    for (let slot = 0; slot < this.slotHandle.length; slot++) {
      const handle = this.slotHandle[slot];
      if (handle === SLOT_FREE) continue;
      this.u16[(this.pool.offsetOf(handle) + ETHER_TYPE_OFFSET) >> 1] = 0;
      this.pool.put(handle);
      this.slotHandle[slot] = SLOT_FREE;
      held++;
    }
    return held;
  }

  /**
   * Whether these are not what they were at the last call: a burst that was made over constants has then to be made anew. Not
   * each time, as V8 compiles only what was made once for the very constants.
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
    // Asks once a page, and has little to do for each of thousands of buffers: else V8 finds this hot and compiles it,
    // which takes longer than all the rest, in an emulated guest half a second.
    for (let first = 0; first < count; ) {
      const slot = base + (first << shift);
      const address = contiguousIova(space, slot, bytes) + (pool.offsetOf(first) - slot) + headerOffset;
      const inPage = Math.floor((space.contiguousBytes - (slot % space.contiguousBytes)) / bytes);
      // Not beyond: a later buffer may begin further into its slot than this one.
      const inWord = Math.max(1, Math.floor((WORD_VALUES - (address % WORD_VALUES)) / bytes));
      const end = Math.min(count, first + inPage, first + inWord);
      const low = (address % WORD_VALUES) - bufferStart(first, shift);
      for (let handle = first; handle < end; handle++) addressLow[handle] = low + bufferStart(handle, shift);
      addressHigh.fill(Math.floor(address / WORD_VALUES), first, end);
      if (addressHigh[first] !== addressHigh[0]) this.oneHighWord = false;
      first = end;
    }
  }

  /** Where to announce new buffers, from DRIVER_OK on. */
  attach(doorbell: Pick<Doorbell, 'ring'>): void {
    this.doorbell = doorbell;
  }

  /** Rings unconditionally: after DRIVER_OK, when a backend starts a ring only at its first kick. */
  kick(): void {
    this.kicks++;
    this.doorbell.ring();
  }
}
