/**
 * The ends of a receive queue that are run against each other: the product's, and those written from the specification.
 */
import { LinearAddressSpace } from '../../drivers/memory/index.js';
import { MAX_RX_BURST } from '../../drivers/net-device.js';
import { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../drivers/virtio/device/queue-counters.js';
import { DeviceRxQueue } from '../../drivers/virtio/device/rx-queue.js';
import { PackedRxQueue } from '../../drivers/virtio/driver/packed-rx.js';
import { SplitRxQueue } from '../../drivers/virtio/driver/split-rx.js';
import { BufferPool, FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import { type Chain, type DeviceModel, MODEL_IOVA_BASE } from '../support/virtio/device-model.js';
import type { DriverModel } from '../support/virtio/driver-model.js';
import { PackedDeviceModel } from '../support/virtio/packed-device-model.js';
import { PackedDriverModel } from '../support/virtio/packed-driver-model.js';
import { countsOf } from '../support/virtio/queue-counts.js';
import { SplitDeviceModel } from '../support/virtio/split-device-model.js';
import { SplitDriverModel } from '../support/virtio/split-driver-model.js';
import {
  armPlainDevice,
  freeBuffers,
  hasKicked,
  PlainBuffers,
  plainDeviceSignals,
  plainDriverKicks,
  setPlainDriverWish,
  signalledBy,
  someOf,
} from './plain-ends.js';
import { type Config, type RingAt, type RingFixture, ringAt } from './ring-fixture.js';
import { demand, type Offered } from './virtqueue.js';

const HEADER = 12;

/** An empty buffer for the device to write into. */
export interface Posted extends Offered {
  readonly capacity: number;
}

export interface Received {
  readonly key: number;
  readonly frame: Uint8Array;
}

/** The result of a burst of our driver. */
export interface Burst {
  readonly received: readonly Received[];
  readonly noBuffer: number;
  readonly tooLong: number;
  readonly badLength: number;
  /** The free buffers before the burst, in the order in which they go into the ring. */
  readonly free: readonly number[];
  readonly kicked: boolean;
}

export class OurRxDriver {
  readonly at: RingAt;
  readonly capacity: number;
  private readonly pool: BufferPool;
  private readonly queue: SplitRxQueue | PackedRxQueue;

  constructor(
    fixture: RingFixture,
    private readonly config: Config,
  ) {
    fixture.clearRing();
    this.at = ringAt(fixture, config);
    const { size, spare } = config;
    this.pool = new BufferPool(fixture.geometry, 0, size + spare);
    this.capacity = frameCapacity(fixture.geometry.shift) + HEADER;
    const Queue = config.packed ? PackedRxQueue : SplitRxQueue;
    const received = { handles: new Uint32Array(MAX_RX_BURST), lengths: new Uint32Array(MAX_RX_BURST) };
    this.queue = new Queue('model', fixture.memory, fixture.layout(size), this.pool, received);
    this.reset();
  }

  /** Frees everything that the ring held, and fills the ring anew: with the buffers of these keys, in this order. */
  reset(): Posted[] {
    const { eventIdx, mergeable, inOrder } = this.config;
    this.queue.start(new LinearAddressSpace(MODEL_IOVA_BASE), eventIdx, mergeable, inOrder);
    return this.inSlots().map((key) => ({ key, places: 1, capacity: this.capacity }));
  }

  /** DRIVER_OK: the device may see the ring. */
  open(): void {
    this.queue.open();
  }

  receive(max: number): Burst {
    const { queue, pool } = this;
    const free = freeBuffers(pool);
    const before = countsOf(queue);
    const { handles, lengths } = queue.received;
    const count = queue.burst(max);
    const after = countsOf(queue);
    demand(queue.broken === '', queue.broken);
    const received = [...handles.subarray(0, count)].map((key, i) => ({ key, frame: this.frame(key, lengths[i]!) }));
    return {
      received,
      noBuffer: after.droppedNoBuffer - before.droppedNoBuffer,
      tooLong: after.droppedTooLong - before.droppedTooLong,
      badLength: after.droppedBadLength - before.droppedBadLength,
      free,
      kicked: hasKicked(before, after),
    };
  }

  /** The present content of a buffer. */
  frame(key: number, length: number): Uint8Array {
    const start = this.pool.offsetOf(key) + FRAME_OFFSET;
    return this.at.guest.memory.u8.slice(start, start + length);
  }

  giveBack(key: number): void {
    this.pool.put(key);
  }

  arm(): boolean {
    return this.queue.enableInterrupts();
  }

  disarm(): void {
    this.queue.disableInterrupts();
  }

  private inSlots(): number[] {
    return [...this.queue.tables.slotHandle].filter((handle) => handle !== -1);
  }

  /** Keys of the buffers in the ring. Throws when a buffer is in two places or in none. */
  held(inHand: readonly number[]): number[] {
    const held = this.inSlots();
    const all = [...held, ...freeBuffers(this.pool), ...inHand].sort((a, b) => a - b);
    const count = this.config.size + this.config.spare;
    demand(
      all.length === count && all.every((key, i) => key === i),
      `the buffers are no more each in one place: ${all}`,
    );
    return held;
  }

  /** The ring's memory belongs to the caller: there is nothing to close. */
  close(): void {}
}

/** Posts buffers of any size and shape, and takes back whatever the device has used. */
export class PlainRxDriver {
  readonly at: RingAt;
  private readonly driver: DriverModel;
  private readonly buffers: PlainBuffers;
  /** Places collected since the start. */
  private collectedTo = 0;

  constructor({ size, eventIdx, mergeable, packed }: Config) {
    const options = { size, eventIdx, mergeable };
    this.driver = packed ? new PackedDriverModel(options) : new SplitDriverModel(options);
    this.at = { guest: this.driver, place: this.driver.place, options: this.driver.options };
    this.buffers = new PlainBuffers(this.driver, size, 2048);
  }

  post(capacities: readonly number[]): { posted: Posted[]; kicked: boolean } {
    const kicks = plainDriverKicks(this.driver);
    const posted: Posted[] = [];
    let filled = 0;
    for (const capacity of capacities) {
      const parts = 1 + (capacity % 3);
      const offered = this.buffers.offer(capacity, parts, true, capacity % 2 === 1);
      if (offered === null) break;
      filled += offered.places;
      posted.push({
        key: offered.key,
        capacity,
        places: this.driver instanceof PackedDriverModel ? offered.places : 1,
      });
    }
    return { posted, kicked: kicks(filled) };
  }

  collect(): { key: number; bytes: Uint8Array }[] {
    const collected = this.buffers.collect();
    for (const { descriptors } of collected)
      this.collectedTo += this.driver instanceof PackedDriverModel ? descriptors : 1;
    return collected;
  }

  setWish(wanted: boolean): void {
    setPlainDriverWish(this.driver, wanted, this.collectedTo);
  }

  held(): number[] {
    return this.buffers.keys();
  }

  close(): void {
    this.driver.close();
  }
}

export interface PutResult {
  readonly delivered: number;
  /** Frames dropped: for want of buffers, or because they are too long for the next buffer. */
  readonly dropped: number;
  readonly signalled: boolean;
}

export class OurRxDevice {
  private queue: DeviceRxQueue;
  /** The frames come from a memory of another port. */
  private readonly burst: PacketBurst;

  constructor(private readonly at: RingAt) {
    this.queue = new DeviceRxQueue(at.guest, at.place, at.options);
    const buffer = new SharedArrayBuffer(1 << 18);
    this.burst = new PacketBurst({
      u8: new Uint8Array(buffer),
      u16: new Uint16Array(buffer),
      u32: new Uint32Array(buffer),
    });
  }

  put(frames: readonly Uint8Array[]): PutResult {
    const { burst, queue } = this;
    const { counts } = this.at.options;
    burst.clear();
    frames.forEach((frame, i) => {
      // Any place, also an odd one.
      const offset = i * 4096 + (frame.length % 5);
      burst.memory.u8.set(frame, offset);
      burst.push(offset, frame.length);
    });
    const [short, long] = [counts[QueueCounter.noBuffer]!, counts[QueueCounter.noRoom]!];
    let delivered = 0;
    const signalled = signalledBy(counts, () => {
      delivered = queue.put(
        burst,
        Uint8Array.from(frames, (_, i) => i),
        frames.length,
      );
    });
    const dropped = counts[QueueCounter.noBuffer]! + counts[QueueCounter.noRoom]! - short - long;
    return { delivered, dropped, signalled };
  }

  arm(): boolean {
    return this.queue.enableKick();
  }

  disarm(): void {
    this.queue.disableKick();
  }

  restart(): void {
    const base = this.queue.ring.stop();
    this.queue = new DeviceRxQueue(this.at.guest, this.at.place, { ...this.at.options, base });
  }
}

export class PlainRxDevice {
  private readonly ring: DeviceModel;
  private readonly violations: string[] = [];
  private chains: Chain[] = [];

  constructor(
    private readonly fixture: RingFixture,
    private readonly config: Config,
  ) {
    const Ring = config.packed ? PackedDeviceModel : SplitDeviceModel;
    this.ring = new Ring(fixture.memory, fixture.layout(config.size), 'receive', config.eventIdx, this.violations);
  }

  /** Takes chains; returns the keys of their buffers. */
  take(max: number): number[] {
    const keys: number[] = [];
    for (let chain = this.ring.take(); chain !== null; chain = this.ring.take()) {
      this.chains.push(chain);
      const { base, shift } = this.fixture.geometry;
      keys.push((chain.segments[0]!.offset - base) >> shift);
      if (keys.length === max) break;
    }
    demand(this.violations.length === 0, this.violations.join('; '));
    return keys;
  }

  /** Uses up to `count` of the chains that it holds; `write` returns what is written into that many. */
  use(
    count: number,
    random: number,
    write: (count: number) => readonly Uint8Array[],
  ): { order: number[]; writings: readonly Uint8Array[]; signalled: boolean } {
    const order = someOf(this.chains.length, count, this.config.inOrder ? 0 : random);
    const writings = write(order.length);
    const chains = order.map((i) => this.chains[i]!);
    this.chains = this.chains.filter((_, i) => !order.includes(i));
    const signals = plainDeviceSignals(this.ring);
    chains.forEach((chain, i) => {
      this.fixture.memory.u8.set(writings[i]!, chain.segments[0]!.offset);
      this.ring.use(chain, writings[i]!.length);
    });
    demand(this.violations.length === 0, this.violations.join('; '));
    return { order, writings, signalled: signals(chains.length) };
  }

  arm(): null {
    armPlainDevice(this.ring, this.config.eventIdx);
    return null;
  }

  disarm(): void {
    this.ring.setNotify(false);
  }
}
