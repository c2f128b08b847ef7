/**
 * Transmit: one descriptor a packet, header and frame in one piece (virtio 1.2, 5.1.6.2 and 2.7.4.1). Descriptor id and
 * ring slot are the same, so the available ring is written once, and a packet costs three stores and its header.
 *
 * What the device has sent is taken back lazily, when descriptors run out: until then nobody waits for those buffers.
 */
import { FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import type { AddressSpace } from '../memory/index.js';
import { DriverQueue } from './driver-queue.js';
import type { TxQueue } from './driver-queues.js';
import { ETHERNET_HEADER_BYTES, NET_HEADER_BYTES } from './net-header.js';
import { SLOT_FREE } from './queue-tables.js';

const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;

export class DriverTxQueue extends DriverQueue implements TxQueue {
  /** Packets and bytes given to the device. */
  packets = 0;
  bytes = 0;
  /** Dropped: shorter than an Ethernet header, or longer than the device's MTU allows. */
  droppedBadLength = 0;
  /** Packets that were in the ring when the device went away. */
  lostOnReset = 0;

  /** Descriptors that the device does not hold. */
  private free = this.size;
  /** The longest frame that may be sent. */
  private longest = 0;

  /** After a reset: an empty ring. `longestFrame` is what the device forwards (virtio 1.2, 5.1.4.2). */
  start(space: AddressSpace, eventIdx: boolean, longestFrame: number): void {
    this.lostOnReset += this.reset(space, HEADER_OFFSET, eventIdx);
    this.longest = Math.min(longestFrame, frameCapacity(this.pool.geometry.shift));
    for (let slot = 0; slot < this.size; slot++) this.u16[this.availRing16 + slot] = slot;
    this.free = this.size;
  }

  /** After {@link start} by another thread, on the same ring and tables: this one drives it from now on. */
  adopt(size: number, eventIdx: boolean, longestFrame: number): void {
    this.resize(size);
    this.rewind(eventIdx);
    this.longest = Math.min(longestFrame, frameCapacity(this.pool.geometry.shift));
    this.free = size;
  }

  /** Buffers that the device has, or has done with and that were not reclaimed yet. */
  get inFlight(): number {
    return this.size - this.free;
  }

  /** Sends the first `count` frames, in order; returns how many were taken. The rest stay the caller's. */
  burst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { u16, u32, slotHandle, longest } = this;
    const start = this.availIndex;
    // A device may finish out of order (2.7.8): the next slot can be busy although others are free.
    if (this.free < count || slotHandle[start & this.mask] !== SLOT_FREE) {
      this.reclaim();
      if (this.broken !== '') return 0;
    }
    let added = 0;
    let taken = 0;
    let bytes = 0;
    while (taken < count) {
      const slot = (start + added) & this.mask;
      // With a slot whose turn has come still busy, the ring is full.
      if (slotHandle[slot] !== SLOT_FREE) break;
      const handle = handles[taken];
      const length = lengths[taken];
      taken++;
      if (length < ETHERNET_HEADER_BYTES || length > longest) {
        this.pool.put(handle);
        this.droppedBadLength++;
        continue;
      }
      // No offloads are negotiated: all twelve bytes are 0 (5.1.6.2). The buffer may have been received into before.
      const header = (this.pool.offsetOf(handle) + HEADER_OFFSET) >> 1;
      u16[header] = 0;
      u16[header + 1] = 0;
      u16[header + 2] = 0;
      u16[header + 3] = 0;
      u16[header + 4] = 0;
      u16[header + 5] = 0;
      const d = this.desc32 + (slot << 2);
      u32[d] = this.addressLow[handle];
      u32[d + 1] = this.addressHigh[handle];
      u32[d + 2] = length + NET_HEADER_BYTES;
      slotHandle[slot] = handle;
      bytes += length;
      added++;
    }
    if (added > 0) {
      this.free -= added;
      this.packets += added;
      this.bytes += bytes;
      this.publish(added);
    }
    return taken;
  }

  /** Puts the buffers that the device has sent back into the pool. */
  reclaim(): void {
    const done = this.usedCount();
    if (done === 0) return;
    const { u32, slotHandle } = this;
    let used = this.usedIndex;
    let freed = 0;
    for (; freed < done; freed++) {
      const id = u32[this.usedRing32 + ((used & this.mask) << 1)];
      const handle = id < this.size ? slotHandle[id] : SLOT_FREE;
      if (handle === SLOT_FREE) {
        this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
        break;
      }
      this.pool.put(handle);
      slotHandle[id] = SLOT_FREE;
      used = (used + 1) & 0xffff;
    }
    this.usedIndex = used;
    this.free += freed;
  }
}
