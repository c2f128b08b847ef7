/**
 * The driver's side of one split virtqueue, slow and simple (virtio 1.2, 2.7): the counterpart in tests of the device-side
 * queues. Its memory stands for that of a guest: addresses there are far from offsets here, and need more than 32 bits.
 */

import { readSync } from 'node:fs';
import { closeFile, eventfd } from '../../drivers/libc/index.js';
import type { MemoryViews } from '../../drivers/memory/index.js';
import type { GuestMemory, RingOptions, RingPlace } from '../../drivers/virtio/device-ring.js';
import { makeQueueCounters } from '../../drivers/virtio/queue-counters.js';

/** Bytes of the driver's memory. */
export const MEMORY_BYTES = 1 << 20;
/** Guest-physical address of offset 0. Crosses a multiple of 2^32, so that both halves of an address matter. */
export const GUEST_BASE = 0x1_fff8_0000;

/** Part of a chain: bytes of the memory that the device may read or (write) may write. */
export interface Part {
  readonly offset: number;
  readonly length: number;
  readonly write?: boolean;
}

export interface UsedElement {
  readonly id: number;
  readonly length: number;
}

export class SplitDriver implements GuestMemory {
  readonly memory: MemoryViews;
  readonly place: RingPlace;
  readonly options: RingOptions;
  private readonly view: DataView;
  private readonly free: number[];
  private readonly chains = new Map<number, number[]>();
  private nextTable: number;
  private nextBuffer: number;
  private offered: number;
  private seen: number;

  /**
   * @param memory of {@link MEMORY_BYTES} bytes or more; one of its own by default
   * @param ring where the ring lies, so that two drivers can share a memory: 0 or 1
   */
  constructor(options: Partial<RingOptions> = {}, memory: MemoryViews = ownMemory(), ring = 0) {
    this.memory = memory;
    this.view = new DataView(memory.u8.buffer, memory.u8.byteOffset);
    this.options = {
      size: 16,
      base: 0,
      packed: false,
      eventIdx: false,
      indirect: true,
      headerBytes: 12,
      mergeable: true,
      callFd: eventfd(),
      counts: makeQueueCounters(),
      ...options,
    };
    const start = ring * 0x8_0000;
    this.place = { desc: start + 0x1000, avail: start + 0x1_1000, used: start + 0x1_8000 };
    this.nextTable = start + 0x2_0000;
    this.nextBuffer = start + 0x4_0000;
    this.free = Array.from({ length: this.options.size }, (_, i) => this.options.size - 1 - i);
    this.offered = this.options.base;
    this.seen = this.options.base;
    this.view.setUint16(this.place.avail + 2, this.offered, true);
    this.view.setUint16(this.place.used + 2, this.offered, true);
  }

  translate(low: number, high: number, length: number): number {
    const offset = high * 2 ** 32 + low - GUEST_BASE;
    return offset >= 0 && offset + length <= MEMORY_BYTES ? offset : -1;
  }

  /** Takes `length` bytes of the memory for a buffer, `skew` bytes off a multiple of 64. */
  buffer(length: number, skew = 0): number {
    const offset = this.nextBuffer + skew;
    this.nextBuffer = Math.ceil((offset + length) / 64) * 64;
    if (this.nextBuffer > MEMORY_BYTES) throw new Error('the driver model has no more memory');
    return offset;
  }

  /** Writes a descriptor of the table, or of the one at `table`, exactly as told. */
  setDescriptor(
    id: number,
    offset: number,
    length: number,
    flags: number,
    next: number,
    table = this.place.desc,
  ): void {
    const at = table + id * 16;
    this.view.setBigUint64(at, BigInt(offset + GUEST_BASE), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, flags, true);
    this.view.setUint16(at + 14, next, true);
  }

  /** Makes a chain of these parts and offers it; `direct` parts stay outside of an indirect table. Returns its head. */
  offer(parts: readonly Part[], direct = parts.length): number {
    const indirect = direct < parts.length;
    const ids = Array.from({ length: direct + (indirect ? 1 : 0) }, () => {
      const id = this.free.pop();
      if (id === undefined) throw new Error('the driver model has no more descriptors');
      return id;
    });
    const table = this.nextTable;
    ids.forEach((id, i) => {
      const next = ids[i + 1];
      const part = parts[i];
      if (i < direct && part) {
        this.setDescriptor(
          id,
          part.offset,
          part.length,
          (next === undefined ? 0 : 1) | (part.write ? 2 : 0),
          next ?? 0,
        );
      } else {
        this.setDescriptor(id, table, (parts.length - direct) * 16, 4, 0);
      }
    });
    parts.slice(direct).forEach((part, i) => {
      const last = direct + i === parts.length - 1;
      this.setDescriptor(i, part.offset, part.length, (last ? 0 : 1) | (part.write ? 2 : 0), last ? 0 : i + 1, table);
      this.nextTable += 16;
    });
    const head = ids[0]!;
    this.chains.set(head, ids);
    this.offerHead(head);
    return head;
  }

  /** Puts a head into the avail ring, whatever it is, and shows it. */
  offerHead(head: number): void {
    this.view.setUint16(this.place.avail + 4 + (this.offered % this.options.size) * 2, head, true);
    this.setAvailIdx(this.offered + 1);
  }

  setAvailIdx(idx: number): void {
    this.offered = idx & 0xffff;
    this.view.setUint16(this.place.avail + 2, this.offered, true);
  }

  set availFlags(flags: number) {
    this.view.setUint16(this.place.avail, flags, true);
  }

  set usedEvent(idx: number) {
    this.view.setUint16(this.place.avail + 4 + 2 * this.options.size, idx, true);
  }

  get usedFlags(): number {
    return this.view.getUint16(this.place.used, true);
  }

  get availEvent(): number {
    return this.view.getUint16(this.place.used + 4 + 8 * this.options.size, true);
  }

  /** What the device has used since the last call. The chains' descriptors are free again. */
  takeUsed(): UsedElement[] {
    const found: UsedElement[] = [];
    const idx = this.view.getUint16(this.place.used + 2, true);
    for (; this.seen !== idx; this.seen = (this.seen + 1) & 0xffff) {
      const at = this.place.used + 4 + (this.seen % this.options.size) * 8;
      const id = this.view.getUint32(at, true);
      found.push({ id, length: this.view.getUint32(at + 4, true) });
      this.free.push(...(this.chains.get(id) ?? []));
      this.chains.delete(id);
    }
    return found;
  }

  /** Whether the device has signalled since the last call. */
  takeSignal(): boolean {
    try {
      readSync(this.options.callFd, new Uint8Array(8));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      throw error;
    }
  }

  close(): void {
    closeFile(this.options.callFd);
  }
}

function ownMemory(): MemoryViews {
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}
