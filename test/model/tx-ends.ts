/**
 * The ends of a transmit queue that are run against each other: the product's, and those written from the
 * specification.
 */
import { LinearAddressSpace } from '../../drivers/memory/index.js';
import { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { DeviceTxQueue } from '../../drivers/virtio/device/tx-queue.js';
import { PackedTxQueue } from '../../drivers/virtio/driver/packed-tx.js';
import { SplitTxQueue } from '../../drivers/virtio/driver/split-tx.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
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
  signalledBy,
  someOf,
} from './plain-ends.js';
import { type Config, type RingAt, type RingFixture, ringAt } from './ring-fixture.js';
import { demand, type Offered } from './virtqueue.js';

const HEADER = 12;

export interface Sent extends Offered {
  readonly frame: Uint8Array;
}

/** What happened to frames that were given to a driver. */
export interface SendResult {
  readonly sent: readonly Sent[];
  /** Keys of buffers that came back meanwhile. */
  readonly returned: readonly number[];
  /** Frames of a length that no frame has: given up. */
  readonly dropped: number;
  readonly kicked: boolean;
}

export interface UseResult {
  readonly order: readonly number[];
  /** Whether it signals the driver. */
  readonly signalled: boolean;
}

export interface TxDriver {
  readonly at: RingAt;
  /** Sends frames of these lengths, as many as there is room for; `seed` makes them distinct. */
  send(frames: readonly Uint8Array[]): SendResult;
  /** Takes back what the device has used. Returns the keys. */
  reclaim(): readonly number[];
  /** Keys of the buffers that it holds to be in the ring. Throws when a buffer is in two places or in none. */
  held(): readonly number[];
  /** As after a reset of the device; false where the end is closed and must be made anew. */
  reset(): boolean;
  close(): void;
}

export interface TxDevice {
  /** Frames that it finds in the next chains, at most `max`. */
  take(max: number): readonly Uint8Array[];
  /** Uses what it has taken, all or up to `count`. `order` are indexes into that, in the order of use. */
  use(count: number, random: number): UseResult;
  /** True or false as the product's; null where it does not look. */
  arm(): boolean | null;
  disarm(): void;
  /** GET_VRING_BASE, and a new ring that begins there (our device). */
  restart(): void;
}

export class OurTxDriver implements TxDriver {
  readonly at: RingAt;
  private readonly pool: BufferPool;
  private readonly queue: SplitTxQueue | PackedTxQueue;

  constructor(
    fixture: RingFixture,
    private readonly config: Config,
  ) {
    fixture.clearRing();
    this.at = ringAt(fixture, config);
    this.pool = new BufferPool(fixture.geometry, 0, config.size + config.spare);
    this.queue = new (config.packed ? PackedTxQueue : SplitTxQueue)(
      'model',
      fixture.memory,
      fixture.layout(config.size),
      this.pool,
    );
    this.reset();
  }

  reset(): boolean {
    const { eventIdx, inOrder } = this.config;
    this.queue.start(new LinearAddressSpace(MODEL_IOVA_BASE), eventIdx, 1518, inOrder);
    return true;
  }

  /** The ring's memory belongs to the caller: there is nothing to close. */
  close(): void {}

  send(frames: readonly Uint8Array[]): SendResult {
    const { pool, queue } = this;
    const handles: number[] = [];
    for (const frame of frames) {
      const handle = pool.get();
      if (handle === NO_BUFFER) break;
      this.at.guest.memory.u8.set(frame.subarray(0, frameCapacity(11)), pool.offsetOf(handle) + FRAME_OFFSET);
      handles.push(handle);
    }
    const [before, countsBefore] = [inSlots(queue), countsOf(queue)];
    const lengths = Uint32Array.from(frames, ({ length }) => length);
    const taken = queue.burst(Uint32Array.from(handles), lengths, handles.length);
    const [after, countsAfter] = [new Set(inSlots(queue)), countsOf(queue)];
    for (const handle of handles.slice(taken)) pool.put(handle);
    const sent = handles.flatMap((key, i) =>
      after.has(key) && i < taken ? [{ key, places: 1, frame: frames[i]! }] : [],
    );
    return {
      sent,
      returned: before.filter((handle) => !after.has(handle)),
      dropped: countsAfter.droppedBadLength - countsBefore.droppedBadLength,
      kicked: hasKicked(countsBefore, countsAfter),
    };
  }

  reclaim(): readonly number[] {
    const before = inSlots(this.queue);
    this.queue.reclaim();
    const after = new Set(inSlots(this.queue));
    return before.filter((handle) => !after.has(handle));
  }

  held(): readonly number[] {
    const { queue, pool } = this;
    demand(queue.broken === '', queue.broken);
    const held = inSlots(queue);
    demand(queue.inFlight === held.length, `${queue.inFlight} buffers in flight, ${held.length} in the table`);
    const all = [...held, ...freeBuffers(pool)].sort((a, b) => a - b);
    demand(
      all.length === this.config.size + this.config.spare && all.every((key, i) => key === i),
      `the buffers are no more each in one place: ${all}`,
    );
    return held;
  }
}

