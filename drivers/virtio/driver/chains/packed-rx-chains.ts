/**
 * Receive on a packed ring for a device with offloads: the header of each packet is read, and a packet may lie in several
 * buffers. Each of them is a used descriptor of its own (virtio 1.2, 5.1.6.4). A plain packet in one buffer takes the way
 * that it has in packed-rx.ts; `RxAssembly` takes all others.
 */
import { bufferStart, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import { ENTRY_SHIFT } from '../../../../rings/packet-table.js';
import type { AddressSpace } from '../../../memory/index.js';
import { AVAIL_USED, ID_MASK, PACKED_F_WRITE, WORD_ID_FLAGS, WORD_LENGTH } from '../../layout/packed.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../../net-header.js';
import { PackedRxQueue } from '../packed-rx.js';
import { QueueCount } from '../queue-counts.js';
import { SLOT_FREE } from '../queue-tables.js';
import { SHORTEST_WRITTEN } from '../unfit-frames.js';
import { BROKEN, PACKET, postedBytes, RxAssembly } from './rx-assembly.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SHIFT = ENTRY_SHIFT;
const MARKS = AVAIL_USED;
const ID = ID_MASK;
const ID_FLAGS = WORD_ID_FLAGS;
const LENGTH = WORD_LENGTH;
const WRITE = PACKED_F_WRITE;
const FREE = SLOT_FREE;
const HEADER = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const NUM_BUFFERS = NET_HEADER_NUM_BUFFERS >> 1;
const SHORTEST = SHORTEST_WRITTEN;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class PackedRxChains extends PackedRxQueue {
  private readonly words: Int32Array;
  private readonly assembly: RxAssembly;
  /** Id of the buffer that {@link takeOne} took last. */
  private lastId = 0;

  constructor(...parts: ConstructorParameters<typeof PackedRxQueue>) {
    super(...parts);
    const [name, memory] = parts;
    this.words = this.tables.chains!.words;
    this.assembly = new RxAssembly(name, memory, this.pool, this.words, this.counts);
  }

  override start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, inOrder: boolean, features = 0): boolean {
    this.longest = postedBytes(this.pool.geometry.shift, mergeable);
    // This counts and gives back what is left of the ring before, by what was negotiated then.
    const isFilled = super.start(space, eventIdx, mergeable, inOrder);
    this.assembly.start(this.size, mergeable, features);
    return isFilled;
  }

  override takeBack(): number {
    this.counts[QueueCount.lostOnReset] += this.assembly.abandon();
    return super.takeBack();
  }

  /** A packet in several buffers is one. The packet that has begun is counted by {@link takeBack}. */
  protected override unread(): number {
    const waiting = this.usedRun(this.size);
    let packets = 0;
    for (let used = this.assembly.left; used < waiting; packets++) {
      const id = this.i32[this.desc32 + (((this.nextUsed + used) % this.size) << 2) + ID_FLAGS] & ID;
      const handle = id < this.size ? this.slotHandle[id] : FREE;
      used += handle === FREE ? 1 : this.assembly.partsOf(handle);
    }
    return packets;
  }

  protected override makeBurst(): (max: number) => number {
    const { size, longest, mergeable, inOrder, desc32 } = this;
    const { base, shift } = this.pool.geometry;
    const header16 = (base + HEADER_OFFSET) >> 1;
    return (max) => {
      const { i32, u16, slotHandle, addressLow, addressHigh, pool, words, assembly } = this;
      const { handles, lengths } = this.received;
      const { stack } = pool;
      const most = max < handles.length ? max : handles.length;
      const start = this.nextUsed;
      let first = 0;
      let taken = 0;
      let refilled = 0;
      let bytes = 0;
      while (taken < most) {
        // A packet takes one buffer or more: so these are not too many, and perhaps not all.
        const room = size - refilled;
        const waiting = this.usedRun(most - taken < room ? most - taken : room);
        if (waiting === 0) break;
        const end = refilled + waiting;
        let position = this.nextUsed;
        let mark = this.availMark;
        while (refilled < end) {
          let free = assembly.left === 0 ? pool.available : 0;
          const before = free;
          for (; refilled < end && free > 0; refilled++) {
            const d = desc32 + (position << 2);
            const id = i32[d + ID_FLAGS] & ID;
            const written = i32[d + LENGTH];
            const handle = id < size ? slotHandle[id] : FREE;
            if (handle === FREE || (inOrder && id !== position) || written < SHORTEST || written > longest) break;
            // Flags and gso_type: nothing is said of the packet.
            const header = header16 + (bufferStart(handle, shift) >> 1);
            if (u16[header] !== 0 || (mergeable && u16[header + NUM_BUFFERS] > 1)) break;
            words[handle << SHIFT] = 0;
            handles[taken] = handle;
            lengths[taken] = written - HEADER;
            bytes += written - HEADER;
            taken++;
            const next = stack[--free];
            slotHandle[id] = next;
            i32[d] = addressLow[next];
            i32[d + 1] = addressHigh[next];
            i32[d + LENGTH] = longest;
            const idAndFlags = id | WRITE | mark;
            if (refilled === 0) first = idAndFlags;
            else i32[d + ID_FLAGS] = idAndFlags;
            if (++position === size) {
              position = 0;
              mark ^= MARKS;
            }
          }
          pool.available -= before - free;
          if (refilled < end) {
            const result = this.takeOne(position);
            if (result === BROKEN) break;
            if (result === PACKET) {
              handles[taken] = assembly.handle;
              lengths[taken] = assembly.length;
              bytes += assembly.total;
              taken++;
            }
            const d = desc32 + (position << 2);
            const idAndFlags = this.lastId | WRITE | mark;
            if (refilled === 0) first = idAndFlags;
            else i32[d + ID_FLAGS] = idAndFlags;
            refilled++;
            if (++position === size) {
              position = 0;
              mark ^= MARKS;
            }
          }
        }
        this.nextUsed = position;
        this.nextAvail = position;
        if (mark !== this.availMark) {
          this.availMark = mark;
          this.usedMark ^= MARKS;
        }
        if (this.broken !== '') break;
      }
      this.counts[PACKETS] += taken;
      this.counts[BYTES] += bytes;
      if (refilled > 0) this.publish(start, first, refilled);
      return taken;
    };
  }

  /**
   * Takes the buffer of the used descriptor at `position` out of the ring, whatever it is, and puts another one in. The
   * descriptor still needs its id and flags.
   */
  private takeOne(position: number): number {
    const { i32, slotHandle, pool, assembly } = this;
    const d = this.desc32 + (position << 2);
    const id = i32[d + ID_FLAGS] & ID;
    const handle = id < this.size ? slotHandle[id] : FREE;
    if (handle === FREE || (this.inOrder && id !== position)) {
      this.broken = this.strangeId(id, handle, position);
      return BROKEN;
    }
    const result = assembly.take(handle, i32[d + LENGTH]);
    if (result === BROKEN) {
      this.broken = assembly.fault;
      return BROKEN;
    }
    const next = pool.get();
    slotHandle[id] = next;
    this.place(position, next);
    this.lastId = id;
    return result;
  }
}
