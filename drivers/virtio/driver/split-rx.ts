/**
 * Receive on a split ring: every descriptor always holds an empty, device-writable buffer, one per packet (virtio 1.2,
 * 5.1.6.3). A used descriptor is refilled in the step that takes its packet out, so the ring never runs low.
 */
import { type BufferPool, bufferStart, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../rings/buffer-pool.js';
import type { AddressSpace, MemoryViews } from '../../memory/index.js';
import { VIRTQ_DESC_F_WRITE } from '../layout/split.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../net-header.js';
import type { QueueLayout } from '../transport.js';
import type { ReceivedFrames, RxQueue } from './queue.js';
import { QueueCount } from './queue-counts.js';
import { type QueueTables, SLOT_FREE } from './queue-tables.js';
import { SplitQueue } from './split-queue.js';
import { countUnfit, SHORTEST_WRITTEN } from './unfit-frames.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const NUM_BUFFERS_OFFSET = HEADER_OFFSET + NET_HEADER_NUM_BUFFERS;
const SHORTEST = SHORTEST_WRITTEN;
const FREE = SLOT_FREE;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class SplitRxQueue extends SplitQueue implements RxQueue {
  /** Largest number of bytes that the device may write into a buffer. */
  protected longest: number;
  /** Whether num_buffers counts: with MRG_RXBUF. Otherwise it is 1, whatever the device wrote (5.1.6.4). */
  protected mergeable = false;
  skipping = 0;

  burst: (max: number) => number = () => 0;

  constructor(
    name: string,
    memory: MemoryViews,
    layout: QueueLayout,
    pool: BufferPool,
    readonly received: ReceivedFrames,
    tables?: QueueTables,
    counts?: Float64Array,
  ) {
    super(name, memory, layout, pool, tables, counts);
    this.longest = NET_HEADER_BYTES + frameCapacity(pool.geometry.shift);
  }

  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean): boolean {
    this.counts[QueueCount.lostOnReset] += this.unread();
    this.reset(space, HEADER_OFFSET, eventIdx);
    this.mergeable = mergeable;
    this.skipping = 0;
    if (this.isNewShape(this.size, mergeable, this.oneHighWord)) this.burst = this.makeBurst();
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

  /** Number of packets that the device has received and nobody has taken. */
  protected unread(): number {
    return this.usedCount();
  }

  open(): void {
    this.publish(this.size);
    this.kick();
  }

  /**
   * A closure over constants: docs/v8.md, "Bursts as closures". Whatever is unusual leaves the inner loop, so that the
   * loop makes no call and writes no field of an object: all that it needs stays in registers.
   */
  protected makeBurst(): (max: number) => number {
    const { mask, longest, mergeable, oneHighWord, usedRing32, desc32, availRing16 } = this;
    const { base, shift } = this.pool.geometry;
    const numBuffers16 = (base + NUM_BUFFERS_OFFSET) >> 1;
    return (max) => {
      const waiting = this.usedCount();
      if (waiting === 0) return 0;
      // The arrays are looked up here, not captured: V8 sees them in the loop before it knows that captures are
      // constant.
      const { u16, u32, i32, slotHandle, addressLow, addressHigh, pool } = this;
      const { handles, lengths } = this.received;
      const { stack } = pool;
      const first = this.usedIndex;
      const most = max < handles.length ? max : handles.length;
      const end = first + (waiting < most ? waiting : most);
      let used = first;
      let taken = 0;
      let bytes = 0;
      while (used < end) {
        let free = pool.available;
        for (; used < end && free > 0; used++) {
          const place = used & mask;
          const entry = usedRing32 + (place << 1);
          // The device wrote both words. They are read signed: a value beyond 2^31 is negative, and so is refused.
          const id = i32[entry];
          const written = i32[entry + 1];
          const slot = id & mask;
          const handle = slotHandle[slot];
          // The id must name a descriptor that was posted and not returned yet.
          if (slot !== id || handle === FREE || written < SHORTEST || written > longest) break;
          // 0 would be a fault of the device and means 1 (5.1.6.3.1).
          if (mergeable && (this.skipping !== 0 || u16[numBuffers16 + (bufferStart(handle, shift) >> 1)] > 1)) break;
          handles[taken] = handle;
          lengths[taken] = written - HEADER_BYTES;
          bytes += written;
          taken++;
          const next = stack[--free];
          slotHandle[slot] = next;
          const d = desc32 + (slot << 2);
          u32[d] = addressLow[next];
          if (!oneHighWord) u32[d + 1] = addressHigh[next];
          // The ring is always full: its available index is one whole ring ahead of the used index, so both have this
          // place. If the device works in order, the id is there already; without a store the line stays in the
          // device's cache.
          if (u16[availRing16 + place] !== id) u16[availRing16 + place] = id;
        }
        pool.available = free;
        if (used < end) {
          if (!this.recycle(used & mask)) break;
          used++;
        }
      }
      this.usedIndex = used & 0xffff;
      this.counts[PACKETS] += taken;
      this.counts[BYTES] += bytes - taken * HEADER_BYTES;
      if (used !== first) this.publish(used - first);
      return taken;
    };
  }

  /**
   * Puts the buffer of the used entry at `place`, which is no packet for the caller, back into the ring, and counts
   * why. Reads the entry again and acts on what it reads now. Returns false when the ring is broken.
   */
  private recycle(place: number): boolean {
    const { mergeable, pool, size, usedRing32, u16, u32 } = this;
    const id = u32[usedRing32 + (place << 1)];
    const written = u32[usedRing32 + (place << 1) + 1];
    const handle = id < size ? this.slotHandle[id] : FREE;
    if (handle === FREE) {
      this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
      return false;
    }
    const parts = mergeable ? u16[(pool.offsetOf(handle) + NUM_BUFFERS_OFFSET) >> 1] : 1;
    this.broken = countUnfit(this, written, this.longest, parts, size);
    if (this.broken !== '') return false;
    u16[this.availRing16 + place] = id;
    return true;
  }
}
