/** The driver's side of one packed virtqueue (virtio 1.2, 2.8), as a model for tests. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { RingOptions } from '../../../drivers/virtio/device/ring.js';
import { DriverModel, GUEST_BASE, type Part, type UsedElement } from './driver-model.js';

const F_NEXT = 1;
const F_WRITE = 2;
const F_INDIRECT = 4;
const F_AVAIL = 0x80;
const F_USED = 0x8000;
const WRAP = 0x8000;

/** A descriptor that is written exactly as given. */
export interface RawDescriptor {
  readonly offset: number;
  readonly length: number;
  /** NEXT, WRITE, INDIRECT, or anything; AVAIL and USED are added, unless `unmarked`. */
  readonly flags: number;
  readonly id?: number;
  readonly unmarked?: boolean;
}

export class PackedDriverModel extends DriverModel {
  /** Places in the ring, and rounds, since the start. The index of a place is its remainder by the size. */
  private offered: number;
  private seen: number;
  private readonly spans = new Map<number, number>();
  private nextId = 7;

  constructor(options: Partial<RingOptions> = {}, memory?: MemoryViews, ring = 0) {
    super({ base: WRAP, ...options, packed: true }, memory, ring);
    const { base, size } = this.options;
    // Rounds are counted from 0, whose wrap counter is 1.
    this.offered = (base & (WRAP - 1)) + ((base & WRAP) !== 0 ? 0 : size);
    this.seen = this.offered;
  }

  private wrapAt(count: number): boolean {
    return Math.floor(count / this.options.size) % 2 === 0;
  }

  private at(count: number): number {
    return this.place.desc + (count % this.options.size) * 16;
  }

  /** Descriptors that the device does not hold. */
  get free(): number {
    return this.options.size - (this.offered - this.seen);
  }

  offer(parts: readonly Part[], direct = parts.length): number {
    const id = this.nextId;
    // Any 16 bits will do, in any order.
    this.nextId = (this.nextId + 40503) & 0xffff;
    const raw = parts.map(({ offset, length, write }, i) => ({
      offset,
      length,
      flags: (i < parts.length - 1 ? F_NEXT : 0) | (write ? F_WRITE : 0),
      // 2.8.6: the last descriptor has the id; the ids of the others mean nothing.
      id: i === parts.length - 1 ? id : 0xffff,
    }));
    if (direct >= parts.length) {
      this.offerRaw(raw);
    } else {
      const table = this.nextTable;
      // 2.8.7: of the flags in a table only WRITE counts.
      raw.forEach((d, i) => {
        this.write(table + 16 * i, { ...d, flags: d.flags | 0x8085, id: 3 });
      });
      this.nextTable += 16 * raw.length;
      this.offerRaw([{ offset: table, length: 16 * raw.length, flags: F_INDIRECT, id }]);
    }
    return id;
  }

  /** Offers these descriptors as one chain, the first of them last (2.8.21.1). */
  offerRaw(chain: readonly RawDescriptor[]): void {
    if (chain.length > this.free) throw new Error('the driver model has no more descriptors');
    this.write(this.at(this.offered), { ...chain[0]!, unmarked: true }, this.offered);
    for (let i = chain.length - 1; i >= 0; i--) this.write(this.at(this.offered + i), chain[i]!, this.offered + i);
    this.offered += chain.length;
    this.spans.set(chain.at(-1)!.id ?? 0, chain.length);
  }

  /**
   * Writes descriptors over the ring from the next place on, whichever side they belong to, without accounting for
   * them.
   */
  scribble(descriptors: readonly RawDescriptor[]): void {
    for (const [i, d] of descriptors.entries()) this.write(this.at(this.offered + i), d, this.offered + i);
  }

  private write(at: number, { offset, length, flags, id = 0, unmarked }: RawDescriptor, count?: number): void {
    let marked = flags;
    if (count !== undefined) marked |= this.wrapAt(count) !== (unmarked === true) ? F_AVAIL : F_USED;
    this.view.setBigUint64(at, BigInt(offset + GUEST_BASE), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, id, true);
    this.view.setUint16(at + 14, marked & 0xffff, true);
  }

  takeUsed(): UsedElement[] {
    const found: UsedElement[] = [];
    while (this.seen < this.offered) {
      const at = this.at(this.seen);
      const flags = this.view.getUint16(at + 14, true);
      const mark = this.wrapAt(this.seen) ? F_AVAIL | F_USED : 0;
      if ((flags & (F_AVAIL | F_USED)) !== mark) break;
      const id = this.view.getUint16(at + 12, true);
      const span = this.spans.get(id);
      if (span === undefined) throw new Error(`the device used buffer ${id}, which it does not hold`);
      this.spans.delete(id);
      // 2.8.4: without WRITE the length means nothing.
      found.push({ id, length: (flags & F_WRITE) !== 0 ? this.view.getUint32(at + 8, true) : 0 });
      this.seen += span;
    }
    return found;
  }

  /** RingOptions.base of a device that has used all that was offered. */
  get expectedBase(): number {
    const half = (this.offered % this.options.size) | (this.wrapAt(this.offered) ? WRAP : 0);
    return half * 0x1_0001;
  }

  /**
   * What this driver wants to be notified of: 0 all, 1 nothing, 2 the descriptor at place `count` since the start
   * (2.8.10).
   */
  setEvent(flags: number, count = 0): void {
    this.view.setUint16(this.place.avail, (count % this.options.size) | (this.wrapAt(count) ? WRAP : 0), true);
    this.view.setUint16(this.place.avail + 2, flags, true);
  }

  /** What the device wants to be notified of. */
  get deviceEvent(): { flags: number; index: number; wrap: boolean } {
    const off = this.view.getUint16(this.place.used, true);
    return { flags: this.view.getUint16(this.place.used + 2, true), index: off & (WRAP - 1), wrap: off >= WRAP };
  }
}
