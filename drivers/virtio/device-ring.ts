/**
 * The device's side of one split virtqueue (virtio 1.2, 2.7): reading the avail ring and descriptor chains, writing the
 * used ring, and both directions of notification suppression. The transmit and the receive queue build on it.
 *
 * Everything in the driver's memory is hostile. Each field is read once, checked, and used only after that; the walk of a
 * chain ends after {@link MAX_DESCRIPTORS}, whatever the driver wrote.
 */
import { signalEventfd } from '../libc/index.js';
import { type Copy, copierFor, type MemoryViews } from '../memory/index.js';
import { QueueCounter } from './queue-counters.js';
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
} from './split-layout.js';

/** The driver's memory, as the transport maps it. */
export interface GuestMemory {
  /** Where it lies. Rings and buffers of one driver are all in here. */
  readonly memory: MemoryViews;
  /** Offset in `memory` of `length` (at least 1) bytes at an address of the driver; -1 when they are not all mapped. */
  translate(low: number, high: number, length: number): number;
}

/** Where a ring lies: offsets in the memory, in bytes. */
export interface RingPlace {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

/** What was negotiated for a ring. */
export interface RingOptions {
  /** Descriptors; a power of two (2.7). */
  readonly size: number;
  /** Avail index to begin at. The used index is taken from the ring itself. */
  readonly base: number;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** Bytes of the virtio-net header before each frame: 12 or, for a legacy driver, 10. */
  readonly headerBytes: number;
  readonly mergeable: boolean;
  /** Eventfd that tells the driver of used buffers; -1 when it polls. */
  readonly callFd: number;
  /** Where the queue counts (as `makeQueueCounters` makes it); it may outlive the queue. */
  readonly counts: Float64Array;
}

/** Segments of which a chain (or, with MRG_RXBUF, the chains for one frame) may consist. */
export const MAX_CHAIN_SEGMENTS = 64;
/**
 * Descriptors that are looked at for one frame, empty ones included. The queue's size would be a bound as well (2.7.5.3.1),
 * but a driver that offers 32768 times one chain of 32768 empty descriptors would have all other ports wait for seconds.
 */
const MAX_DESCRIPTORS = 2 * MAX_CHAIN_SEGMENTS;

export class DeviceRing {
  readonly size: number;
  readonly counts: Float64Array;
  /** Segments that {@link walk} has collected: offsets in the memory and bytes. */
  segments = 0;
  readonly segmentOffset = new Uint32Array(MAX_CHAIN_SEGMENTS);
  readonly segmentLength = new Uint32Array(MAX_CHAIN_SEGMENTS);

  memory: MemoryViews;
  u16: Uint16Array;
  u32: Uint32Array;
  /** Copies inside the memory. */
  copy: Copy;
  /** Index in u16 of the avail ring's first entry. */
  availEntry = 0;
  /** Index in u32 of the used ring's first element. */
  usedElement = 0;
  /** Avail index up to which chains were taken. */
  lastAvail: number;
  /** Used index that the driver sees. */
  usedIdx = 0;
  readonly mask: number;
  /** Eventfd that tells the driver of used buffers; -1 when it polls. Belongs to the transport. */
  callFd: number;
  /** False once the ring is stopped or broken; nothing of the driver's memory is touched then. */
  live = true;
  /** Called once when the driver broke the ring beyond repair, with a line that says how. */
  onBroken: ((reason: string) => void) | null = null;

  private guest: GuestMemory;
  /** Descriptors that {@link walk} has looked at for this frame. */
  private visited = 0;
  private readonly eventIdx: boolean;
  private readonly indirect: boolean;
  private descWord = 0;
  private availFlags = 0;
  private availIdx = 0;
  private usedEvent = 0;
  private usedFlags = 0;
  private usedIdxAt = 0;
  private availEvent = 0;

  /** Throws when size or alignment are not as 2.7 demands. The caller has checked that the areas lie in the memory. */
  constructor(guest: GuestMemory, place: RingPlace, options: RingOptions) {
    const { size } = options;
    if (!(size > 0 && size <= MAX_SPLIT_QUEUE_SIZE && (size & (size - 1)) === 0)) {
      throw new Error(`queue size ${size}; possible are powers of two up to ${MAX_SPLIT_QUEUE_SIZE}`);
    }
    this.size = size;
    this.mask = size - 1;
    this.eventIdx = options.eventIdx;
    this.indirect = options.indirect;
    this.callFd = options.callFd;
    this.counts = options.counts;
    this.guest = guest;
    this.memory = guest.memory;
    this.u16 = guest.memory.u16;
    this.u32 = guest.memory.u32;
    this.copy = copierFor(guest.memory);
    this.move(guest, place);
    this.usedIdx = this.u16[this.usedIdxAt];
    this.lastAvail = options.base;
  }

