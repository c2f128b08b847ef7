/**
 * Receive: every descriptor always holds an empty buffer, device-writable, one a packet (virtio 1.2, 5.1.6.3). A used
 * descriptor is refilled in the same step that takes its packet out, so the ring never runs low.
 */
import { FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
import type { AddressSpace } from '../memory/index.js';
import { DriverQueue } from './driver-queue.js';
import type { RxQueue } from './driver-queues.js';
import { ETHERNET_HEADER_BYTES, NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from './net-header.js';
import { SLOT_FREE } from './queue-tables.js';
import { VIRTQ_DESC_F_WRITE } from './split-layout.js';

const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;

export class DriverRxQueue extends DriverQueue implements RxQueue {
  /** Packets and bytes handed to the caller. */
  packets = 0;
  bytes = 0;
  /** Dropped: no free buffer to put in the packet's place, so the packet's own went back into the ring. */
  droppedNoBuffer = 0;
  /** Dropped: the device wrote less than a header and a frame's head, or more than the buffer holds. */
  droppedBadLength = 0;
  /** Dropped: the packet was spread over several buffers (MRG_RXBUF) and is longer than one buffer. */
  droppedTooLong = 0;
  /** Received buffers that nobody had taken when the device went away. */
  lostOnReset = 0;

  private mergeable = false;
  /** Buffers still to come of a merged packet that is being dropped. */
  private skipping = 0;

  /** After a reset: fills the ring. Interrupts are off. Returns false when the pool could not fill it. */
  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean): boolean {
    this.lostOnReset += this.usedCount();
    this.reset(space, HEADER_OFFSET, eventIdx);
    this.mergeable = mergeable;
    this.skipping = 0;
    const writable = NET_HEADER_BYTES + frameCapacity(this.pool.geometry.shift);
    for (let slot = 0; slot < this.size; slot++) {
      const handle = this.pool.get();
      if (handle === NO_BUFFER) return false;
      const d = this.desc32 + slot * 4;
      this.u32[d + 2] = writable;
      this.u32[d + 3] = VIRTQ_DESC_F_WRITE;
      this.post(slot, handle, slot);
    }
    return true;
  }

  /** Lets the device see the filled ring: after DRIVER_OK. */
  open(): void {
    this.publish(this.size);
    this.kick();
  }

  /**
   * Takes up to `max` received frames. The buffers are the caller's from then on; `lengths` are bytes from
   * {@link FRAME_OFFSET} on.
   */
  burst(handles: Uint32Array, lengths: Uint32Array, max: number): number {
    let waiting = this.usedCount();
    if (waiting === 0) return 0;
    const u32 = this.u32;
    const capacity = NET_HEADER_BYTES + frameCapacity(this.pool.geometry.shift);
    let used = this.usedIndex;
    let taken = 0;
    let refilled = 0;
    let bytes = 0;
    for (; waiting > 0 && taken < max; waiting--) {
      const entry = this.usedRing32 + ((used & this.mask) << 1);
      const id = u32[entry];
      const written = u32[entry + 1];
      // The id is the device's word: it must be a descriptor that we posted and have not had back.
      const handle = id < this.size ? this.slotHandle[id] : SLOT_FREE;
      if (handle === SLOT_FREE) {
        this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
        break;
      }
      // What goes back into the descriptor: the packet's own buffer, unless the packet is taken out.
      let next = handle;
      if (this.skipping !== 0) {
        this.skipping--;
      } else if (written < NET_HEADER_BYTES + ETHERNET_HEADER_BYTES || written > capacity) {
        this.droppedBadLength++;
      } else {
        const parts = this.mergeable ? this.buffersOf(handle) : 1;
        if (parts > this.size) {
          this.broken = `${this.name}: a packet in ${parts} buffers, where the queue has ${this.size}`;
          break;
        }
        if (parts !== 1) {
          // A frame longer than a buffer; buffers are sized for the MTU, so nobody could use it.
          this.skipping = parts - 1;
          this.droppedTooLong++;
        } else {
          next = this.pool.get();
          if (next === NO_BUFFER) {
            next = handle;
            this.droppedNoBuffer++;
          } else {
            handles[taken] = handle;
            lengths[taken] = written - NET_HEADER_BYTES;
            bytes += written - NET_HEADER_BYTES;
            taken++;
          }
        }
      }
      used = (used + 1) & 0xffff;
      this.post(id, next, this.availIndex + refilled);
      refilled++;
    }
    this.usedIndex = used;
    this.packets += taken;
    this.bytes += bytes;
    if (refilled > 0) this.publish(refilled);
    return taken;
  }

  /** Puts buffer `handle` into descriptor `slot` and that into the available ring at index `index`. */
  private post(slot: number, handle: number, index: number): void {
    const d = this.desc32 + (slot << 2);
    this.u32[d] = this.addressLow[handle];
    this.u32[d + 1] = this.addressHigh[handle];
    this.u16[this.availRing16 + (index & this.mask)] = slot;
    this.slotHandle[slot] = handle;
  }

  /** num_buffers of the header, at least 1: 0 would be the device's fault and means the same (5.1.6.3.1). */
  private buffersOf(handle: number): number {
    const count = this.u16[(this.pool.offsetOf(handle) + HEADER_OFFSET + NET_HEADER_NUM_BUFFERS) >> 1];
    return count === 0 ? 1 : count;
  }
}
