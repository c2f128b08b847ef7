/**
 * The device's side of a packed virtqueue (virtio 1.2, 2.8): it reads chains where the driver has put them, one
 * descriptor after the other, and writes used descriptors over them in the same order.
 */
import { signedWords } from '../../memory/index.js';
import {
  AVAIL_USED,
  EVENT_ALIGN,
  EVENT_DISABLE,
  EVENT_ENABLE,
  eventAt,
  FIRST_AVAILABLE,
  FIRST_USED,
  ID_MASK,
  LOADS_IN_ORDER,
  MAX_PACKED_QUEUE_SIZE,
  orderLoads,
  PACKED_DESC_ALIGN,
  PACKED_DESC_WORDS,
  PACKED_F_INDIRECT,
  PACKED_F_NEXT,
  PACKED_F_WRITE,
  WORD_ID_FLAGS,
  WORD_LENGTH,
  wantsEvent,
} from '../layout/packed.js';
import { MAX_BURST } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import { DeviceRing, type GuestMemory, MAX_DESCRIPTORS, type RingOptions, type RingPlace } from './ring.js';

const CHAIN_FLAGS = PACKED_F_NEXT | PACKED_F_WRITE | PACKED_F_INDIRECT;
/** The bit of the wrap counter in {@link RingOptions.base}. */
const BASE_WRAP = 0x8000;
const BASE_INDEX = 0x7fff;

export class PackedDeviceRing extends DeviceRing {
  private i32: Int32Array;
  // Positions in i32: the first descriptor, and the two event words.
  private desc32 = 0;
  private driverEvent32 = 0;
  private deviceEvent32 = 0;

  /** The first descriptor that was not taken, and the mark that makes it available. */
  private nextAvail: number;
  private availMark: number;
  /** The cursor, the mark that makes the descriptor there available, and its distance from {@link nextAvail}. */
  private cursor: number;
  private cursorMark: number;
  private ahead = 0;
  /** Number of descriptors from {@link nextAvail} on that were seen to be available. */
  private seen = 0;
  /** Where the next descriptor is used, its mark, and how many descriptors were used since the last publish. */
  private nextUsed: number;
  private usedMark: number;
  private unpublished = 0;
  /** The first of these: its last word is written after all others. */
  private firstUsed = 0;
  private firstWord = 0;

