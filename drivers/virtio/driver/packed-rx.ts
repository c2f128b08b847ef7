/**
 * Receive on a packed ring: every descriptor always holds an empty, device-writable buffer, one per packet (virtio 1.2,
 * 5.1.6.3). A used descriptor is refilled in the step that takes its packet out, at the same place and with the same
 * id.
 */
import { type BufferPool, bufferStart, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../rings/buffer-pool.js';
import type { AddressSpace, MemoryViews } from '../../memory/index.js';
import { AVAIL_USED, ID_MASK, PACKED_F_WRITE, WORD_ID_FLAGS, WORD_LENGTH } from '../layout/packed.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../net-header.js';
import type { QueueLayout } from '../transport.js';
import { PackedQueue } from './packed-queue.js';
import type { ReceivedFrames, RxQueue } from './queue.js';
import { QueueCount } from './queue-counts.js';
import { type QueueTables, SLOT_FREE } from './queue-tables.js';
import { countUnfit, SHORTEST_WRITTEN } from './unfit-frames.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const MARKS = AVAIL_USED;
const ID = ID_MASK;
const ID_FLAGS = WORD_ID_FLAGS;
const LENGTH = WORD_LENGTH;
const FREE = SLOT_FREE;
const WRITE = PACKED_F_WRITE;
const NONE = NO_BUFFER;
const HEADER = NET_HEADER_BYTES;
const SHORTEST = SHORTEST_WRITTEN;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

const HEADER_OFFSET = FRAME_OFFSET - HEADER;
const NUM_BUFFERS_OFFSET = HEADER_OFFSET + NET_HEADER_NUM_BUFFERS;

export class PackedRxQueue extends PackedQueue implements RxQueue {
  protected mergeable = false;
  /** Whether the device uses buffers in the order in which it got them (VIRTIO_F_IN_ORDER). */
  protected inOrder = false;
  skipping = 0;
  /** Largest number of bytes that the device may write into a buffer. */
  protected longest: number;

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
    this.longest = HEADER + frameCapacity(pool.geometry.shift);
  }

  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, inOrder: boolean): boolean {
    this.counts[QueueCount.lostOnReset] += this.unread();
    this.reset(space, HEADER_OFFSET, eventIdx);
    this.mergeable = mergeable;
    this.inOrder = inOrder;
    this.skipping = 0;
    if (this.isNewShape(this.size, mergeable, inOrder, this.oneHighWord)) this.burst = this.makeBurst();
    for (let slot = 0; slot < this.size; slot++) {
      const handle = this.pool.get();
      if (handle === NONE) return false;
      this.place(slot, handle);
      this.slotHandle[slot] = handle;
      // The device sees none of them until the first one is marked available (2.8.21.1): see open().
      this.i32[this.desc32 + slot * 4 + ID_FLAGS] = slot === 0 ? 0 : slot | WRITE | this.availMark;
    }
    return true;
  }

  /** Number of packets that the device has received and nobody has taken. */
  protected unread(): number {
    return this.usedRun(this.size);
  }

  open(): void {
    const first = WRITE | this.availMark;
    // The ring is full: the next descriptor is the first one again, in the next round.
    this.availMark ^= MARKS;
    this.publish(0, first, this.size);
    this.kick();
  }

  /**
   * As in split-rx.ts: a closure over constants, and whatever is unusual leaves the inner loop. For a packet in the
   * descriptor at `position` the loop takes the buffer out, puts a free one in, and marks the descriptor available
   * again.
   */
  protected makeBurst(): (max: number) => number {
    const { size, longest, mergeable, inOrder, oneHighWord, desc32 } = this;
    const { base, shift } = this.pool.geometry;
    const numBuffers16 = (base + NUM_BUFFERS_OFFSET) >> 1;
    return (max) => {
      // The arrays are looked up here, not captured: V8 sees them in the loop before it knows that captures are
      // constant.
      const { i32, u16, slotHandle, addressLow, addressHigh, pool } = this;
      const { handles, lengths } = this.received;
      const { stack } = pool;
      const most = max < handles.length ? max : handles.length;
      const waiting = this.usedRun(most < size ? most : size);
      if (waiting === 0) return 0;
      const start = this.nextUsed;
      let position = start;
      let mark = this.availMark;
      let first = 0;
      let taken = 0;
      let refilled = 0;
      let bytes = 0;
      while (refilled < waiting) {
        let free = pool.available;
        for (; refilled < waiting && free > 0; refilled++) {
          const d = desc32 + (position << 2);
          // The device wrote both words. VIRTQ_DESC_F_WRITE is not checked (2.8.4), because QEMU's device does not set
          // it.
          const id = i32[d + ID_FLAGS] & ID;
          const written = i32[d + LENGTH];
          const handle = id < size ? slotHandle[id] : FREE;
          // In order, the id is the position. A batch under one used descriptor (2.8.8) would leave frames without
          // lengths.
          if (handle === FREE || (inOrder && id !== position) || written < SHORTEST || written > longest) break;
          // 0 would be a fault of the device and means 1 (5.1.6.3.1).
          if (mergeable && (this.skipping !== 0 || u16[numBuffers16 + (bufferStart(handle, shift) >> 1)] > 1)) break;
          handles[taken] = handle;
          lengths[taken] = written - HEADER;
          bytes += written;
          taken++;
          const next = stack[--free];
          slotHandle[id] = next;
          i32[d] = addressLow[next];
          if (!oneHighWord) i32[d + 1] = addressHigh[next];
          i32[d + LENGTH] = longest;
          const idAndFlags = id | WRITE | mark;
          if (refilled === 0) first = idAndFlags;
          else i32[d + ID_FLAGS] = idAndFlags;
          if (++position === size) {
            position = 0;
            mark ^= MARKS;
          }
        }
        pool.available = free;
        if (refilled < waiting) {
          const idAndFlags = this.recycle(position) | mark;
          if (this.broken !== '') break;
          if (refilled === 0) first = idAndFlags;
          else i32[desc32 + (position << 2) + ID_FLAGS] = idAndFlags;
          refilled++;
          if (++position === size) {
            position = 0;
            mark ^= MARKS;
          }
        }
      }
      this.counts[PACKETS] += taken;
      this.counts[BYTES] += bytes - taken * HEADER;
      this.nextUsed = position;
      this.nextAvail = position;
      if (mark !== this.availMark) {
        this.availMark = mark;
        this.usedMark ^= MARKS;
      }
      if (refilled > 0) this.publish(start, first, refilled);
      return taken;
    };
  }

  /**
   * Puts the buffer of the used descriptor at `position`, which is no packet for the caller, back where it was, and
   * counts why. Reads the descriptor again and acts on what it reads now. Returns its id and flags, which still need
   * their mark.
   */
  private recycle(position: number): number {
    const { i32, size, mergeable } = this;
    const d = this.desc32 + (position << 2);
    const id = i32[d + ID_FLAGS] & ID;
    const written = i32[d + LENGTH];
    const handle = id < size ? this.slotHandle[id] : FREE;
    if (handle === FREE || (this.inOrder && id !== position)) {
      this.broken = this.strangeId(id, handle, position);
      return 0;
    }
    const parts = mergeable ? this.u16[(this.pool.offsetOf(handle) + NUM_BUFFERS_OFFSET) >> 1] : 1;
    this.broken = countUnfit(this, written, this.longest, parts, size);
    if (this.broken !== '') return 0;
    this.place(position, handle);
    return id | WRITE;
  }

  /** What is wrong with the id in the used descriptor at `position`; `handle` is what it stands for. */
  protected strangeId(id: number, handle: number, position: number): string {
    const fault = handle === FREE ? 'which the device does not hold' : `but ${position} was next in order`;
    return `${this.name}: a used descriptor names buffer ${id}, ${fault}`;
  }

  /** Writes address and length of buffer `handle` into the descriptor at `position`. */
  protected place(position: number, handle: number): void {
    const d = this.desc32 + (position << 2);
    this.i32[d] = this.addressLow[handle];
    this.i32[d + 1] = this.addressHigh[handle];
    this.i32[d + LENGTH] = this.longest;
  }
}
