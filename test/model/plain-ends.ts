/**
 * What the ends that were written from the specification share: the buffers of the plain drivers, and when each side
 * notifies.
 */
import { QueueCounter } from '../../drivers/virtio/device/queue-counters.js';
import { type BufferPool, NO_BUFFER } from '../../rings/buffer-pool.js';
import type { DeviceModel } from '../support/virtio/device-model.js';
import type { DriverModel } from '../support/virtio/driver-model.js';
import { PackedDeviceModel } from '../support/virtio/packed-device-model.js';
import { PackedDriverModel } from '../support/virtio/packed-driver-model.js';
import type { NamedCounts } from '../support/virtio/queue-counts.js';
import { SplitDeviceModel } from '../support/virtio/split-device-model.js';
import { SplitDriverModel } from '../support/virtio/split-driver-model.js';
import { demand } from './virtqueue.js';

interface InRing {
  readonly slot: number;
  readonly bytes: number;
  readonly descriptors: number;
}

/**
 * The buffers of a plain driver: slots of its memory, offered in pieces and collected by the id that the driver gave
 * them.
 */
export class PlainBuffers {
  private readonly slots: number[];
  private readonly inRing = new Map<number, InRing>();
  private descriptors: number;

  constructor(
    private readonly driver: DriverModel,
    private readonly size: number,
    slotBytes: number,
  ) {
    this.slots = Array.from({ length: size }, () => driver.buffer(slotBytes));
    this.descriptors = size;
  }

  /** Offers a buffer in pieces; null when the ring has no room for it. */
  offer(bytes: number, pieces: number, write: boolean, indirect: boolean): { key: number; places: number } | null {
    // 2.7.5.3.1: neither a chain nor a table is longer than the queue.
    const parts = Math.min(pieces, this.size);
    const descriptors = indirect ? 1 : parts;
    const slot = this.slots.at(-1);
    if (slot === undefined || descriptors > this.descriptors) return null;
    this.slots.pop();
    const cut = (i: number): number => Math.floor((bytes * i) / parts);
    const cuts = Array.from({ length: parts }, (_, i) => ({
      offset: slot + cut(i),
      length: cut(i + 1) - cut(i),
      write,
    }));
    const key = this.driver.offer(cuts, indirect ? 0 : parts);
    this.descriptors -= descriptors;
    this.inRing.set(key, { slot, bytes, descriptors });
    return { key, places: descriptors };
  }

  write(key: number, bytes: Uint8Array): void {
    this.driver.memory.u8.set(bytes, this.inRing.get(key)!.slot);
  }

  /** What was used since the last call, in order, with the number of bytes that the device says it has written. */
  collect(): { key: number; bytes: Uint8Array; descriptors: number }[] {
    return this.driver.takeUsed().map(({ id, length }) => {
      const buffer = this.inRing.get(id);
      if (buffer === undefined) throw new Error(`the device used buffer ${id}, which it does not have`);
      this.inRing.delete(id);
      this.slots.push(buffer.slot);
      this.descriptors += buffer.descriptors;
      const { slot, descriptors } = buffer;
      return { key: id, bytes: this.driver.memory.u8.slice(slot, slot + length), descriptors };
    });
  }

  keys(): number[] {
    return [...this.inRing.keys()];
  }
}

/**
 * Called before a plain driver offers. Returns a function that says afterwards whether the driver has to notify of
 * those places.
 */
export function plainDriverKicks(driver: DriverModel): (places: number) => boolean {
  const { size, eventIdx } = driver.options;
  if (driver instanceof SplitDriverModel) {
    const index = (): number => driver.memory.u16[(driver.place.avail + 2) >> 1]!;
    const from = index();
    return () => {
      if (!eventIdx) return from !== index() && (driver.usedFlags & 1) === 0;
      for (let i = from; i !== index(); i = (i + 1) & 0xffff) if (i === driver.availEvent) return true;
      return false;
    };
  }
  if (!(driver instanceof PackedDriverModel)) throw new Error('a driver of no known layout');
  let place = driver.expectedBase & 0xffff;
  return (places) => {
    const { flags, index, wrap } = driver.deviceEvent;
    if (places === 0 || flags === 1) return false;
    if (flags === 0) return true;
    for (let i = 0; i < places; i++) {
      if (place === (index | (wrap ? 0x8000 : 0))) return true;
      place = (place & 0x7fff) + 1 < size ? place + 1 : (place & 0x8000) ^ 0x8000;
    }
    return false;
  };
}

/**
 * Called before a plain device uses buffers. Returns a function that says afterwards whether the device has to notify
 * of that many.
 */
export function plainDeviceSignals(ring: DeviceModel): (count: number) => boolean {
  if (ring instanceof SplitDeviceModel) {
    const from = ring.usedIndex;
    return (count) => count > 0 && ring.wantsInterrupt(from, ring.usedIndex);
  }
  if (!(ring instanceof PackedDeviceModel)) throw new Error('a device of no known layout');
  const from = { ...ring.nextUsed };
  return (count) => count > 0 && ring.wantsInterrupt(from, count);
}

/** A plain device asks for a notification of the next buffer: by its place, where it may. */
export function armPlainDevice(ring: DeviceModel, eventIdx: boolean): void {
  if (ring instanceof PackedDeviceModel && eventIdx) ring.setEvent(2, ring.nextAvail);
  else ring.setNotify(true);
}

/** A plain driver says what it wants to be notified of: all, nothing, or (EVENT_IDX) what is used next. */
export function setPlainDriverWish(driver: DriverModel, wanted: boolean, usedTo: number): void {
  const { eventIdx } = driver.options;
  if (driver instanceof PackedDriverModel) driver.setEvent(wanted ? (eventIdx ? 2 : 0) : 1, usedTo);
  else if (driver instanceof SplitDriverModel && eventIdx) driver.usedEvent = (wanted ? usedTo : usedTo - 1) & 0xffff;
  else if (driver instanceof SplitDriverModel) driver.availFlags = wanted ? 0 : 1;
}

/** The buffers of a pool, in the order in which the pool would give them. */
export function freeBuffers(pool: BufferPool): number[] {
  const free: number[] = [];
  for (let handle = pool.get(); handle !== NO_BUFFER; handle = pool.get()) free.push(handle);
  for (let i = free.length - 1; i >= 0; i--) pool.put(free[i]!);
  return free;
}

/** Up to `count` of the numbers 0 to `length` - 1, in an order that `random` decides; 0 means ascending. */
export function someOf(length: number, count: number, random: number): number[] {
  const left = Array.from({ length }, (_, i) => i);
  return Array.from(
    { length: Math.min(length, count) },
    (_, i) => left.splice((random + i * (random % 7)) % left.length, 1)[0]!,
  );
}

/** Whether `act` signals the driver. Demands that it does so at most once. */
export function signalledBy(counts: Float64Array, act: () => void): boolean {
  const before = counts[QueueCounter.signals]!;
  act();
  const signals = counts[QueueCounter.signals]! - before;
  demand(signals <= 1, `${signals} signals for one burst`);
  return signals > 0;
}

/** Whether the doorbell rang between these counts; demands at most one doorbell per burst. */
export function hasKicked(before: NamedCounts, after: NamedCounts): boolean {
  const kicks = after.kicks - before.kicks;
  demand(kicks <= 1, `${kicks} doorbells for one burst`);
  return kicks > 0;
}
