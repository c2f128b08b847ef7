/**
 * A guest that writes whatever a case says into its memory, for the targets of the device's side. The memory is a peer's,
 * mapped and translated by the code of the backend, with the memories of two neighbours right before and behind it.
 */
import { closeFile, eventfd, memfd } from '../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, WindowAllocator } from '../../drivers/memory/index.js';
import { OFFLOAD_CSUM, PORT_OFFLOADS } from '../../drivers/offloads.js';
import { PeerMemory } from '../../drivers/transports/vhost-user/peer-memory.js';
import { makeQueueCounters } from '../../drivers/virtio/device/queue-counters.js';
import type { RingOptions, RingPlace } from '../../drivers/virtio/device/ring.js';
import type { Input } from './input.js';

/** Of the guest: two regions that follow each other for it, and one far above. */
const REGION_BYTES = 4096;
const NEAR = 0xffff_f000;
const FAR = 0x5_0000_0000;
const GUEST_BYTES = 2 * REGION_BYTES;
/** Bytes of the neighbours that are looked at after each case. */
const GUARD_BYTES = 512;
const CANARY = 0xa5a5_a5a5;
/** Places in the guest's first region: of a packed ring AVAIL and USED are the two event suppression areas. */
const DESC = 0;
const AVAIL = 512;
const USED = 768;
/** Where an indirect table may lie, and buffers, too: a driver may let them overlap. */
const TABLE = 1024;

export class HostileDriver {
  readonly callFd = eventfd();
  readonly peer: PeerMemory;
  readonly place: RingPlace;
  /** Offsets in the window: of the first region (two, adjacent for the guest), and of the far one. */
  private readonly near: number;
  private readonly far: number;
  private readonly guards: readonly number[];
  private readonly release: () => void;
  /** What the guest has written: its two regions, one behind the other. */
  private readonly mirror32 = new Uint32Array((GUEST_BYTES + REGION_BYTES) / 4);
  private readonly mirror16 = new Uint16Array(this.mirror32.buffer);
  /** Split: the avail index. Packed: where the next descriptor is made available, and the wrap counter there. */
  private avail = 0;
  private wrap = 1;
  private size = 16;

  constructor(private readonly packed: boolean) {
    const windows = new WindowAllocator(8 * HUGEPAGE_BYTES);
    const front = windows.allocate(HUGEPAGE_BYTES);
    const fd = memfd('fuzz', 4 * REGION_BYTES, false);
    const region = (guest: number, offset: number, size: number) => ({
      guestAddress: BigInt(guest),
      size: BigInt(size),
      userAddress: 0x7f00_0000_0000n + BigInt(offset),
      mmapOffset: BigInt(offset),
    });
    const regions = [region(NEAR, 0, GUEST_BYTES), region(FAR, 3 * REGION_BYTES, REGION_BYTES)];
    this.peer = PeerMemory.map(regions, [fd, fd], windows);
    closeFile(fd);
    const back = windows.allocate(HUGEPAGE_BYTES);
    this.near = this.peer.translate(NEAR, 0, GUEST_BYTES);
    this.far = this.peer.translate(0, 5, REGION_BYTES);
    this.place = { desc: this.near + DESC, avail: this.near + AVAIL, used: this.near + USED };
    const { u32 } = this.peer.memory;
    // Right before and behind each region, and the neighbours' first and last bytes.
    this.guards = [
      front.offset + front.size - GUARD_BYTES,
      this.near + GUEST_BYTES,
      this.far - GUARD_BYTES,
      this.far + REGION_BYTES,
      back.offset,
    ];
    for (const at of this.guards) u32.fill(CANARY, at >>> 2, (at + GUARD_BYTES) >>> 2);
    this.release = () => {
      this.peer.close();
      windows.release(front);
      windows.release(back);
      closeFile(this.callFd);
    };
  }

  close(): void {
    this.release();
  }

