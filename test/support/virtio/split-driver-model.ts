/** The driver's side of one split virtqueue (virtio 1.2, 2.7), as a model for tests. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { RingOptions } from '../../../drivers/virtio/device/ring.js';
import { DriverModel, GUEST_BASE, type Part, type UsedElement } from './driver-model.js';

export class SplitDriverModel extends DriverModel {
  private readonly free: number[];
  private readonly chains = new Map<number, number[]>();
  private offered: number;
  private seen: number;

  constructor(options: Partial<RingOptions> = {}, memory?: MemoryViews, ring = 0) {
    super(options, memory, ring);
    this.free = Array.from({ length: this.options.size }, (_, i) => this.options.size - 1 - i);
    this.offered = this.options.base;
    this.seen = this.options.base;
    this.view.setUint16(this.place.avail + 2, this.offered, true);
    this.view.setUint16(this.place.used + 2, this.offered, true);
  }

  /** Writes a descriptor of the table, or of the one at `table`, exactly as given. */
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

  /** Puts a head into the avail ring, whatever it is, and shows it to the device. */
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

  /** What the device has used since the last call. The descriptors of the chains are free again. */
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
}
