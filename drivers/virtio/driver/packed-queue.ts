/**
 * The driver side of a packed virtqueue (virtio 1.2, 2.8): what receive and transmit have in common. Positions and wrap
 * counters, which descriptors the device has used, publication of new ones, notification suppression both ways.
 *
 * One buffer is one descriptor, so a position moves on by one a buffer. A wrap counter is kept as the mark that it stands
 * for: comparing and writing marks is all that it is needed for.
 */
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { type AddressSpace, type MemoryViews, signedWords } from '../../memory/index.js';
import {
  AVAIL_USED,
  EVENT_BYTES,
  EVENT_DISABLE,
  EVENT_ENABLE,
  eventAt,
  FIRST_AVAILABLE,
  FIRST_USED,
  LOADS_IN_ORDER,
  orderLoads,
  PACKED_DESC_WORDS,
  WORD_ID_FLAGS,
  wantsEvent,
} from '../layout/packed.js';
import type { QueueLayout } from '../transport.js';
import { QueueBuffers } from './queue-buffers.js';
import type { QueueTables } from './queue-tables.js';

// V8 loads an imported constant from its module's cell at each use; one of this file it compiles in.
const MARKS = AVAIL_USED;
const ID_FLAGS = WORD_ID_FLAGS;
const ORDERED = LOADS_IN_ORDER;

export abstract class PackedQueue extends QueueBuffers {
  protected readonly i32: Int32Array;
  // Indexes into i32: the first descriptor, what we want to be told, what the device wants to be told.
  protected readonly desc32: number;
  private readonly driverEvent32: number;
  private readonly deviceEvent32: number;

  /** Where the next descriptor is made available, and how it is marked. */
  protected nextAvail = 0;
  protected availMark = FIRST_AVAILABLE;
  /** Where the device uses the next descriptor, and how it marks it. */
  protected nextUsed = 0;
  protected usedMark = FIRST_USED;
  private eventIdx = false;
  private interruptsOn = false;

  constructor(name: string, memory: MemoryViews, layout: QueueLayout, pool: BufferPool, tables?: QueueTables) {
    super(name, memory, layout, pool, tables);
    this.i32 = signedWords(memory);
    this.desc32 = layout.descriptors >> 2;
    this.driverEvent32 = layout.driver >> 2;
    this.deviceEvent32 = layout.device >> 2;
  }

  /**
   * Brings the queue to its state after a device reset: a ring of zeros (2.8.13), every buffer that the device held back
   * in the pool. Returns how many that were. The device must not run.
   */
  reset(space: AddressSpace, headerOffset: number, eventIdx: boolean): number {
    const held = this.takeBack();
    this.mapBuffers(space, headerOffset);
    this.i32.fill(0, this.desc32, this.desc32 + this.size * PACKED_DESC_WORDS);
    this.i32.fill(0, this.deviceEvent32, this.deviceEvent32 + EVENT_BYTES / 4);
    this.rewind(eventIdx);
    return held;
  }

  /** To the beginning of a ring that was brought to that state already. */
  protected rewind(eventIdx: boolean): void {
    this.nextAvail = 0;
    this.availMark = FIRST_AVAILABLE;
    this.nextUsed = 0;
    this.usedMark = FIRST_USED;
    this.eventIdx = eventIdx;
    this.broken = '';
    this.suppressInterrupts();
  }

  /**
   * How many descriptors from {@link nextUsed} on the device has used, one after the other, up to `limit`, which is no more
   * than it was given. One Atomics load; what the marks guard may be read plainly afterwards.
   */
  protected usedRun(limit: number): number {
    const { i32, size } = this;
    const first = this.desc32 + ID_FLAGS;
    let position = this.nextUsed;
    let mark = this.usedMark;
    if (limit === 0 || (Atomics.load(i32, first + (position << 2)) & MARKS) !== mark) return 0;
    let count = 1;
    for (; count < limit; count++) {
      if (++position === size) {
        position = 0;
        mark ^= MARKS;
      }
      if ((i32[first + (position << 2)] & MARKS) !== mark) break;
    }
    // The device may write later descriptors before earlier ones (2.8.12): each mark guards its own descriptor alone.
    if (!ORDERED) orderLoads();
    return count;
  }

  /**
   * Makes `count` descriptors from `position` on available, all of which are written but for the last word of the first,
   * and rings the doorbell when the device wants it (2.8.21). {@link nextAvail} and its mark are behind them already.
   */
  protected publish(position: number, idAndFlags: number, count: number): void {
    // The device looks at the first one before the others (2.8.21.1), so this store shows them all; it is the fence that
    // 2.8.21.3.1 asks for as well: the load after it must not be made before it.
    Atomics.store(this.i32, this.desc32 + (position << 2) + ID_FLAGS, idAndFlags);
    const event = Atomics.load(this.i32, this.deviceEvent32);
    const wrap = this.availMark === FIRST_AVAILABLE;
    if (wantsEvent(event, this.eventIdx, this.nextAvail, wrap, count, this.size)) this.kick();
  }

  /** Asks for an interrupt at the next used buffer. False (and off again) when one is there already. */
  enableInterrupts(): boolean {
    this.interruptsOn = true;
    const wish = this.eventIdx ? eventAt(this.nextUsed, this.usedMark === FIRST_USED) : EVENT_ENABLE;
    // A store that the check below must not overtake: Atomics, for its fence.
    Atomics.store(this.i32, this.driverEvent32, wish);
    if (this.usedRun(1) === 0 && this.broken === '') return true;
    this.disableInterrupts();
    return false;
  }

  /** No interrupts wanted. The device may send one all the same (2.8.10). */
  disableInterrupts(): void {
    if (this.interruptsOn) this.suppressInterrupts();
  }

  private suppressInterrupts(): void {
    this.interruptsOn = false;
    this.i32[this.driverEvent32] = EVENT_DISABLE;
  }
}
