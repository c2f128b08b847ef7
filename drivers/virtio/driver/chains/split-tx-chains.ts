/**
 * Transmit on a split ring for a device with offloads: a packet may ask for its checksum and its segmentation, and may
 * lie in several buffers, each of which is a descriptor of a chain (virtio 1.2, 2.7.5 and 5.1.6.2). With INDIRECT_DESC
 * such a chain lies in a table of its own, and takes one descriptor of the ring (2.7.5.3).
 *
 * Descriptors are taken in turn, as the places of the available ring are. They are not the same places, because a chain
 * takes several descriptors and one place.
 */
import { bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import { CHECKSUM_VERIFIED, ENTRY_SHIFT, LAST, LENGTH, NEXT, START } from '../../../../rings/packet-table.js';
import type { AddressSpace } from '../../../memory/index.js';
import { DESC_BYTES, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from '../../layout/split.js';
import { NET_HEADER_BYTES } from '../../net-header.js';
import { USE_INDIRECT } from '../offload-bits.js';
import { QueueCount } from '../queue-counts.js';
import { SLOT_FREE } from '../queue-tables.js';
import { SplitTxQueue } from '../split-tx.js';
import { INDIRECT_SHIFT, mapIndirect } from './indirect-tables.js';
import { SLOT_CHAIN, SLOT_PART, TxPackets } from './tx-packets.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SHIFT = ENTRY_SHIFT;
const MEANS_NOTHING = CHECKSUM_VERIFIED;
const HEADER_BYTES = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
const FREE = SLOT_FREE;
const PART = SLOT_PART;
const HEAD = SLOT_CHAIN;
const HAS_NEXT = VIRTQ_DESC_F_NEXT;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class SplitTxChains extends SplitTxQueue {
  private readonly words: Int32Array;
  private readonly packets: TxPackets;
  private features = 0;
  /** The next descriptor. */
  private cursor = 0;

  constructor(...parts: ConstructorParameters<typeof SplitTxQueue>) {
    super(...parts);
    const [, memory] = parts;
    this.words = this.tables.chains!.words;
    this.packets = new TxPackets(memory, this.pool, this.words, this.counts);
  }

  override start(space: AddressSpace, eventIdx: boolean, longestFrame: number, _inOrder = false, features = 0): void {
    if ((features & USE_INDIRECT) !== 0) mapIndirect(space, this.tables.chains!, this.size);
    this.features = features;
    super.start(space, eventIdx, longestFrame);
  }

  override adopt(size: number, eventIdx: boolean, longestFrame: number, _inOrder = false, features = 0): void {
    this.features = features;
    super.adopt(size, eventIdx, longestFrame);
  }

  protected override prepare(longestFrame: number): void {
    this.packets.start(this.size, longestFrame, this.features);
    this.cursor = 0;
    super.prepare(longestFrame);
  }

  override takeBack(): number {
    return this.packets.takeBack(this.slotHandle);
  }

  protected override makeBurst(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { longest, mask, desc32, availRing16 } = this;
    const { base, shift } = this.pool.geometry;
    return (handles, lengths, count) => {
      const { u16, u32, slotHandle, addressLow, addressHigh, pool, words, packets } = this;
      const start = this.availIndex;
      let cursor = this.cursor;
      if (this.free < count || slotHandle[cursor] !== FREE) {
        this.reclaim();
        if (this.broken !== '') return 0;
      }
      let next = start;
      let used = 0;
      let taken = 0;
      let bytes = 0;
      for (; taken < count; taken++) {
        const handle = handles[taken];
        const length = lengths[taken];
        const entry = handle << SHIFT;
        const flags = words[entry];
        let slots = 1;
        if ((flags & ~MEANS_NOTHING) === 0) {
          if (slotHandle[cursor] !== FREE && !this.makeRoom(cursor, 1)) break;
          if (flags !== 0) words[entry] = 0;
          if (length < SHORTEST || length > longest) {
            pool.put(handle);
            this.counts[QueueCount.droppedBadLength]++;
            continue;
          }
          const header = base + bufferStart(handle, shift) + HEADER_OFFSET;
          u16[header >> 1] = 0;
          u32[(header + 2) >> 2] = 0;
          u32[(header + 6) >> 2] = 0;
          u16[(header + 10) >> 1] = 0;
          const d = desc32 + (cursor << 2);
          u32[d] = addressLow[handle];
          u32[d + 1] = addressHigh[handle];
          u32[d + 2] = length + HEADER_BYTES;
          u32[d + 3] = 0;
          slotHandle[cursor] = handle;
          bytes += length;
        } else {
          const parts = packets.prepare(handle, length);
          if (parts === 0) continue;
          if (parts > 1 && (this.features & USE_INDIRECT) === 0) slots = parts;
          if (!this.makeRoom(cursor, slots)) break;
          words[entry] = 0;
          bytes += packets.total;
          if (slots > 1) this.placeChain(cursor, handle, length);
          else if (parts > 1) this.placeIndirect(cursor, handle, length);
          else this.placeOne(cursor, handle, length);
        }
        const place = availRing16 + (next & mask);
        if (u16[place] !== cursor) u16[place] = cursor;
        cursor = (cursor + slots) & mask;
        used += slots;
        next++;
      }
      if (used > 0) {
        this.cursor = cursor;
        this.free -= used;
        this.counts[PACKETS] += next - start;
        this.counts[BYTES] += bytes;
        // A ring that reclaim has found broken meanwhile is left alone.
        if (this.broken === '') this.publish(next - start);
      }
      return taken;
    };
  }

  /** Whether `count` descriptors from `first` on are free, if need be after a look at what was sent. */
  private makeRoom(first: number, count: number): boolean {
    if (this.areFree(first, count)) return true;
    this.reclaim();
    return this.broken === '' && this.areFree(first, count);
  }

  private areFree(first: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.slotHandle[(first + i) & this.mask] !== FREE) return false;
    return true;
  }

  /** A packet in one buffer, whose header is written. */
  private placeOne(slot: number, handle: number, length: number): void {
    this.describe(this.desc32 + (slot << 2), handle, HEADER_OFFSET, length + HEADER_BYTES, 0);
    this.slotHandle[slot] = handle;
  }

  /** A descriptor for each buffer of the chain, from `first` on. */
  private placeChain(first: number, handle: number, length: number): void {
    const { words, slotHandle, mask, desc32 } = this;
    let slot = first;
    let start = HEADER_OFFSET;
    let bytes = length + HEADER_BYTES;
    for (let part = handle; ; ) {
      slotHandle[slot] = slot === first ? HEAD - handle : PART;
      const next = words[(part << SHIFT) + NEXT];
      const after = (slot + 1) & mask;
      this.describe(desc32 + (slot << 2), part, start, bytes, next === LAST ? 0 : HAS_NEXT | (after << 16));
      if (next === LAST) return;
      part = next;
      slot = after;
      start = words[(part << SHIFT) + START];
      bytes = words[(part << SHIFT) + LENGTH];
    }
  }

  /** A descriptor for each buffer of the chain, in the table of `slot`. */
  private placeIndirect(slot: number, handle: number, length: number): void {
    const { words, u32 } = this;
    const { indirect, indirectLow, indirectHigh } = this.tables.chains!;
    const table = (indirect + (slot << INDIRECT_SHIFT)) >> 2;
    let count = 0;
    let start = HEADER_OFFSET;
    let bytes = length + HEADER_BYTES;
    for (let part = handle; ; ) {
      const next = words[(part << SHIFT) + NEXT];
      const tail = next === LAST ? 0 : HAS_NEXT | ((count + 1) << 16);
      this.describe(table + (count << 2), part, start, bytes, tail);
      count++;
      if (next === LAST) break;
      part = next;
      start = words[(part << SHIFT) + START];
      bytes = words[(part << SHIFT) + LENGTH];
    }
    const d = this.desc32 + (slot << 2);
    u32[d] = indirectLow[slot];
    u32[d + 1] = indirectHigh[slot];
    u32[d + 2] = count * DESC_BYTES;
    u32[d + 3] = VIRTQ_DESC_F_INDIRECT;
    this.slotHandle[slot] = HEAD - handle;
  }

  /** Writes a descriptor at `d`: `bytes` bytes of buffer `part`, from `start` on; `tail` are its flags and next. */
  private describe(d: number, part: number, start: number, bytes: number, tail: number): void {
    const { i32 } = this;
    i32[d] = (this.addressLow[part] + start - HEADER_OFFSET) | 0;
    i32[d + 1] = this.addressHigh[part];
    i32[d + 2] = bytes;
    i32[d + 3] = tail;
  }

  protected override makeReclaim(): () => void {
    return () => {
      const done = this.usedCount();
      if (done === 0) return;
      const { u32, slotHandle, pool, size, mask, usedRing32 } = this;
      const end = this.usedIndex + done;
      let used = this.usedIndex;
      let freed = 0;
      for (; used < end; used++) {
        const id = u32[usedRing32 + ((used & mask) << 1)];
        const what = id < size ? slotHandle[id] : FREE;
        if (what >= 0) {
          pool.put(what);
          slotHandle[id] = FREE;
          freed++;
        } else if (what <= HEAD) {
          freed += this.freeChain(id, what);
        } else {
          this.broken = `${this.name}: used entry names descriptor ${id}, which the device does not hold`;
          break;
        }
      }
      this.usedIndex = used & 0xffff;
      this.free += freed;
    };
  }

  /** Frees a sent chain and its descriptors. Returns how many these were. */
  private freeChain(slot: number, what: number): number {
    const parts = this.packets.freeChain(what);
    const slots = (this.features & USE_INDIRECT) === 0 ? parts : 1;
    for (let i = 0; i < slots; i++) this.slotHandle[(slot + i) & this.mask] = FREE;
    return slots;
  }
}
