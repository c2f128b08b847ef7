/**
 * The driver's side of a packed virtqueue (virtio 1.2, 2.8): what receive and transmit have in common. Positions and
 * wrap counters, finding used descriptors, publication of new ones, notification suppression in both directions.
 *
 * One buffer is one descriptor, so a position advances by one per buffer. A wrap counter is kept as the mark (AVAIL and
 * USED bits) that it stands for, because marks are all that is compared and written.
 */
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
import { QueueBuffers } from './queue-buffers.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const MARKS = AVAIL_USED;
const ID_FLAGS = WORD_ID_FLAGS;
const ORDERED = LOADS_IN_ORDER;

/** The wrap counter beside a place, in 16 bits (virtio 1.2, 2.9). */
const WRAP_BIT = 1 << 15;

export abstract class PackedQueue extends QueueBuffers {
  // Positions in i32 of the two event words, with which driver and device ask for notifications.
  private readonly driverEvent32: number;
  private readonly deviceEvent32: number;

  /** Where the next descriptor is made available, and the mark that it gets. */
  protected nextAvail = 0;
  protected availMark = FIRST_AVAILABLE;
  /** Where the device uses the next descriptor, and the mark that it sets. */
  protected nextUsed = 0;
  protected usedMark = FIRST_USED;

  constructor(...parts: ConstructorParameters<typeof QueueBuffers>) {
    super(...parts);
    const [, , layout] = parts;
    this.driverEvent32 = layout.driver >> 2;
    this.deviceEvent32 = layout.device >> 2;
  }

  protected clearRing(): void {
    this.i32.fill(0, this.desc32, this.desc32 + this.size * PACKED_DESC_WORDS);
    this.i32.fill(0, this.deviceEvent32, this.deviceEvent32 + EVENT_BYTES / 4);
  }

  protected override rewind(eventIdx: boolean): void {
    this.nextAvail = 0;
    this.availMark = FIRST_AVAILABLE;
    this.nextUsed = 0;
    this.usedMark = FIRST_USED;
    super.rewind(eventIdx);
  }

  /**
   * Number of descriptors in a row, from {@link nextUsed} on, that the device has used. At most `limit`, which must not
   * be more than the device was given. One Atomics load; afterwards the other words of these descriptors may be read
   * plainly.
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
    // The device may write later descriptors before earlier ones (2.8.12): each mark guards only its own descriptor.
    if (!ORDERED) orderLoads();
    return count;
  }

  /**
   * Makes `count` descriptors from `position` on available, and rings the doorbell if the device asks for it (2.8.21).
   * All their words are written, except the last word of the first: `idAndFlags`. {@link nextAvail} and its mark have
   * advanced.
   */
  protected publish(position: number, idAndFlags: number, count: number): void {
    // The device looks at the first descriptor before the others (2.8.21.1), so this store publishes them all. It is
    // also the fence that 2.8.21.3.1 asks for: the load after it must not be made earlier.
    Atomics.store(this.i32, this.desc32 + (position << 2) + ID_FLAGS, idAndFlags);
    const event = Atomics.load(this.i32, this.deviceEvent32);
    const wrap = this.availMark === FIRST_AVAILABLE;
    if (wantsEvent(event, this.eventIdx, this.nextAvail, wrap, count, this.size)) this.kick();
  }

  protected nextPlace(): number {
    return this.availMark === FIRST_AVAILABLE ? this.nextAvail | WRAP_BIT : this.nextAvail;
  }

  protected requestInterrupt(): void {
    const wish = this.eventIdx ? eventAt(this.nextUsed, this.usedMark === FIRST_USED) : EVENT_ENABLE;
    Atomics.store(this.i32, this.driverEvent32, wish);
  }

  protected suppressInterrupts(): void {
    this.i32[this.driverEvent32] = EVENT_DISABLE;
  }

  protected hasUsed(): boolean {
    return this.usedRun(1) !== 0;
  }
}
