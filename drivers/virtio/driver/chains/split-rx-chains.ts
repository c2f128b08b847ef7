/**
 * Receive on a split ring for a device with offloads: the header of each packet is read, and a packet may lie in several
 * buffers. A plain packet in one buffer takes the way that it has in split-rx.ts; `RxAssembly` takes all others.
 */
import { bufferStart, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import { ENTRY_SHIFT } from '../../../../rings/packet-table.js';
import type { AddressSpace } from '../../../memory/index.js';
import { NET_HEADER_BYTES, NET_HEADER_NUM_BUFFERS } from '../../net-header.js';
import { QueueCount } from '../queue-counts.js';
import { SLOT_FREE } from '../queue-tables.js';
import { SplitRxQueue } from '../split-rx.js';
import { SHORTEST_WRITTEN } from '../unfit-frames.js';
import { BROKEN, NOTHING, postedBytes, RxAssembly } from './rx-assembly.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SHIFT = ENTRY_SHIFT;
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const NUM_BUFFERS = NET_HEADER_NUM_BUFFERS >> 1;
const SHORTEST = SHORTEST_WRITTEN;
const FREE = SLOT_FREE;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class SplitRxChains extends SplitRxQueue {
  private readonly words: Int32Array;
  private readonly assembly: RxAssembly;

  constructor(...parts: ConstructorParameters<typeof SplitRxQueue>) {
    super(...parts);
    const [name, memory] = parts;
    this.words = this.tables.chains!.words;
    this.assembly = new RxAssembly(name, memory, this.pool, this.words, this.counts);
  }

  override start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, _inOrder = false, features = 0): boolean {
    this.longest = postedBytes(this.pool.geometry.shift, mergeable);
    // This counts and gives back what is left of the ring before, by what was negotiated then.
    const isFilled = super.start(space, eventIdx, mergeable);
    this.assembly.start(this.size, mergeable, features);
    return isFilled;
  }

  override takeBack(): number {
    this.counts[QueueCount.lostOnReset] += this.assembly.abandon();
    return super.takeBack();
  }

  /** A packet in several buffers is one. The packet that has begun is counted by {@link takeBack}. */
  protected override unread(): number {
    const waiting = this.usedCount();
    let packets = 0;
    for (let used = this.assembly.left; used < waiting; packets++) {
      const id = this.u32[this.usedRing32 + (((this.usedIndex + used) & this.mask) << 1)];
      const handle = id < this.size ? this.slotHandle[id] : FREE;
      used += handle === FREE ? 1 : this.assembly.partsOf(handle);
    }
    return packets;
  }

  protected override makeBurst(): (max: number) => number {
    const { mask, longest, mergeable, usedRing32, desc32, availRing16 } = this;
    const { base, shift } = this.pool.geometry;
    const header16 = (base + HEADER_OFFSET) >> 1;
    return (max) => {
      const waiting = this.usedCount();
      if (waiting === 0) return 0;
      const { u16, u32, i32, slotHandle, addressLow, addressHigh, pool, words, assembly } = this;
      const { handles, lengths } = this.received;
      const { stack } = pool;
      const most = max < handles.length ? max : handles.length;
      const first = this.usedIndex;
      const end = first + waiting;
      let used = first;
      let taken = 0;
      let bytes = 0;
      while (used < end && taken < most) {
        let free = assembly.left === 0 ? pool.available : 0;
        const before = free;
        for (; used < end && taken < most && free > 0; used++) {
          const place = used & mask;
          const entry = usedRing32 + (place << 1);
          const id = i32[entry];
          const written = i32[entry + 1];
          const slot = id & mask;
          const handle = slotHandle[slot];
          if (slot !== id || handle === FREE || written < SHORTEST || written > longest) break;
          // Flags and gso_type: nothing is said of the packet.
          const header = header16 + (bufferStart(handle, shift) >> 1);
          if (u16[header] !== 0 || (mergeable && u16[header + NUM_BUFFERS] > 1)) break;
          words[handle << SHIFT] = 0;
          handles[taken] = handle;
          lengths[taken] = written - HEADER_BYTES;
          bytes += written - HEADER_BYTES;
          taken++;
          const next = stack[--free];
          slotHandle[slot] = next;
          const d = desc32 + (slot << 2);
          u32[d] = addressLow[next];
          u32[d + 1] = addressHigh[next];
          if (u16[availRing16 + place] !== id) u16[availRing16 + place] = id;
        }
        pool.available -= before - free;
        if (used < end && taken < most) {
          const result = this.takeOne(used & mask);
          if (result === BROKEN) break;
          used++;
          if (result === NOTHING) continue;
          handles[taken] = assembly.handle;
          lengths[taken] = assembly.length;
          bytes += assembly.total;
          taken++;
        }
      }
      this.usedIndex = used & 0xffff;
      this.counts[PACKETS] += taken;
      this.counts[BYTES] += bytes;
      if (used !== first) this.publish(used - first);
      return taken;
    };
  }

  /** Takes the buffer of the used entry at `place` out of the ring, whatever it is, and puts another one in. */
  private takeOne(place: number): number {
    const { pool, u16, u32, i32, slotHandle, assembly } = this;
    const entry = this.usedRing32 + (place << 1);
    const id = i32[entry];
    const handle = id >>> 0 < this.size ? slotHandle[id] : FREE;
    if (handle === FREE) {
      this.broken = `${this.name}: used entry names descriptor ${id >>> 0}, which the device does not hold`;
      return BROKEN;
    }
    const result = assembly.take(handle, i32[entry + 1]);
    if (result === BROKEN) {
      this.broken = assembly.fault;
      return BROKEN;
    }
    const next = pool.get();
    slotHandle[id] = next;
    const d = this.desc32 + (id << 2);
    u32[d] = this.addressLow[next];
    u32[d + 1] = this.addressHigh[next];
    u16[this.availRing16 + place] = id;
    return result;
  }
}
