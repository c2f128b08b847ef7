/**
 * The device's side of a split virtqueue (virtio 1.2, 2.7): it reads the available ring and descriptor chains, writes
 * the used ring, and suppresses notifications in both directions.
 */
import {
  AVAIL_ALIGN,
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_RING,
  availEventOffset,
  DESC_ALIGN,
  MAX_SPLIT_QUEUE_SIZE,
  passesEvent,
  USED_ALIGN,
  USED_FLAGS,
  USED_IDX,
  USED_RING,
  usedEventOffset,
  VIRTQ_AVAIL_F_NO_INTERRUPT,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
  VIRTQ_USED_F_NO_NOTIFY,
} from '../layout/split.js';
import { QueueCounter } from './queue-counters.js';
import { DeviceRing, type GuestMemory, MAX_DESCRIPTORS, type RingOptions, type RingPlace } from './ring.js';

export class SplitDeviceRing extends DeviceRing {
  private u16: Uint16Array;
  private u32: Uint32Array;
  private readonly mask: number;
  /** Avail indexes: up to which chains were taken, of the cursor, and up to which there are chains. */
  private lastAvail: number;
  private cursor: number;
  private end: number;
  /** The used index that the driver sees, and the one that it will see after the next publish. */
  private usedIdx: number;
  private nextUsed: number;
  // Positions of the parts of the ring in u16 or u32.
  private descWord = 0;
  private availFlags = 0;
  private availIdx = 0;
  private availEntry = 0;
  private usedEvent = 0;
  private usedFlags = 0;
  private usedIdxAt = 0;
  private usedElement = 0;
  private availEvent = 0;

