/**
 * Transmit on a split ring: one descriptor per packet, header and frame in one piece (virtio 1.2, 5.1.6.2 and 2.7.4.1).
 * Descriptor id and ring slot are the same, so the available ring is written once, at the start. A packet costs three
 * stores and its header.
 *
 * `burst` takes sent buffers back only when descriptors run out. A caller that wants them earlier calls `reclaim`.
 */
import { bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET, frameCapacity } from '../../../rings/buffer-pool.js';
import type { AddressSpace } from '../../memory/index.js';
import { NET_HEADER_BYTES } from '../net-header.js';
import type { TxQueue } from './queue.js';
import { QueueCount } from './queue-counts.js';
import { SLOT_FREE } from './queue-tables.js';
import { SplitQueue } from './split-queue.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
const FREE = SLOT_FREE;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class SplitTxQueue extends SplitQueue implements TxQueue {
  /** Number of descriptors that the device does not hold. */
  protected free = this.size;
  /** The longest frame that may be sent, in bytes. */
  protected longest = 0;

  burst: (handles: Uint32Array, lengths: Uint32Array, count: number) => number = () => 0;
  readonly reclaim: () => void;

  constructor(...parts: ConstructorParameters<typeof SplitQueue>) {
    super(...parts);
    this.reclaim = this.makeReclaim();
  }

  start(space: AddressSpace, eventIdx: boolean, longestFrame: number): void {
    this.counts[QueueCount.lostOnReset] += this.reset(space, HEADER_OFFSET, eventIdx);
    for (let slot = 0; slot < this.size; slot++) {
      this.u16[this.availRing16 + slot] = slot;
      this.u32[this.desc32 + slot * 4 + 1] = this.addressHigh[0];
    }
    this.prepare(longestFrame);
  }

  adopt(size: number, eventIdx: boolean, longestFrame: number): void {
    this.resize(size);
    this.rewind(eventIdx);
    this.prepare(longestFrame);
  }

  protected prepare(longestFrame: number): void {
    this.longest = Math.min(longestFrame, frameCapacity(this.pool.geometry.shift));
    this.free = this.size;
    if (this.isNewShape(this.size, this.longest, this.oneHighWord)) this.burst = this.makeBurst();
  }

  get inFlight(): number {
    return this.size - this.free;
  }

  /** A closure over constants: docs/v8.md, "Bursts as closures". */
  protected makeBurst(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { longest, mask, desc32, oneHighWord } = this;
    const { base, shift } = this.pool.geometry;
    return (handles, lengths, count) => {
      const { u16, u32, slotHandle, addressLow, addressHigh, pool } = this;
      const start = this.availIndex;
      // A device may finish out of order (2.7.8): the next slot can be busy while others are free.
      if (this.free < count || slotHandle[start & mask] !== FREE) {
        this.reclaim();
        if (this.broken !== '') return 0;
      }
      let next = start;
      let taken = 0;
      let bytes = 0;
      while (taken < count) {
        const slot = next & mask;
        // If the slot whose turn it is is still busy, the ring is full.
        if (slotHandle[slot] !== FREE) break;
        const handle = handles[taken];
        const length = lengths[taken];
        taken++;
        if (length < SHORTEST || length > longest) {
          pool.put(handle);
          this.counts[QueueCount.droppedBadLength]++;
          continue;
        }
        // No offloads are negotiated: all twelve header bytes are 0 (5.1.6.2), but an earlier frame may have left
        // others here. Mostly it has not: without a store the line stays in the device's cache, too. The header begins at
        // 2 mod 4: one half word, two words, one half word.
        const header = base + bufferStart(handle, shift) + HEADER_OFFSET;
        if ((u16[header >> 1] | u32[(header + 2) >> 2] | u32[(header + 6) >> 2] | u16[(header + 10) >> 1]) !== 0) {
          u16[header >> 1] = 0;
          u32[(header + 2) >> 2] = 0;
          u32[(header + 6) >> 2] = 0;
          u16[(header + 10) >> 1] = 0;
        }
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
        this.counts[PACKETS] += added;
        this.counts[BYTES] += bytes;
        this.publish(added);
      }
      return taken;
    };
  }

  protected makeReclaim(): () => void {
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
