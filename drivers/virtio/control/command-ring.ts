/**
 * The ring under the control queue, in either layout. One buffer at a time, as a chain of two descriptors: the command
 * at the beginning of the buffer, the answer after it. No interrupts.
 */
import type { AddressSpace } from '../../memory/index.js';
import { PackedQueue } from '../driver/packed-queue.js';
import { SLOT_FREE } from '../driver/queue-tables.js';
import { SplitQueue } from '../driver/split-queue.js';
import { AVAIL_USED, ID_MASK, PACKED_F_NEXT, PACKED_F_WRITE, WORD_ID_FLAGS, WORD_LENGTH } from '../layout/packed.js';
import { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from '../layout/split.js';
import type { Doorbell, QueueLayout } from '../transport.js';

/** Descriptor (split) or id (packed) of the only buffer. */
const SLOT = 0;
/** Descriptors of its chain. */
const CHAIN = 2;

export interface CommandRing {
  readonly layout: QueueLayout;
  /** What is wrong with the ring, or empty. Stays until the reset. */
  broken: string;
  resize(size: number): void;
  reset(space: AddressSpace, headerOffset: number, eventIdx: boolean): number;
  attach(doorbell: Pick<Doorbell, 'ring'>): void;
  /** Offers the first `length` bytes of a buffer for the device to read, and the byte at `answer` for it to write. */
  submit(handle: number, length: number, answer: number): void;
  /** Whether the device has used the submitted buffer. Sets {@link broken} when it has used something else. */
  answered(): boolean;
}

export class SplitCommandRing extends SplitQueue implements CommandRing {
  submit(handle: number, length: number, answer: number): void {
    const { u32, desc32: d } = this;
    u32[d] = this.addressLow[handle];
    u32[d + 1] = this.addressHigh[handle];
    u32[d + 2] = length;
    u32[d + 3] = VIRTQ_DESC_F_NEXT | (1 << 16);
    u32[d + 4] = this.addressLow[handle] + answer;
    u32[d + 5] = this.addressHigh[handle];
    u32[d + 6] = 1;
    u32[d + 7] = VIRTQ_DESC_F_WRITE;
    this.u16[this.availRing16 + (this.availIndex & this.mask)] = SLOT;
    this.slotHandle[SLOT] = handle;
    this.publish(1);
  }

  answered(): boolean {
    if (this.usedCount() === 0) return false;
    const id = this.u32[this.usedRing32 + ((this.usedIndex & this.mask) << 1)];
    if (id !== SLOT) {
      this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
      return false;
    }
    this.usedIndex = (this.usedIndex + 1) & 0xffff;
    this.slotHandle[SLOT] = SLOT_FREE;
    return true;
  }
}

export class PackedCommandRing extends PackedQueue implements CommandRing {
  submit(handle: number, length: number, answer: number): void {
    const { i32, nextAvail } = this;
    const first = this.desc32 + (nextAvail << 2);
    i32[first] = this.addressLow[handle];
    i32[first + 1] = this.addressHigh[handle];
    i32[first + WORD_LENGTH] = length;
    const idAndFlags = SLOT | PACKED_F_NEXT | this.availMark;
    this.nextAvailable();
    const second = this.desc32 + (this.nextAvail << 2);
    i32[second] = this.addressLow[handle] + answer;
    i32[second + 1] = this.addressHigh[handle];
    i32[second + WORD_LENGTH] = 1;
    i32[second + WORD_ID_FLAGS] = SLOT | PACKED_F_WRITE | this.availMark;
    this.nextAvailable();
    this.slotHandle[SLOT] = handle;
    this.publish(nextAvail, idAndFlags, CHAIN);
  }

  answered(): boolean {
    if (this.usedRun(1) === 0) return false;
    const id = this.i32[this.desc32 + (this.nextUsed << 2) + WORD_ID_FLAGS] & ID_MASK;
    if (id !== SLOT) {
      this.broken = `${this.name}: a used descriptor names buffer ${id}, which the device does not hold`;
      return false;
    }
    // One used descriptor for the whole chain; the next one is written after its place (2.8.6).
    this.nextUsed += CHAIN;
    if (this.nextUsed >= this.size) {
      this.nextUsed -= this.size;
      this.usedMark ^= AVAIL_USED;
    }
    this.slotHandle[SLOT] = SLOT_FREE;
    return true;
  }

  private nextAvailable(): void {
    this.nextAvail++;
    if (this.nextAvail < this.size) return;
    this.nextAvail = 0;
    this.availMark ^= AVAIL_USED;
  }
}