  /** A guest with nothing in its memory, and what it has negotiated. */
  begin(input: Input): RingOptions {
    const { u32 } = this.peer.memory;
    u32.fill(0, this.near >>> 2, (this.near + GUEST_BYTES) >>> 2);
    u32.fill(0, this.far >>> 2, (this.far + REGION_BYTES) >>> 2);
    this.mirror32.fill(0);
    const flags = input.u8();
    this.size = this.packed ? 1 + input.below(16) : 1 << input.below(5);
    // Near the wrap or at 0.
    let base = (flags & 0x80) !== 0 ? (0xfff8 + input.below(16)) & 0xffff : 0;
    if (this.packed) {
      this.avail = base % this.size;
      this.wrap = 1 - ((base >>> 2) & 1);
      base = this.avail | (this.wrap << 15);
    } else {
      this.avail = base;
      this.set16(AVAIL + 2, base);
      this.set16(USED + 2, base);
    }
    return {
      packed: this.packed,
      size: this.size,
      base,
      eventIdx: (flags & 1) !== 0,
      indirect: (flags & 2) !== 0,
      headerBytes: (flags & 12) === 4 ? 10 : 12,
      mergeable: (flags & 12) !== 4 && (flags & 8) !== 0,
      callFd: (flags & 0x10) !== 0 ? this.callFd : -1,
      offloads: (flags & 0x20) === 0 ? 0 : (flags & 0x40) === 0 ? OFFLOAD_CSUM : PORT_OFFLOADS,
      counts: makeQueueCounters(),
    };
  }

  /** One thing that the guest does. */
  act(input: Input, write: boolean): void {
    switch (input.below(8)) {
      case 0:
        this.descriptor(input, DESC + 16 * input.below(16), input.u8(), input.below(16));
        break;
      case 1:
        this.descriptor(input, TABLE + 16 * input.below(16), input.u8(), input.below(16));
        break;
      case 2:
      case 3:
        this.chain(input, write);
        break;
      case 4:
        this.offer(input.u8());
        break;
      case 5:
        this.jump(input.u16());
        break;
      case 6:
        this.set16(AVAIL + (this.packed ? 2 : 4 + 2 * this.size), input.u16());
        this.set16(AVAIL, this.packed ? input.u16() : input.u8());
        break;
      default:
        this.set32(4 * (input.u16() % (GUEST_BYTES / 4)), input.u32());
    }
  }

  /** Nothing but the used ring (flags and idx, elements, avail_event) is other than the guest has written it. */
  checkUntouched(): void {
    const usedEnd = this.packed ? USED + 4 : USED + 4 + 8 * this.size + 4;
    this.checkMirror(this.near, this.packed ? 16 * this.size : 0, USED);
    this.checkMirror(this.near, usedEnd, GUEST_BYTES);
    this.checkMirror(this.far - GUEST_BYTES, GUEST_BYTES, GUEST_BYTES + REGION_BYTES);
  }

  /** No byte of a neighbour, nor of the holes between the regions, has changed. */
  checkGuards(): void {
    const { u32 } = this.peer.memory;
    for (let g = 0; g < this.guards.length; g++) {
      const first = this.guards[g]! >>> 2;
      for (let i = first; i < first + GUARD_BYTES / 4; i++) {
        if (u32[i] === CANARY) continue;
        throw new Error(`a byte outside the guest was written, at ${4 * i} (guard ${g})`);
      }
    }
  }

  /** Whether `length` bytes at `offset` of the window are the guest's. */
  owns(offset: number, length: number): boolean {
    const isNear = offset >= this.near && offset + length <= this.near + GUEST_BYTES;
    return isNear || (offset >= this.far && offset + length <= this.far + REGION_BYTES);
  }

  /** As it is in the memory: the device reads nothing else. */
  get availIdx(): number {
    return this.peer.memory.u16[(this.place.avail + 2) >>> 1]!;
  }

  get usedIdx(): number {
    return this.peer.memory.u16[(this.place.used + 2) >>> 1]!;
  }

  /** Id and length in the used ring at index `idx`. */
  usedElement(idx: number): { id: number; length: number } {
    const at = (this.place.used + 4 + 8 * (idx & (this.size - 1))) >>> 2;
    return { id: this.peer.memory.u32[at]!, length: this.peer.memory.u32[at + 1]! };
  }

  private checkMirror(start: number, from: number, to: number): void {
    const { mirror32 } = this;
    const { u32 } = this.peer.memory;
    const base = start >>> 2;
    for (let i = from >>> 2; i < to >>> 2; i++) {
      if (u32[base + i] !== mirror32[i]) throw new Error(`the device wrote to byte ${4 * i} of the guest`);
    }
  }

  /** Stores a word at byte `at` of the near region. */
  private set32(at: number, value: number): void {
    this.peer.memory.u32[(this.near + at) >>> 2] = value;
    this.mirror32[at >>> 2] = value;
  }

  private set16(at: number, value: number): void {
    this.peer.memory.u16[(this.near + at) >>> 1] = value;
    this.mirror16[at >>> 1] = value;
  }

