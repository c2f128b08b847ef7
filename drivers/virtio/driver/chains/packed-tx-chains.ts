/**
 * Transmit on a packed ring for a device with offloads: a packet may ask for its checksum and its segmentation, and may
 * lie in several buffers. These are descriptors in a row (virtio 1.2, 2.8.6), or with INDIRECT_DESC a table of their own,
 * which takes one descriptor of the ring (2.8.7). The id of a packet is the position of its first descriptor.
 *
 * A device that works out of order can leave the id of the next position busy while the position itself is free, and the
 * other way round. So a packet needs both: its id, and as many free descriptors as it takes.
 */
import { bufferStart, ETHERNET_HEADER_BYTES, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import { CHECKSUM_VERIFIED, ENTRY_SHIFT, LAST, LENGTH, NEXT, START } from '../../../../rings/packet-table.js';
import type { AddressSpace } from '../../../memory/index.js';
import {
  AVAIL_USED,
  ID_MASK,
  PACKED_DESC_BYTES,
  PACKED_F_INDIRECT,
  PACKED_F_NEXT,
  WORD_ID_FLAGS,
  WORD_LENGTH,
} from '../../layout/packed.js';
import { NET_HEADER_BYTES } from '../../net-header.js';
import { USE_INDIRECT } from '../offload-bits.js';
import { PackedTxQueue } from '../packed-tx.js';
import { QueueCount } from '../queue-counts.js';
import { SLOT_FREE } from '../queue-tables.js';
import { INDIRECT_SHIFT, mapIndirect } from './indirect-tables.js';
import { SLOT_CHAIN, TxPackets } from './tx-packets.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SHIFT = ENTRY_SHIFT;
const MEANS_NOTHING = CHECKSUM_VERIFIED;
const MARKS = AVAIL_USED;
const ID = ID_MASK;
const ID_FLAGS = WORD_ID_FLAGS;
const BYTES_WORD = WORD_LENGTH;
const FREE = SLOT_FREE;
const HEAD = SLOT_CHAIN;
const HEADER = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
const { packets: PACKETS, bytes: BYTES } = QueueCount;

export class PackedTxChains extends PackedTxQueue {
  private readonly words: Int32Array;
  private readonly packets: TxPackets;
  private features = 0;

  constructor(...parts: ConstructorParameters<typeof PackedTxQueue>) {
    super(...parts);
    const [, memory] = parts;
    this.words = this.tables.chains!.words;
    this.packets = new TxPackets(memory, this.pool, this.words, this.counts);
  }

  override start(space: AddressSpace, eventIdx: boolean, longestFrame: number, inOrder: boolean, features = 0): void {
    if ((features & USE_INDIRECT) !== 0) mapIndirect(space, this.tables.chains!, this.size);
    this.features = features;
    super.start(space, eventIdx, longestFrame, inOrder);
  }

  override adopt(size: number, eventIdx: boolean, longestFrame: number, inOrder: boolean, features = 0): void {
    this.features = features;
    super.adopt(size, eventIdx, longestFrame, inOrder);
  }

  protected override prepare(longestFrame: number, inOrder: boolean): void {
    this.packets.start(this.size, longestFrame, this.features);
    super.prepare(longestFrame, inOrder);
  }

  override takeBack(): number {
    return this.packets.takeBack(this.slotHandle);
  }

  protected override makeBurst(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { longest, size, desc32 } = this;
    const { base, shift } = this.pool.geometry;
    return (handles, lengths, count) => {
      const { u16, i32, slotHandle, addressLow, addressHigh, pool, words, packets } = this;
      const start = this.nextAvail;
      if (this.free < count || slotHandle[start] !== FREE) {
        this.reclaim();
        if (this.broken !== '') return 0;
      }
      let position = start;
      let mark = this.availMark;
      let first = 0;
      let used = 0;
      let added = 0;
      let taken = 0;
      let bytes = 0;
      for (; taken < count; taken++) {
        const handle = handles[taken];
        const length = lengths[taken];
        const entry = handle << SHIFT;
        const flags = words[entry];
        let span = 1;
        let tail = 0;
        if ((flags & ~MEANS_NOTHING) === 0) {
          if ((slotHandle[position] !== FREE || this.free === used) && !this.makeRoom(position, used + 1)) break;
          if (flags !== 0) words[entry] = 0;
          if (length < SHORTEST || length > longest) {
            pool.put(handle);
            this.counts[QueueCount.droppedBadLength]++;
            continue;
          }
          const header = base + bufferStart(handle, shift) + HEADER_OFFSET;
          u16[header >> 1] = 0;
          i32[(header + 2) >> 2] = 0;
          i32[(header + 6) >> 2] = 0;
          u16[(header + 10) >> 1] = 0;
          const d = desc32 + (position << 2);
          i32[d] = addressLow[handle];
          i32[d + 1] = addressHigh[handle];
          i32[d + BYTES_WORD] = length + HEADER;
          slotHandle[position] = handle;
          bytes += length;
        } else {
          const parts = packets.prepare(handle, length);
          if (parts === 0) continue;
          const isIndirect = (this.features & USE_INDIRECT) !== 0;
          if (!isIndirect) span = parts;
          if (!this.makeRoom(position, used + span)) break;
          words[entry] = 0;
          bytes += packets.total;
          slotHandle[position] = parts > 1 ? HEAD - handle : handle;
          if (parts > 1 && isIndirect) {
            tail = PACKED_F_INDIRECT;
            this.placeIndirect(position, handle, length);
          } else {
            this.describe(desc32 + (position << 2), handle, HEADER_OFFSET, length + HEADER);
            if (parts > 1) {
              tail = PACKED_F_NEXT;
              this.placeRest(position, mark, handle);
            }
          }
        }
        // The burst's first descriptor is the last one that the device sees.
        if (added === 0) first = position | tail | mark;
        else i32[desc32 + (position << 2) + ID_FLAGS] = position | tail | mark;
        used += span;
        added++;
        position += span;
        if (position >= size) {
          position -= size;
          mark ^= MARKS;
        }
      }
      if (added > 0) {
        this.free -= used;
        this.counts[PACKETS] += added;
        this.counts[BYTES] += bytes;
        this.nextAvail = position;
        this.availMark = mark;
        // A ring that reclaim has found broken meanwhile is left alone.
        if (this.broken === '') this.publish(start, first, used);
      }
      return taken;
    };
  }

  /**
   * Whether the id `position` is free, and `count` descriptors since the last burst, if need be after a look at what was
   * sent.
   */
  private makeRoom(position: number, count: number): boolean {
    if (this.slotHandle[position] === FREE && this.free >= count) return true;
    this.reclaim();
    return this.broken === '' && this.slotHandle[position] === FREE && this.free >= count;
  }

  /** Descriptors for all buffers of the chain but the first, whose descriptor is at `head` and gets `mark`. */
  private placeRest(head: number, mark: number, handle: number): void {
    const { words, i32, size, desc32 } = this;
    let position = head;
    let rowMark = mark;
    for (let part = words[(handle << SHIFT) + NEXT]; part !== LAST; ) {
      if (++position === size) {
        position = 0;
        rowMark ^= MARKS;
      }
      const next = words[(part << SHIFT) + NEXT];
      const d = desc32 + (position << 2);
      this.describe(d, part, words[(part << SHIFT) + START], words[(part << SHIFT) + LENGTH]);
      // The id counts in the last one only (2.8.6).
      i32[d + ID_FLAGS] = head | (next === LAST ? 0 : PACKED_F_NEXT) | rowMark;
      part = next;
    }
  }

  /** Descriptors for all buffers of the chain in the table of `position`: in a row, without flags (2.8.7). */
  private placeIndirect(position: number, handle: number, length: number): void {
    const { words, i32 } = this;
    const { indirect, indirectLow, indirectHigh } = this.tables.chains!;
    const table = (indirect + (position << INDIRECT_SHIFT)) >> 2;
    this.describe(table, handle, HEADER_OFFSET, length + HEADER);
    i32[table + ID_FLAGS] = 0;
    let count = 1;
    for (let part = words[(handle << SHIFT) + NEXT]; part !== LAST; count++) {
      const d = table + (count << 2);
      this.describe(d, part, words[(part << SHIFT) + START], words[(part << SHIFT) + LENGTH]);
      i32[d + ID_FLAGS] = 0;
      part = words[(part << SHIFT) + NEXT];
    }
    const d = this.desc32 + (position << 2);
    i32[d] = indirectLow[position];
    i32[d + 1] = indirectHigh[position];
    i32[d + BYTES_WORD] = count * PACKED_DESC_BYTES;
  }

  /** Writes address and length of a descriptor at `d`: `bytes` bytes of buffer `part`, from `start` on. */
  private describe(d: number, part: number, start: number, bytes: number): void {
    const { i32 } = this;
    i32[d] = (this.addressLow[part] + start - HEADER_OFFSET) | 0;
    i32[d + 1] = this.addressHigh[part];
    i32[d + BYTES_WORD] = bytes;
  }

  /** In order, one used descriptor returns a whole batch: it lies in place of the batch's first (2.8.8). */
  protected override reclaimBatches(): void {
    const { i32, slotHandle, size } = this;
    while (this.usedRun(this.free === size ? 0 : 1) !== 0) {
      let position = this.nextUsed;
      const id = i32[this.desc32 + (position << 2) + ID_FLAGS] & ID;
      const ahead = (id - position + size) % size;
      // In order, the packets that the device holds are in a row, and so are their ids.
      if (id >= size || ahead >= size - this.free || slotHandle[id] === FREE) {
        this.broken = this.strangeId(id);
        return;
      }
      for (let isLast = false; !isLast; ) {
        isLast = position === id;
        const span = this.freeSlot(position, slotHandle[position]);
        this.free += span;
        position += span;
        if (position >= size) {
          position -= size;
          this.usedMark ^= MARKS;
        }
      }
      this.nextUsed = position;
    }
  }

  protected override makeReclaimEach(): () => void {
    return () => {
      const { i32, slotHandle, size, desc32, pool } = this;
      let span = 1;
      // The used descriptors of a run are in a row only up to a chain: behind it lie the chain's own.
      for (let isMore = true; isMore && this.broken === ''; isMore = span > 1) {
        const done = this.usedRun(size - this.free);
        if (done === 0) return;
        let position = this.nextUsed;
        let mark = this.usedMark;
        let freed = 0;
        span = 1;
        for (let i = 0; i < done && span === 1; i++) {
          const id = i32[desc32 + (position << 2) + ID_FLAGS] & ID;
          const what = id < size ? slotHandle[id] : FREE;
          if (what === FREE) {
            this.broken = this.strangeId(id);
            break;
          }
          if (what >= 0) {
            pool.put(what);
            slotHandle[id] = FREE;
          } else {
            span = this.freeSlot(id, what);
          }
          freed += span;
          position += span;
          if (position >= size) {
            position -= size;
            mark ^= MARKS;
          }
        }
        this.nextUsed = position;
        this.usedMark = mark;
        this.free += freed;
      }
    };
  }

  private strangeId(id: number): string {
    return `${this.name}: a used descriptor names buffer ${id}, which the device does not hold`;
  }

  /** Frees the sent packet with this id. Returns how many descriptors it took. */
  private freeSlot(id: number, what: number): number {
    this.slotHandle[id] = FREE;
    if (what >= 0) {
      this.pool.put(what);
      return 1;
    }
    const parts = this.packets.freeChain(what);
    return (this.features & USE_INDIRECT) === 0 ? parts : 1;
  }
}