  /**
   * Throws when size, base or alignment break the rules of 2.8. The caller has checked that the areas lie in the
   * memory.
   */
  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    super(guest, options);
    const { size, base } = options;
    if (!(size > 0 && size <= MAX_PACKED_QUEUE_SIZE)) {
      throw new Error(`queue size ${size}; possible are 1 to ${MAX_PACKED_QUEUE_SIZE}`);
    }
    const avail = base & 0xffff;
    // DPDK leaves out the upper half: a ring that it stops has nothing under way, so both positions are the same.
    const used = base >>> 16 === 0 ? avail : base >>> 16;
    if ((avail & BASE_INDEX) >= size || (used & BASE_INDEX) >= size) {
      throw new Error(`ring base 0x${base.toString(16)} names a descriptor beyond a queue of ${size}`);
    }
    this.nextAvail = avail & BASE_INDEX;
    this.availMark = (avail & BASE_WRAP) !== 0 ? FIRST_AVAILABLE : FIRST_AVAILABLE ^ AVAIL_USED;
    this.cursor = this.nextAvail;
    this.cursorMark = this.availMark;
    this.nextUsed = used & BASE_INDEX;
    this.usedMark = (used & BASE_WRAP) !== 0 ? FIRST_USED : FIRST_USED ^ AVAIL_USED;
    this.i32 = signedWords(guest.memory);
    this.move(guest, place);
  }

  override move(guest: GuestMemory, place: RingPlace): void {
    if (place.desc % PACKED_DESC_ALIGN !== 0 || place.avail % EVENT_ALIGN !== 0 || place.used % EVENT_ALIGN !== 0) {
      throw new Error('ring addresses are not aligned to 16 (descriptors) and 4 (event suppression) bytes');
    }
    super.move(guest, place);
    this.i32 = signedWords(guest.memory);
    this.desc32 = place.desc >>> 2;
    this.driverEvent32 = place.avail >>> 2;
    this.deviceEvent32 = place.used >>> 2;
  }

  protected base(): number {
    const avail = this.nextAvail | (this.availMark === FIRST_AVAILABLE ? BASE_WRAP : 0);
    const used = this.nextUsed | (this.usedMark === FIRST_USED ? BASE_WRAP : 0);
    return ((used << 16) | avail) >>> 0;
  }

  look(): boolean {
    this.rewind();
    return this.live && this.seeMore();
  }

  waiting(most: number): number {
    const { i32, size } = this;
    const first = this.desc32 + WORD_ID_FLAGS;
    let position = this.nextAvail;
    let mark = this.availMark;
    let count = 0;
    for (let left = this.live ? size : 0; left > 0 && count < most; left--) {
      const tail = Atomics.load(i32, first + (position << 2));
      if ((tail & AVAIL_USED) !== mark) break;
      if ((tail & PACKED_F_NEXT) === 0) count++;
      if (++position === size) {
        position = 0;
        mark ^= AVAIL_USED;
      }
    }
    return count;
  }

  hasChain(): boolean {
    return this.live && (this.ahead < this.seen || this.seeMore());
  }

  /** Counts available descriptors from the cursor on, at most a burst. One atomic load. */
  private seeMore(): boolean {
    const { i32, size } = this;
    const first = this.desc32 + WORD_ID_FLAGS;
    let position = this.cursor;
    let mark = this.cursorMark;
    this.seen = this.ahead;
    if (this.ahead >= size || (Atomics.load(i32, first + (position << 2)) & AVAIL_USED) !== mark) return false;
    let count = 1;
    for (; count < MAX_BURST && this.ahead + count < size; count++) {
      if (++position === size) {
        position = 0;
        mark ^= AVAIL_USED;
      }
      if ((i32[first + (position << 2)] & AVAIL_USED) !== mark) break;
    }
    if (!LOADS_IN_ORDER) orderLoads();
    this.seen += count;
    return true;
  }

  single(wanted: number): number {
    const { i32 } = this;
    const at = this.desc32 + (this.cursor << 2);
    const tail = i32[at + WORD_ID_FLAGS];
    if ((tail & CHAIN_FLAGS) !== wanted << 16) return -1;
    this.chainId = tail & ID_MASK;
    this.chainSpan = 1;
    const length = i32[at + WORD_LENGTH] >>> 0;
    this.segmentLength[0] = length;
    return length === 0 ? -1 : this.guest.translate(i32[at] >>> 0, i32[at + 1] >>> 0, length);
  }

  /**
   * Passes the whole chain, also after an error and beyond `enough` bytes: its last descriptor has the id by which it
   * is given back (2.8.6). Each descriptor of the ring is looked at once, so this takes no longer than a full ring.
   */
  walk(wanted: number, enough: number): number {
    const { i32, size } = this;
    let position = this.cursor;
    let mark = this.cursorMark;
    let result = 0;
    for (let span = 1; ; span++) {
      const at = this.desc32 + (position << 2);
      // Atomic: this descriptor may not have been looked at before.
      const tail = Atomics.load(i32, at + WORD_ID_FLAGS);
      if ((tail & AVAIL_USED) !== mark || this.ahead + span > size) {
        // 2.8.17: the first descriptor of a list must not become available before the others. And a list must not be a
        // loop.
        this.break(`the chain at descriptor ${this.cursor} goes on at ${position}, which is not available`);
        this.chainSpan = 0;
        return -QueueCounter.badNext;
      }
      if (result >= 0 && result < enough) result = this.part(tail, at, wanted, enough, result, span > 1);
      if ((tail & PACKED_F_NEXT) === 0) {
        this.chainId = tail & ID_MASK;
        this.chainSpan = span;
        // Otherwise the chain would stay in the ring, and be passed again for every frame.
        return result === -QueueCounter.badSegments && span > MAX_DESCRIPTORS ? -QueueCounter.badLength : result;
      }
      if (++position === size) {
        position = 0;
        mark ^= AVAIL_USED;
      }
    }
  }

  /**
   * Adds one descriptor to the `total` bytes of its chain. Returns the new total, or minus the counter of what is
   * wrong.
   */
  private part(tail: number, at: number, wanted: number, enough: number, total: number, chained: boolean): number {
    const { i32 } = this;
    if (this.visited++ === MAX_DESCRIPTORS) return -QueueCounter.badLength;
    const low = i32[at] >>> 0;
    const high = i32[at + 1] >>> 0;
    const length = i32[at + WORD_LENGTH] >>> 0;
    if ((tail & PACKED_F_INDIRECT) !== 0) {
      // 2.8.19: no indirect descriptor in a list. Its WRITE flag has no meaning (2.8.7).
      if (chained || (tail & PACKED_F_NEXT) !== 0) return -QueueCounter.badIndirect;
      return this.walkTable(this.indirectTable(low, high, length), length, wanted, enough);
    }
    if ((tail & PACKED_F_WRITE) !== wanted << 16) return -QueueCounter.badDirection;
    const bad = this.collect(low, high, length);
    return bad !== 0 ? bad : total + length;
  }

  /**
   * Collects the descriptors of an indirect table, one after the other. Of their flags only WRITE counts (2.8.7), and
   * only when something is to be written: DPDK's driver (22.11) sets it in the header's descriptor of what it
   * transmits.
   */
  private walkTable(table: number, bytes: number, wanted: number, enough: number): number {
    if (table < 0) return table;
    const { i32 } = this;
    let total = 0;
    const end = (table + bytes) >>> 2;
    for (let at = table >>> 2; at < end && total < enough; at += PACKED_DESC_WORDS) {
      if (this.visited++ === MAX_DESCRIPTORS) return -QueueCounter.badLength;
      if (wanted !== 0 && (i32[at + WORD_ID_FLAGS] & PACKED_F_WRITE) === 0) return -QueueCounter.badDirection;
      const length = i32[at + WORD_LENGTH] >>> 0;
      const bad = this.collect(i32[at] >>> 0, i32[at + 1] >>> 0, length);
      if (bad !== 0) return bad;
      total += length;
    }
    return total;
  }

  advance(): void {
    this.ahead += this.chainSpan;
    this.cursor += this.chainSpan;
    if (this.cursor < this.size) return;
    this.cursor -= this.size;
    this.cursorMark ^= AVAIL_USED;
  }

  commit(): void {
    this.nextAvail = this.cursor;
    this.availMark = this.cursorMark;
    this.seen = this.seen > this.ahead ? this.seen - this.ahead : 0;
    this.ahead = 0;
  }

  rewind(): void {
    this.cursor = this.nextAvail;
    this.cursorMark = this.availMark;
    this.ahead = 0;
  }

  use(id: number, span: number, bytes: number): void {
    const at = this.desc32 + (this.nextUsed << 2);
    const word = id | this.usedMark | (bytes > 0 ? PACKED_F_WRITE : 0);
    this.i32[at + WORD_LENGTH] = bytes;
    if (this.unpublished === 0) {
      this.firstUsed = at + WORD_ID_FLAGS;
      this.firstWord = word;
    } else {
      this.i32[at + WORD_ID_FLAGS] = word;
    }
    this.unpublished += span;
    this.nextUsed += span;
    if (this.nextUsed < this.size) return;
    this.nextUsed -= this.size;
    this.usedMark ^= AVAIL_USED;
  }

  publish(): void {
    const count = this.unpublished;
    if (count === 0) return;
    this.unpublished = 0;
    // The driver looks at the first used descriptor before the others (2.8.2): this store publishes them all. The
    // driver's event word must be read after it (store-load order).
    Atomics.store(this.i32, this.firstUsed, this.firstWord);
    if (this.callFd < 0) return;
    const event = Atomics.load(this.i32, this.driverEvent32);
    const wrap = this.usedMark === FIRST_USED;
    if (wantsEvent(event, this.eventIdx, this.nextUsed, wrap, count, this.size)) this.signal();
  }

  enableKick(): boolean {
    if (!this.live) return true;
    const wish = this.eventIdx ? eventAt(this.nextAvail, this.availMark === FIRST_AVAILABLE) : EVENT_ENABLE;
    Atomics.store(this.i32, this.deviceEvent32, wish);
    if (!this.look()) return true;
    this.disableKick();
    return false;
  }

  disableKick(): void {
    if (this.live) Atomics.store(this.i32, this.deviceEvent32, EVENT_DISABLE);
  }
}