  /** A descriptor with an address, a length, flags and next, sound or not. */
  private descriptor(input: Input, at: number, flags: number, next: number): void {
    const offset = input.u16();
    let low = NEAR + (offset & (GUEST_BYTES - 1));
    let high = 0;
    let length = input.u8();
    switch (input.below(8)) {
      case 0:
        // The end of a region, give or take.
        low = NEAR + GUEST_BYTES - 128 + (offset & 0xff);
        break;
      case 1:
        low = FAR + (offset & (REGION_BYTES - 1)) - 64;
        break;
      case 2:
        low = NEAR - 128 + (offset & 0xff);
        break;
      case 3:
        length = input.u16();
        break;
      case 4:
        length = input.u32();
        break;
      case 5:
        low = input.u32();
        high = input.u32();
        break;
      case 6:
        // A table: at a multiple of 16, of whole entries.
        low = NEAR + TABLE + 16 * (offset & 15);
        length = 16 * (length & 31);
        break;
    }
    // In a packed ring also how it is marked: available or used, in this round or in the other.
    const marks = this.packed ? ((flags & 0x10) << 3) | ((flags & 0x20) << 10) : 0;
    this.write(at, low, high !== 0 ? high : Math.floor(low / 0x1_0000_0000), length, (flags & 0x0f) | marks, next);
  }

  private write(at: number, low: number, high: number, length: number, flags: number, next: number): void {
    this.set32(at, low);
    this.set32(at + 4, high);
    this.set32(at + 8, length);
    this.set16(at + 12, this.packed ? next : flags);
    this.set16(at + 14, this.packed ? flags : next);
  }

  /** Offers a sound chain of one to four descriptors, perhaps in an indirect table. */
  private chain(input: Input, write: boolean): void {
    const shape = input.u8();
    const isIndirect = (shape & 4) !== 0;
    const count = isIndirect || !this.packed ? 1 + (shape & 3) : Math.min(1 + (shape & 3), this.size);
    const first = input.below(this.size);
    const buffer = first;
    let id = isIndirect ? 0 : this.packed ? this.avail : first;
    for (let i = 0; i < count; i++) {
      const next = (id + 1) % (isIndirect ? 16 : this.size);
      const address = NEAR + 1536 + (input.u16() % (GUEST_BYTES - 1536));
      const length = Math.min(8 * input.u8(), NEAR + GUEST_BYTES - address);
      const flags = (i + 1 < count ? 1 : 0) | (write ? 2 : 0);
      const high = Math.floor(address / 0x1_0000_0000);
      if (isIndirect) this.write(TABLE + 16 * id, address, high, length, flags, this.packed ? 0 : next);
      else if (this.packed) this.makeAvailable(address, high, length, flags, buffer);
      else this.write(DESC + 16 * id, address, high, length, flags, next);
      id = next;
    }
    if (this.packed) {
      if (isIndirect) this.makeAvailable(NEAR + TABLE, 0, 16 * count, 4, buffer);
      return;
    }
    if (isIndirect) this.write(DESC + 16 * first, NEAR + TABLE, 0, 16 * count, 4, 0);
    this.offer(first);
  }

  /** The next descriptor of a packed ring, marked as the driver does in this round. */
  private makeAvailable(low: number, high: number, length: number, flags: number, id: number): void {
    const marks = this.wrap === 1 ? 0x80 : 0x8000;
    this.write(DESC + 16 * this.avail, low, high, length, flags | marks, id);
    this.step(1);
  }

  private step(descriptors: number): void {
    this.avail += descriptors;
    if (this.avail < this.size) return;
    this.avail %= this.size;
    this.wrap ^= 1;
  }

  /** Split: an entry of the avail ring, whatever it names. Packed: what lies at the next place, made available as it is. */
  private offer(head: number): void {
    if (this.packed) {
      const at = DESC + 16 * this.avail + 14;
      this.set16(at, (this.mirror16[at >>> 1]! & ~0x8080) | (this.wrap === 1 ? 0x80 : 0x8000));
      this.step(1);
      return;
    }
    this.set16(AVAIL + 4 + 2 * (this.avail & (this.size - 1)), head);
    this.jump(this.avail + 1);
  }

  private jump(to: number): void {
    if (this.packed) {
      this.avail = to % this.size;
      this.wrap = (to >>> 8) & 1;
      return;
    }
    this.avail = to & 0xffff;
    this.set16(AVAIL + 2, this.avail);
  }
}
