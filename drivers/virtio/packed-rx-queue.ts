/**
 * Receive on a packed ring: the ring is always full of empty buffers, device-writable, one a packet (virtio 1.2, 5.1.6.3).
 * A used descriptor is filled anew in the same step that takes its packet out, at the same place and with the same id.
 */
import { type BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
import type { AddressSpace, MemoryViews } from '../memory/index.js';
import type { ReceivedFrames, RxQueue } from './driver-queues.js';
import { ETHERNET_HEADER_BYTES, NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from './net-header.js';
import { AVAIL_USED, ID_MASK, PACKED_F_WRITE, WORD_ID_FLAGS, WORD_LENGTH } from './packed-layout.js';
import { PackedQueue } from './packed-queue.js';
import { type QueueTables, SLOT_FREE } from './queue-tables.js';
import type { QueueLayout } from './transport.js';

// V8 loads an imported constant from its module's cell at each use; one of this file it compiles in.
const MARKS = AVAIL_USED;
const ID = ID_MASK;
const ID_FLAGS = WORD_ID_FLAGS;
const LENGTH = WORD_LENGTH;
const FREE = SLOT_FREE;
const WRITE = PACKED_F_WRITE;
const NONE = NO_BUFFER;
const HEADER = NET_HEADER_BYTES;
const SHORTEST = NET_HEADER_BYTES + ETHERNET_HEADER_BYTES;

const HEADER_OFFSET = FRAME_OFFSET - HEADER;

export class PackedRxQueue extends PackedQueue implements RxQueue {
  packets = 0;
  bytes = 0;
  droppedNoBuffer = 0;
  droppedBadLength = 0;
  droppedTooLong = 0;
  lostOnReset = 0;

  private mergeable = false;
  /** The device uses buffers in the order in which it got them (VIRTIO_F_IN_ORDER). */
  private inOrder = false;
  /** Buffers still to come of a merged packet that is being dropped. */
  private skipping = 0;

  constructor(
    name: string,
    memory: MemoryViews,
    layout: QueueLayout,
    pool: BufferPool,
    readonly received: ReceivedFrames,
    tables?: QueueTables,
  ) {
    super(name, memory, layout, pool, tables);
  }

  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, inOrder: boolean): boolean {
    this.lostOnReset += this.usedRun(this.size);
    this.reset(space, HEADER_OFFSET, eventIdx);
    this.mergeable = mergeable;
    this.inOrder = inOrder;
    this.skipping = 0;
    for (let slot = 0; slot < this.size; slot++) {
      const handle = this.pool.get();
      if (handle === NONE) return false;
      this.place(slot, handle);
      this.slotHandle[slot] = handle;
      // Without a mark on the first the device sees none of them (2.8.21.1).
      this.i32[this.desc32 + slot * 4 + ID_FLAGS] = slot === 0 ? 0 : slot | WRITE | this.availMark;
    }
    return true;
  }

  open(): void {
    const first = WRITE | this.availMark;
    // A full ring: the next descriptor is the first again, in the next round.
    this.availMark ^= MARKS;
    this.publish(0, first, this.size);
    this.kick();
  }

  burst(max: number): number {
    const { handles, lengths } = this.received;
    const waiting = this.usedRun(Math.min(max, this.size, handles.length));
    if (waiting === 0) return 0;
    const { i32, slotHandle, size, inOrder } = this;
    const capacity = HEADER + frameCapacity(this.pool.geometry.shift);
    const start = this.nextUsed;
    let position = start;
    let mark = this.availMark;
    let first = 0;
    let taken = 0;
    let refilled = 0;
    let bytes = 0;
    for (; refilled < waiting; refilled++) {
      const d = this.desc32 + (position << 2);
      // Both are the device's word. VIRTQ_DESC_F_WRITE is not asked for (2.8.4): QEMU's device does not set it.
      const id = i32[d + ID_FLAGS] & ID;
      const written = i32[d + LENGTH];
      const handle = id < size ? slotHandle[id] : FREE;
      // In order the id is the position. A batch under one used descriptor (2.8.8) would be frames without their lengths.
      if (handle === FREE || (inOrder && id !== position)) {
        const fault = handle === FREE ? 'which the device does not hold' : `where ${position} was to come in order`;
        this.broken = `${this.name}: a used descriptor names buffer ${id}, ${fault}`;
        break;
      }
      // What goes back into the descriptor: the packet's own buffer, unless the packet is taken out.
      let next = handle;
      if (this.skipping !== 0) {
        this.skipping--;
      } else if (written < SHORTEST || written > capacity) {
        this.droppedBadLength++;
      } else {
        const parts = this.mergeable ? this.buffersOf(handle) : 1;
        if (parts > size) {
          this.broken = `${this.name}: a packet in ${parts} buffers, where the queue has ${size}`;
          break;
        }
        if (parts !== 1) {
          // A frame longer than a buffer; buffers are sized for the MTU, so nobody could use it.
          this.skipping = parts - 1;
          this.droppedTooLong++;
        } else {
          next = this.pool.get();
          if (next === NONE) {
            next = handle;
            this.droppedNoBuffer++;
          } else {
            handles[taken] = handle;
            lengths[taken] = written - HEADER;
            bytes += written - HEADER;
            taken++;
          }
        }
      }
      this.place(position, next);
      slotHandle[id] = next;
      const idAndFlags = id | WRITE | mark;
      if (refilled === 0) first = idAndFlags;
      else i32[d + ID_FLAGS] = idAndFlags;
      if (++position === size) {
        position = 0;
        mark ^= MARKS;
      }
    }
    this.packets += taken;
    this.bytes += bytes;
    this.nextUsed = position;
    this.nextAvail = position;
    if (mark !== this.availMark) {
      this.availMark = mark;
      this.usedMark ^= MARKS;
    }
    if (refilled > 0) this.publish(start, first, refilled);
    return taken;
  }

  /** Writes address and length of buffer `handle` into the descriptor at `position`. */
  private place(position: number, handle: number): void {
    const d = this.desc32 + (position << 2);
    this.i32[d] = this.addressLow[handle];
    this.i32[d + 1] = this.addressHigh[handle];
    this.i32[d + LENGTH] = HEADER + frameCapacity(this.pool.geometry.shift);
  }

  /** num_buffers of the header, at least 1: 0 would be the device's fault and means the same (5.1.6.3.1). */
  private buffersOf(handle: number): number {
    const count = this.u16[(this.pool.offsetOf(handle) + HEADER_OFFSET + NET_HEADER_NUM_BUFFERS) >> 1];
    return count === 0 ? 1 : count;
  }
}
