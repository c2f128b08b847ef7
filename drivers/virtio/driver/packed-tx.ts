/**
 * Transmit on a packed ring: one descriptor per packet, header and frame in one piece (virtio 1.2, 5.1.6.2). A buffer's
 * id is the position at which it was made available. For a device that uses buffers in order, no id needs to be looked
 * up.
 *
 * `burst` takes sent buffers back only when descriptors run out. A caller that wants them earlier calls `reclaim`.
 */
import { bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET, frameCapacity } from '../../../rings/buffer-pool.js';
import type { AddressSpace } from '../../memory/index.js';
import { AVAIL_USED, ID_MASK, WORD_ID_FLAGS, WORD_LENGTH } from '../layout/packed.js';
import { NET_HEADER_BYTES } from '../net-header.js';
import { PackedQueue } from './packed-queue.js';
import type { TxQueue } from './queue.js';
import { QueueCount } from './queue-counts.js';
import { SLOT_FREE } from './queue-tables.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const MARKS = AVAIL_USED;
const ID = ID_MASK;
const ID_FLAGS = WORD_ID_FLAGS;
const LENGTH = WORD_LENGTH;
const FREE = SLOT_FREE;
const HEADER = NET_HEADER_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

const HEADER_OFFSET = FRAME_OFFSET - HEADER;

export class PackedTxQueue extends PackedQueue implements TxQueue {
  /** Number of descriptors that the device does not hold. */
  protected free = this.size;
  /** The longest frame that may be sent, in bytes. */
  protected longest = 0;
  /** Whether the device uses buffers in the order in which it got them (VIRTIO_F_IN_ORDER). */
  protected inOrder = false;

  burst: (handles: Uint32Array, lengths: Uint32Array, count: number) => number = () => 0;
  private readonly reclaimEach = this.makeReclaimEach();

  start(space: AddressSpace, eventIdx: boolean, longestFrame: number, inOrder: boolean): void {
    this.counts[QueueCount.lostOnReset] += this.reset(space, HEADER_OFFSET, eventIdx);
    this.prepare(longestFrame, inOrder);
  }

  adopt(size: number, eventIdx: boolean, longestFrame: number, inOrder: boolean): void {
    this.resize(size);
    this.rewind(eventIdx);
    this.prepare(longestFrame, inOrder);
  }

  protected prepare(longestFrame: number, inOrder: boolean): void {
    this.longest = Math.min(longestFrame, frameCapacity(this.pool.geometry.shift));
    this.free = this.size;
    this.inOrder = inOrder;
    if (this.isNewShape(this.size, this.longest)) this.burst = this.makeBurst();
  }

  get inFlight(): number {
    return this.size - this.free;
  }

  /** A closure over constants: docs/v8.md, "Bursts as closures". */
  protected makeBurst(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { longest, size, desc32 } = this;
    const { base, shift } = this.pool.geometry;
    return (handles, lengths, count) => {
      const { u16, i32, slotHandle, addressLow, addressHigh, pool } = this;
      const start = this.nextAvail;
      // A device may finish out of order: the next id can be busy while others are free.
      if (this.free < count || slotHandle[start] !== FREE) {
        this.reclaim();
        if (this.broken !== '') return 0;
      }
      let position = start;
      let mark = this.availMark;
      let first = 0;
      let added = 0;
      let taken = 0;
      let bytes = 0;
      while (taken < count) {
        // If the id whose turn it is is still busy, the ring is full.
        if (slotHandle[position] !== FREE) break;
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
        if ((u16[header >> 1] | i32[(header + 2) >> 2] | i32[(header + 6) >> 2] | u16[(header + 10) >> 1]) !== 0) {
          u16[header >> 1] = 0;
          i32[(header + 2) >> 2] = 0;
          i32[(header + 6) >> 2] = 0;
          u16[(header + 10) >> 1] = 0;
        }
        const d = desc32 + (position << 2);
        i32[d] = addressLow[handle];
        i32[d + 1] = addressHigh[handle];
        i32[d + LENGTH] = length + HEADER;
        if (added === 0) first = position | mark;
        else i32[d + ID_FLAGS] = position | mark;
        slotHandle[position] = handle;
        bytes += length;
        added++;
        if (++position === size) {
          position = 0;
          mark ^= MARKS;
        }
      }
      if (added > 0) {
        this.free -= added;
        this.counts[PACKETS] += added;
        this.counts[BYTES] += bytes;
        this.nextAvail = position;
        this.availMark = mark;
        this.publish(start, first, added);
      }
      return taken;
    };
  }

  reclaim(): void {
    if (this.inOrder) this.reclaimBatches();
    else this.reclaimEach();
  }

  /**
   * In order, one used descriptor returns a whole batch: it lies in place of the batch's first and names its last
   * (2.8.8).
   */
  protected reclaimBatches(): void {
    const { i32, slotHandle, size } = this;
    while (this.usedRun(this.free === size ? 0 : 1) !== 0) {
      let position = this.nextUsed;
      const id = i32[this.desc32 + (position << 2) + ID_FLAGS] & ID;
      // An id is the position at which the buffer was made available.
      let count = id - position + 1;
      if (count <= 0) count += size;
      if (id >= size || count > size - this.free) {
        this.broken = `${this.name}: a used descriptor names buffer ${id}, which the device does not hold`;
        return;
      }
      this.free += count;
      for (; count > 0; count--) {
        this.pool.put(slotHandle[position]);
        slotHandle[position] = FREE;
        if (++position === size) {
          position = 0;
          this.usedMark ^= MARKS;
        }
      }
      this.nextUsed = position;
    }
  }

  protected makeReclaimEach(): () => void {
    return () => {
      // At most as many as the device was given: marks beyond are left over from the round before.
      const done = this.usedRun(this.size - this.free);
      if (done === 0) return;
      const { i32, slotHandle, size, desc32, pool } = this;
      let position = this.nextUsed;
      let mark = this.usedMark;
      let freed = 0;
      for (; freed < done; freed++) {
        const id = i32[desc32 + (position << 2) + ID_FLAGS] & ID;
        const handle = id < size ? slotHandle[id] : FREE;
        if (handle === FREE) {
          this.broken = `${this.name}: a used descriptor names buffer ${id}, which the device does not hold`;
          break;
        }
        pool.put(handle);
        slotHandle[id] = FREE;
        if (++position === size) {
          position = 0;
          mark ^= MARKS;
        }
      }
      this.nextUsed = position;
      this.usedMark = mark;
      this.free += freed;
    };
  }
}