function inSlots(queue: SplitTxQueue | PackedTxQueue): number[] {
  return [...queue.tables.slotHandle].filter((handle) => handle !== -1);
}

/** Cuts header and frame anywhere, into up to three pieces, some of them in an indirect table. */
export class PlainTxDriver implements TxDriver {
  readonly at: RingAt;
  private driver: DriverModel;
  private readonly buffers: PlainBuffers;

  constructor(private readonly config: Config) {
    this.driver = this.make();
    this.at = { guest: this.driver, place: this.driver.place, options: this.driver.options };
    this.buffers = new PlainBuffers(this.driver, config.size, 1600);
  }

  private make(): DriverModel {
    const { size, eventIdx, mergeable } = this.config;
    const options = { size, eventIdx, mergeable };
    return this.config.packed ? new PackedDriverModel(options) : new SplitDriverModel(options);
  }

  send(frames: readonly Uint8Array[]): SendResult {
    const sent: Sent[] = [];
    const kicks = plainDriverKicks(this.driver);
    for (const frame of frames) {
      const bytes = Buffer.concat([new Uint8Array(HEADER), frame]);
      // The frame's own bytes decide where it is cut, so that a run can be repeated.
      const parts = 1 + (frame[4]! % 3);
      const offered = this.buffers.offer(bytes.length, parts, false, parts > 1 && frame.length % 2 === 1);
      if (offered === null) break;
      this.buffers.write(offered.key, bytes);
      sent.push({ key: offered.key, places: this.config.packed ? offered.places : 1, frame });
    }
    const places = sent.reduce((sum, buffer) => sum + buffer.places, 0);
    return { sent, returned: [], dropped: 0, kicked: kicks(places) };
  }

  reclaim(): readonly number[] {
    return this.buffers.collect().map(({ key }) => key);
  }

  held(): readonly number[] {
    return this.buffers.keys();
  }

  reset(): boolean {
    this.close();
    return false;
  }

  close(): void {
    this.driver.close();
  }
}

export class OurTxDevice implements TxDevice {
  private queue: DeviceTxQueue;
  private readonly burst: PacketBurst;
  private taken = 0;

  constructor(private readonly at: RingAt) {
    this.queue = new DeviceTxQueue(at.guest, at.place, at.options);
    this.burst = new PacketBurst(at.guest.memory);
  }

  take(max: number): readonly Uint8Array[] {
    const { burst } = this;
    const count = this.queue.take(burst, max);
    this.taken += count;
    return Array.from({ length: count }, (_, i) => {
      const pieces: Uint8Array[] = [];
      for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
        const from = burst.segmentOffset[s]!;
        pieces.push(burst.memory.u8.slice(from, from + burst.segmentLength[s]!));
      }
      return Buffer.concat(pieces);
    });
  }

  use(): UseResult {
    const signalled = signalledBy(this.at.options.counts, () => this.queue.complete());
    const order = Array.from({ length: this.taken }, (_, i) => i);
    this.taken = 0;
    return { order, signalled };
  }

  arm(): boolean {
    return this.queue.enableKick();
  }

  disarm(): void {
    this.queue.disableKick();
  }

  restart(): void {
    const base = this.queue.ring.stop();
    this.queue = new DeviceTxQueue(this.at.guest, this.at.place, { ...this.at.options, base });
  }
}

export class PlainTxDevice implements TxDevice {
  private readonly ring: DeviceModel;
  private readonly violations: string[] = [];
  private chains: Chain[] = [];

  constructor(
    fixture: RingFixture,
    private readonly config: Config,
  ) {
    const Ring = config.packed ? PackedDeviceModel : SplitDeviceModel;
    this.ring = new Ring(fixture.memory, fixture.layout(config.size), 'transmit', config.eventIdx, this.violations);
  }

  take(max: number): readonly Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let chain = this.ring.take(); chain !== null; chain = this.ring.take()) {
      this.chains.push(chain);
      const bytes = Buffer.from(this.ring.read(chain));
      demand(
        bytes.subarray(0, HEADER).every((byte) => byte === 0),
        '5.1.6.2.1: a header that is not zero',
      );
      frames.push(bytes.subarray(HEADER));
      if (frames.length === max) break;
    }
    demand(this.violations.length === 0, this.violations.join('; '));
    return frames;
  }

  use(count: number, random: number): UseResult {
    const order = someOf(this.chains.length, count, this.config.inOrder ? 0 : random);
    const chains = order.map((i) => this.chains[i]!);
    this.chains = this.chains.filter((_, i) => !order.includes(i));
    const signals = plainDeviceSignals(this.ring);
    // 2.8.8: with IN_ORDER one used descriptor may stand for a batch.
    if (this.ring instanceof PackedDeviceModel && this.config.inOrder && random % 2 === 1) this.ring.useBatch(chains);
    else for (const chain of chains) this.ring.use(chain, 0);
    demand(this.violations.length === 0, this.violations.join('; '));
    return { order, signalled: signals(chains.length) };
  }

  arm(): null {
    armPlainDevice(this.ring, this.config.eventIdx);
    return null;
  }

  disarm(): void {
    this.ring.setNotify(false);
  }

  restart(): void {
    throw new Error('a plain device does not stop in the middle');
  }
}