  /** The ring lies elsewhere from now on (a new memory table), with the same contents. */
  move(guest: GuestMemory, place: RingPlace): void {
    if (place.desc % DESC_ALIGN !== 0 || place.avail % AVAIL_ALIGN !== 0 || place.used % USED_ALIGN !== 0) {
      throw new Error('ring addresses are not aligned to 16 (descriptors), 2 (avail) and 4 (used) bytes');
    }
    this.guest = guest;
    this.memory = guest.memory;
    this.u16 = guest.memory.u16;
    this.u32 = guest.memory.u32;
    this.copy = copierFor(guest.memory);
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

  /** Stops for good: the memory may be unmapped afterwards. Returns the avail index to go on from. */
  stop(): number {
    this.live = false;
    return this.lastAvail;
  }

  /** How many chains the driver has made available that were not taken yet. One atomic load. */
  waiting(): number {
    if (!this.live) return 0;
    const idx = Atomics.load(this.u16, this.availIdx);
    const count = (idx - this.lastAvail) & 0xffff;
    if (count > this.size) {
      this.break(`avail index ${idx} is ${count} ahead of ${this.lastAvail} in a queue of ${this.size}`);
      return 0;
    }
    return count;
  }

  /** Forgets the segments collected: what {@link walk} collects next is for another frame. */
  beginFrame(): void {
    this.segments = 0;
    this.visited = 0;
  }

  /**
   * Collects the segments of the chain at `head` (below `size`) after those already collected, until they have `enough`
   * bytes. Returns their bytes, or minus the index of the counter that says what is wrong with the chain.
   * @param wanted VIRTQ_DESC_F_WRITE or 0: what the WRITE flag of every descriptor must be.
   */
  walk(head: number, wanted: number, enough: number): number {
    const u32 = this.u32;
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
        // 2.7.5.3.1: no table in a table, and nothing chained on after one. Its WRITE flag means nothing (2.7.5.3.2).
        if (!this.indirect || indirect || (tail & VIRTQ_DESC_F_NEXT) !== 0) return -QueueCounter.badIndirect;
        if (length === 0 || (length & 15) !== 0) return -QueueCounter.badIndirect;
        const offset = this.guest.translate(low, high, length);
        if (offset < 0 || (offset & 3) !== 0) return -QueueCounter.badAddress;
        indirect = true;
        table = offset >>> 2;
        tableSize = length >>> 4;
        left = this.size;
        id = 0;
        continue;
      }
      if ((tail & VIRTQ_DESC_F_WRITE) !== wanted) return -QueueCounter.badDirection;
      if (length > 0) {
        const offset = this.guest.translate(low, high, length);
        if (offset < 0) return -QueueCounter.badAddress;
        const s = this.segments;
        if (s === MAX_CHAIN_SEGMENTS) return -QueueCounter.badSegments;
        this.segmentOffset[s] = offset;
        this.segmentLength[s] = length;
        this.segments = s + 1;
        total += length;
        if (total >= enough) return total;
      }
      if ((tail & VIRTQ_DESC_F_NEXT) === 0) return total;
      id = tail >>> 16;
      if (id >= tableSize) return -QueueCounter.badNext;
    }
  }

  /**
   * The frequent case of {@link walk} without its loop: the chain at `head` is one descriptor. Returns the offset of its
   * bytes, whose number is then in segmentLength[0]; -1 when walk must look at it.
   */
  single(head: number, wanted: number): number {
    const at = this.descWord + head * 4;
    const u32 = this.u32;
    const flags = u32[at + 3] & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT);
    if (flags !== wanted) return -1;
    const length = u32[at + 2];
    this.segmentLength[0] = length;
    return length === 0 ? -1 : this.guest.translate(u32[at], u32[at + 1], length);
  }

  /** Writes an element of the used ring that the driver will see at the next {@link publish}. */
  setUsed(idx: number, head: number, bytes: number): void {
    const at = this.usedElement + (idx & this.mask) * 2;
    this.u32[at] = head;
    this.u32[at + 1] = bytes;
  }

  /** Shows the driver all used elements before `idx`, and signals it if it wants that (2.7.8, 2.7.7). */
  publish(idx: number): void {
    const old = this.usedIdx;
    const now = idx & 0xffff;
    this.usedIdx = now;
    // One aligned 16-bit store, ordered after the elements; before the driver's wish is read (2.7.13.3, store-load).
    Atomics.store(this.u16, this.usedIdxAt, now);
    if (this.callFd < 0 || !this.wantsSignal(old, now)) return;
    this.counts[QueueCounter.signals]++;
    signalEventfd(this.callFd);
  }

  /**
   * Asks the driver to notify at the next chain. Returns false when one waits already: notifications are off again then,
   * and the caller goes on polling. No chain is missed in between.
   */
  enableKick(): boolean {
    if (!this.live) return true;
    if (this.eventIdx) Atomics.store(this.u16, this.availEvent, this.lastAvail);
    else Atomics.store(this.u16, this.usedFlags, 0);
    if (this.waiting() === 0) return true;
    this.disableKick();
    return false;
  }

  /** The ring is polled: no notifications wanted. */
  disableKick(): void {
    if (!this.live) return;
    // With EVENT_IDX the flag is not looked at (2.7.10); an event index left behind costs one notification in 65536.
    if (!this.eventIdx) Atomics.store(this.u16, this.usedFlags, VIRTQ_USED_F_NO_NOTIFY);
  }

  private wantsSignal(old: number, now: number): boolean {
    if (this.eventIdx) return passesEvent(Atomics.load(this.u16, this.usedEvent), now, old);
    return (Atomics.load(this.u16, this.availFlags) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }

  private break(reason: string): void {
    this.live = false;
    this.onBroken?.(reason);
  }
}
