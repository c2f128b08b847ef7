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

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const NUM_BUFFERS_OFFSET = HEADER_OFFSET + NET_HEADER_NUM_BUFFERS;
const SHORTEST = NET_HEADER_BYTES + ETHERNET_HEADER_BYTES;
const FREE = SLOT_FREE;
const NONE = NO_BUFFER;

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

  /** Whether num_buffers counts: with MRG_RXBUF; else it is 1, whatever is there (5.1.6.4). */
  private mergeable = false;
  /** The most that the device may write into a buffer. */
  private longest = 0;
  /** Buffers still to come of a merged packet that is being dropped. */
  private skipping = 0;

  /**
   * Takes up to `max` received frames. The buffers are the caller's from then on; `lengths` are bytes from
   * {@link FRAME_OFFSET} on.
   */
  readonly burst: (handles: Uint32Array, lengths: Uint32Array, max: number) => number;

  constructor(...parts: ConstructorParameters<typeof DriverQueue>) {
    super(...parts);
    this.burst = this.makeBurst();
  }

  /** After a reset: fills the ring. Interrupts are off. Returns false when the pool could not fill it. */
  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean): boolean {
    this.lostOnReset += this.usedCount();
    this.reset(space, HEADER_OFFSET, eventIdx);
    this.mergeable = mergeable;
    this.skipping = 0;
    this.longest = NET_HEADER_BYTES + frameCapacity(this.pool.geometry.shift);
    for (let slot = 0; slot < this.size; slot++) {
      const handle = this.pool.get();
      if (handle === NO_BUFFER) return false;
      const d = this.desc32 + slot * 4;
      this.u32[d] = this.addressLow[handle];
      this.u32[d + 1] = this.addressHigh[handle];
      this.u32[d + 2] = this.longest;
      this.u32[d + 3] = VIRTQ_DESC_F_WRITE;
      this.u16[this.availRing16 + slot] = slot;
      this.slotHandle[slot] = handle;
    }
    return true;
  }

  /** Lets the device see the filled ring: after DRIVER_OK. */
  open(): void {
    this.publish(this.size);
    this.kick();
  }

  /** A closure and not a method: V8 knows this very queue when it compiles it, and where its arrays lie. */
  private makeBurst(): (handles: Uint32Array, lengths: Uint32Array, max: number) => number {
    return (handles, lengths, max) => {
      const waiting = this.usedCount();
      if (waiting === 0) return 0;
      const { u16, u32, slotHandle, addressLow, addressHigh, pool, size, mask, longest, mergeable } = this;
      const { usedRing32, desc32, availRing16 } = this;
      const { base, shift } = pool.geometry;
      const first = this.usedIndex;
      const end = first + waiting;
      let used = first;
      let taken = 0;
      let bytes = 0;
      for (; used < end && taken < max; used++) {
        const place = used & mask;
        const entry = usedRing32 + (place << 1);
        const id = u32[entry];
        const written = u32[entry + 1];
        // The id is the device's word: it must be a descriptor that we posted and have not had back.
        const handle = id < size ? slotHandle[id] : FREE;
        if (handle === FREE) {
          this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
          break;
        }
        // What goes back into the descriptor: the packet's own buffer, unless the packet is taken out.
        let next = handle;
        // At least 1: 0 would be the device's fault and means the same (5.1.6.3.1).
        const parts = mergeable ? u16[(base + (handle << shift) + NUM_BUFFERS_OFFSET) >> 1] : 1;
        if (parts <= 1 && written >= SHORTEST && written <= longest && this.skipping === 0) {
          next = pool.get();
          if (next === NONE) {
            next = handle;
            this.droppedNoBuffer++;
          } else {
            handles[taken] = handle;
            lengths[taken] = written - HEADER_BYTES;
            bytes += written;
            taken++;
          }
        } else if (!this.drop(written, parts)) {
          break;
        }
        const d = desc32 + (id << 2);
        u32[d] = addressLow[next];
        u32[d + 1] = addressHigh[next];
        // The ring is always full, its available index one whole ring ahead of the used index: the same place in both.
        u16[availRing16 + place] = id;
        slotHandle[id] = next;
      }
      this.usedIndex = used & 0xffff;
      this.packets += taken;
      this.bytes += bytes - taken * HEADER_BYTES;
      if (used !== first) this.publish(used - first);
      return taken;
    };
  }

  /** Counts a buffer that is no packet for the caller. False when the device cannot be believed any more. */
  private drop(written: number, parts: number): boolean {
    if (this.skipping !== 0) {
      this.skipping--;
    } else if (written < SHORTEST || written > this.longest) {
      this.droppedBadLength++;
    } else if (parts > this.size) {
      this.broken = `${this.name}: a packet in ${parts} buffers, where the queue has ${this.size}`;
      return false;
    } else {
      // A frame longer than a buffer; buffers are sized for the MTU, so nobody could use it.
      this.skipping = parts - 1;
      this.droppedTooLong++;
    }
    return true;
  }
}
