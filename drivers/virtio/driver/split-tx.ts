/**
 * Transmit: one descriptor a packet, header and frame in one piece (virtio 1.2, 5.1.6.2 and 2.7.4.1). Descriptor id and
 * ring slot are the same, so the available ring is written once, and a packet costs three stores and its header.
 *
 * What the device has sent is taken back lazily, when descriptors run out: until then nobody waits for those buffers.
 */
import { bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET, frameCapacity } from '../../../rings/buffer-pool.js';
import type { AddressSpace } from '../../memory/index.js';
import { NET_HEADER_BYTES } from '../net-header.js';
import { SLOT_FREE } from './queue-tables.js';
import type { TxQueue } from './queues.js';
import { DriverQueue } from './split-queue.js';

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
const FREE = SLOT_FREE;

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

  /** Sends the first `count` frames, in order; returns how many were taken. The rest stay the caller's. */
  burst: (handles: Uint32Array, lengths: Uint32Array, count: number) => number = () => 0;
  /** Puts the buffers that the device has sent back into the pool. */
  readonly reclaim: () => void;

  constructor(...parts: ConstructorParameters<typeof DriverQueue>) {
    super(...parts);
    this.reclaim = this.makeReclaim();
  }

  /** After a reset: an empty ring. `longestFrame` is what the device forwards (virtio 1.2, 5.1.4.2). */
  start(space: AddressSpace, eventIdx: boolean, longestFrame: number): void {
    this.lostOnReset += this.reset(space, HEADER_OFFSET, eventIdx);
    for (let slot = 0; slot < this.size; slot++) {
      this.u16[this.availRing16 + slot] = slot;
      this.u32[this.desc32 + slot * 4 + 1] = this.addressHigh[0];
    }
    this.prepare(longestFrame);
  }

  /** After {@link start} by another thread, on the same ring and tables: this one drives it from now on. */
  adopt(size: number, eventIdx: boolean, longestFrame: number): void {
    this.resize(size);
    this.rewind(eventIdx);
    this.prepare(longestFrame);
  }

  private prepare(longestFrame: number): void {
    this.longest = Math.min(longestFrame, frameCapacity(this.pool.geometry.shift));
    this.free = this.size;
    if (this.isNewShape(this.size, this.longest, this.oneHighWord)) this.burst = this.makeBurst();
  }

  /** Buffers that the device has, or has done with and that were not reclaimed yet. */
  get inFlight(): number {
    return this.size - this.free;
  }

  /** Closures and not methods, over constants: see the receive queue. */
  private makeBurst(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { longest, mask, desc32, oneHighWord } = this;
    const { base, shift } = this.pool.geometry;
    return (handles, lengths, count) => {
      const { u16, u32, slotHandle, addressLow, addressHigh, pool } = this;
      const start = this.availIndex;
      // A device may finish out of order (2.7.8): the next slot can be busy although others are free.
      if (this.free < count || slotHandle[start & mask] !== FREE) {
        this.reclaim();
        if (this.broken !== '') return 0;
      }
      let next = start;
      let taken = 0;
      let bytes = 0;
      while (taken < count) {
        const slot = next & mask;
        // With a slot whose turn has come still busy, the ring is full.
        if (slotHandle[slot] !== FREE) break;
        const handle = handles[taken];
        const length = lengths[taken];
        taken++;
        if (length < SHORTEST || length > longest) {
          pool.put(handle);
          this.droppedBadLength++;
          continue;
        }
        // No offloads are negotiated: all twelve bytes are 0 (5.1.6.2). The buffer may have been received into before.
        // They begin at 2 mod 4: one half word, two words, one half word.
        const header = base + bufferStart(handle, shift) + HEADER_OFFSET;
        u16[header >> 1] = 0;
        u32[(header + 2) >> 2] = 0;
        u32[(header + 6) >> 2] = 0;
        u16[(header + 10) >> 1] = 0;
        const d = desc32 + (slot << 2);
        u32[d] = addressLow[handle];
        if (!oneHighWord) u32[d + 1] = addressHigh[handle];
        u32[d + 2] = length + HEADER_BYTES;
        slotHandle[slot] = handle;
        bytes += length;
        next++;
      }
      const added = next - start;
      if (added > 0) {
        this.free -= added;
        this.packets += added;
        this.bytes += bytes;
        this.publish(added);
      }
      return taken;
    };
  }

  private makeReclaim(): () => void {
    return () => {
      const done = this.usedCount();
      if (done === 0) return;
      const { u32, slotHandle, pool, size, mask, usedRing32 } = this;
      const first = this.usedIndex;
      const end = first + done;
      let used = first;
      for (; used < end; used++) {
        const id = u32[usedRing32 + ((used & mask) << 1)];
        const handle = id < size ? slotHandle[id] : FREE;
        if (handle === FREE) {
          this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
          break;
        }
        pool.put(handle);
        slotHandle[id] = FREE;
      }
      this.usedIndex = used & 0xffff;
      this.free += used - first;
    };
  }
}
