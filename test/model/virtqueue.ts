/**
 * What a virtqueue is, as a program: who owns which buffer, in which order, and when which side must be notified
 * (virtio 1.2, 2.6 to 2.8). It knows nothing of memory: no tables, indexes, marks or wrap counters. It counts without
 * end, so that a counter that wraps in an implementation is compared with one that does not.
 *
 * A buffer goes round: `offer` (driver) -> available -> `take` (device) -> taken -> `use` -> used -> `collect`
 * (driver).
 */

/** A buffer on its way. `key` is the name that both sides of a test give it. */
export interface Offered {
  readonly key: number;
  /** Places of the ring that it fills: 1 in a split ring, its descriptors in a packed one. */
  readonly places: number;
}

export interface Used<T extends Offered> {
  readonly buffer: T;
  /** What the device has written into it. */
  readonly bytes: Uint8Array;
}

/**
 * What a side wants to be notified of: all, nothing, or (EVENT_IDX) the passing of a place, counted since the reset.
 */
export type Wish = 'always' | 'never' | { readonly at: number };

export interface Rules {
  /** Places. */
  readonly size: number;
  /** VIRTIO_F_IN_ORDER: buffers are used in the order in which they were offered. */
  readonly inOrder: boolean;
  /** VIRTIO_F_EVENT_IDX. */
  readonly eventIdx: boolean;
  /** Places after which an event index names a place again: 2^16, or two rounds of a packed ring. */
  readonly period: number;
}

/** The implementation did what the specification does not allow. */
export class Violation extends Error {}

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

export class Virtqueue<T extends Offered> {
  /** The device's next ones first. */
  available: T[] = [];
  /** Taken by the device and not used yet, in the order of taking. */
  taken: T[] = [];
  /** In the order in which the driver sees them. */
  used: Used<T>[] = [];
  /** Places since the reset: made available, taken, used, collected. */
  offeredTo = 0;
  takenTo = 0;
  usedTo = 0;
  collectedTo = 0;

  constructor(
    readonly rules: Rules,
    public deviceWish: Wish,
    public driverWish: Wish,
  ) {}

  clone(): Virtqueue<T> {
    const copy = new Virtqueue<T>(this.rules, this.deviceWish, this.driverWish);
    const { available, taken, used, offeredTo, takenTo, usedTo, collectedTo } = this;
    Object.assign(copy, { offeredTo, takenTo, usedTo, collectedTo });
    copy.available = [...available];
    copy.taken = [...taken];
    copy.used = [...used];
    return copy;
  }

  /** Places that the driver may fill. */
  get room(): number {
    return this.rules.size - (this.offeredTo - this.collectedTo);
  }

  /** All buffers that the driver has given away and not got back. */
  get inRing(): T[] {
    return [...this.available, ...this.taken, ...this.used.map(({ buffer }) => buffer)];
  }

  /** The driver makes buffers available, all at once. Returns whether the device must be notified. */
  offer(buffers: readonly T[]): boolean {
    const from = this.offeredTo;
    for (const buffer of buffers) {
      demand(buffer.places <= this.room, `buffer ${buffer.key} is offered to a full queue`);
      demand(!this.inRing.some(({ key }) => key === buffer.key), `buffer ${buffer.key} is offered twice`);
      this.available.push(buffer);
      this.offeredTo += buffer.places;
    }
    return passes(this.deviceWish, from, this.offeredTo, this.rules.period);
  }

  /** The device takes the next `count` buffers. */
  take(count: number): T[] {
    demand(count <= this.available.length, `${count} buffers are taken where ${this.available.length} are available`);
    const taken = this.available.splice(0, count);
    this.taken.push(...taken);
    for (const { places } of taken) this.takenTo += places;
    return taken;
  }

  /** The device uses buffers that it has taken, all at once. Returns whether the driver must be notified. */
  use(used: readonly { key: number; bytes: Uint8Array }[]): boolean {
    const from = this.usedTo;
    for (const { key, bytes } of used) {
      const place = this.taken.findIndex((buffer) => buffer.key === key);
      demand(place >= 0, `buffer ${key} is used, which the device has not taken`);
      demand(place === 0 || !this.rules.inOrder, `buffer ${key} is used out of order`);
      const [buffer] = this.taken.splice(place, 1);
      this.used.push({ buffer: buffer!, bytes });
      this.usedTo += buffer!.places;
    }
    return passes(this.driverWish, from, this.usedTo, this.rules.period);
  }

  /** The driver takes back the first `count` used buffers. */
  collect(count: number): Used<T>[] {
    demand(count <= this.used.length, `${count} buffers are collected where ${this.used.length} are used`);
    const collected = this.used.splice(0, count);
    for (const { buffer } of collected) this.collectedTo += buffer.places;
    return collected;
  }

  /** The device asks for a notification of the next buffer that is offered. */
  armDevice(): void {
    this.deviceWish = this.rules.eventIdx ? { at: this.takenTo } : 'always';
  }

  /** The driver asks for a notification of the next buffer that is used. */
  armDriver(): void {
    this.driverWish = this.rules.eventIdx ? { at: this.collectedTo } : 'always';
  }
}

/** Whether a side with this wish must be notified that the places `from` to `to` (exclusive) were filled. */
export function passes(wish: Wish, from: number, to: number, period: number): boolean {
  if (wish === 'never' || from === to) return false;
  if (wish === 'always') return true;
  // The first place at or after `from` that the event index names.
  const distance = (((wish.at - from) % period) + period) % period;
  return distance < to - from;
}