  /**
   * Throws when size, base or alignment break the rules of 2.7. The caller has checked that the areas lie in the
   * memory.
   */
  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    super(guest, options);
    const { size, base } = options;
    if (!(size > 0 && size <= MAX_SPLIT_QUEUE_SIZE && (size & (size - 1)) === 0)) {
      throw new Error(`queue size ${size}; possible are powers of two up to ${MAX_SPLIT_QUEUE_SIZE}`);
    }
    if (base > 0xffff) throw new Error(`ring base ${base}: an index of a split ring has 16 bits`);
    this.mask = size - 1;
    this.u16 = guest.memory.u16;
    this.u32 = guest.memory.u32;
    this.move(guest, place);
    this.usedIdx = this.u16[this.usedIdxAt];
    this.nextUsed = this.usedIdx;
    this.lastAvail = base;
    this.cursor = base;
    this.end = base;
  }

  override move(guest: GuestMemory, place: RingPlace): void {
    if (place.desc % DESC_ALIGN !== 0 || place.avail % AVAIL_ALIGN !== 0 || place.used % USED_ALIGN !== 0) {
      throw new Error('ring addresses are not aligned to 16 (descriptors), 2 (avail) and 4 (used) bytes');
    }
    super.move(guest, place);
    this.u16 = guest.memory.u16;
    this.u32 = guest.memory.u32;
    this.descWord = place.desc >>> 2;
    this.availFlags = (place.avail + AVAIL_FLAGS) >>> 1;
    this.availIdx = (place.avail + AVAIL_IDX) >>> 1;
    this.availEntry = (place.avail + AVAIL_RING) >>> 1;
    this.usedEvent = (place.avail + usedEventOffset(this.size)) >>> 1;
    this.usedFlags = (place.used + USED_FLAGS) >>> 1;
    this.usedIdxAt = (place.used + USED_IDX) >>> 1;
    this.usedElement = (place.used + USED_RING) >>> 2;
    this.availEvent = (place.used + availEventOffset(this.size)) >>> 1;
  }

  protected base(): number {
    return this.lastAvail;
  }

  look(): boolean {
    if (!this.live) return false;
    const idx = Atomics.load(this.u16, this.availIdx);
    const count = (idx - this.lastAvail) & 0xffff;
    if (count > this.size) {
      this.break(`avail index ${idx} is ${count} ahead of ${this.lastAvail} in a queue of ${this.size}`);
      return false;
    }
    this.cursor = this.lastAvail;
    this.end = idx;
    return count > 0;
  }

  waiting(most: number): number {
    if (!this.look()) return 0;
    const count = (this.end - this.lastAvail) & 0xffff;
    return count < most ? count : most;
  }

  hasChain(): boolean {
    return this.cursor !== this.end;
  }

  single(wanted: number): number {
    const { u32 } = this;
    const head = this.u16[this.availEntry + (this.cursor & this.mask)];
    if (head >= this.size) return -1;
    this.chainId = head;
    this.chainSpan = 1;
    const at = this.descWord + head * 4;
    const flags = u32[at + 3] & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT);
    if (flags !== wanted) return -1;
    const length = u32[at + 2];
    this.segmentLength[0] = length;
    return length === 0 ? -1 : this.guest.translate(u32[at], u32[at + 1], length);
  }

  walk(wanted: number, enough: number): number {
    const { u32 } = this;
    const head = this.u16[this.availEntry + (this.cursor & this.mask)];
    this.chainId = head;
    this.chainSpan = head < this.size ? 1 : 0;
    if (head >= this.size) return -QueueCounter.badHead;
    let table = this.descWord;
    let tableSize = this.size;
    let indirect = false;
    let id = head;
    let left = this.size;
    let total = 0;
    for (;;) {
      if (left-- === 0 || this.visited++ === MAX_DESCRIPTORS) return -QueueCounter.badLength;
      const at = table + id * 4;
      const low = u32[at];
      const high = u32[at + 1];
      const length = u32[at + 2];
      const tail = u32[at + 3];
      if ((tail & VIRTQ_DESC_F_INDIRECT) !== 0) {
        // 2.7.5.3.1: no table in a table, and no chain after a table. Its WRITE flag has no meaning (2.7.5.3.2).
        if (indirect || (tail & VIRTQ_DESC_F_NEXT) !== 0) return -QueueCounter.badIndirect;
        const offset = this.indirectTable(low, high, length);
        if (offset < 0) return offset;
        indirect = true;
        table = offset >>> 2;
        tableSize = length >>> 4;
        left = this.size;
        id = 0;
        continue;
      }
      if ((tail & VIRTQ_DESC_F_WRITE) !== wanted) return -QueueCounter.badDirection;
      const bad = this.collect(low, high, length);
      if (bad !== 0) return bad;
      total += length;
      if (total >= enough || (tail & VIRTQ_DESC_F_NEXT) === 0) return total;
      id = tail >>> 16;
      if (id >= tableSize) return -QueueCounter.badNext;
    }
  }

  advance(): void {
    this.cursor = (this.cursor + 1) & 0xffff;
  }

  commit(): void {
    this.lastAvail = this.cursor;
  }

  rewind(): void {
    this.cursor = this.lastAvail;
  }

  use(id: number, _span: number, bytes: number): void {
    const at = this.usedElement + (this.nextUsed & this.mask) * 2;
    this.u32[at] = id;
    this.u32[at + 1] = bytes;
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  publish(): void {
    const old = this.usedIdx;
    const now = this.nextUsed;
    if (now === old) return;
    this.usedIdx = now;
    // One aligned 16-bit store. It comes after the elements, and before the driver's wish is read (2.7.13.3, store-load
    // order).
    Atomics.store(this.u16, this.usedIdxAt, now);
    if (this.callFd >= 0 && this.wantsSignal(old, now)) this.signal();
  }

  enableKick(): boolean {
    if (!this.live) return true;
    if (this.eventIdx) Atomics.store(this.u16, this.availEvent, this.lastAvail);
    else Atomics.store(this.u16, this.usedFlags, 0);
    if (!this.look()) return true;
    this.disableKick();
    return false;
  }

  disableKick(): void {
    if (!this.live) return;
    // With EVENT_IDX the driver ignores the flag (2.7.10). An old event index causes one notification in 65536.
    if (!this.eventIdx) Atomics.store(this.u16, this.usedFlags, VIRTQ_USED_F_NO_NOTIFY);
  }

  private wantsSignal(old: number, now: number): boolean {
    if (this.eventIdx) return passesEvent(Atomics.load(this.u16, this.usedEvent), now, old);
    return (Atomics.load(this.u16, this.availFlags) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }
}
