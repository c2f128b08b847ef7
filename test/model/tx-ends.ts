/**
 * The ends of a transmit queue that are run against each other: the product's, and those written from the
 * specification.
 */
import { LinearAddressSpace } from '../../drivers/memory/index.js';
import { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { DeviceTxQueue } from '../../drivers/virtio/device/tx-queue.js';
import { PackedTxChains } from '../../drivers/virtio/driver/chains/packed-tx-chains.js';
import { SplitTxChains } from '../../drivers/virtio/driver/chains/split-tx-chains.js';
import { SLOT_CHAIN } from '../../drivers/virtio/driver/chains/tx-packets.js';
import { USE_INDIRECT } from '../../drivers/virtio/driver/offload-bits.js';
import { PackedTxQueue } from '../../drivers/virtio/driver/packed-tx.js';
import type { TxQueue } from '../../drivers/virtio/driver/queue.js';
import { makeQueueTables } from '../../drivers/virtio/driver/queue-tables.js';
import { SplitTxQueue } from '../../drivers/virtio/driver/split-tx.js';
import { BufferPool, FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import * as t from '../../rings/packet-table.js';
import { type Chain, type DeviceModel, MODEL_IOVA_BASE } from '../support/virtio/device-model.js';
import type { DriverModel } from '../support/virtio/driver-model.js';
import { PackedDeviceModel } from '../support/virtio/packed-device-model.js';
import { PackedDriverModel } from '../support/virtio/packed-driver-model.js';
import { countsOf, type NamedCounts } from '../support/virtio/queue-counts.js';
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
import { type Config, MAX_PARTS, type RingAt, type RingFixture, ringAt } from './ring-fixture.js';
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

/** Frames that no frame can be, and parts that are longer than a buffer. */
const droppedOf = ({ droppedBadLength, droppedBadOffload }: NamedCounts): number =>
  droppedBadLength + droppedBadOffload;

/** Whether our driver gets this frame in two buffers. The frame's own bytes decide, so that a run can be repeated. */
export function liesInTwo(frame: Uint8Array, { parts }: Config): boolean {
  return parts !== 'one' && frame.length > 28 && frame[4]! % 3 !== 0;
}

export class OurTxDriver implements TxDriver {
  readonly at: RingAt;
  private readonly pool: BufferPool;
  private readonly queue: TxQueue;
  private readonly table: t.PacketTable;
  /** Packets that it can hold, in the ring and out of it. */
  private readonly most: number;

  constructor(
    fixture: RingFixture,
    private readonly config: Config,
  ) {
    const { size, spare, packed, parts } = config;
    fixture.clearRing();
    this.at = ringAt(fixture, config);
    this.most = size + spare;
    this.pool = new BufferPool(fixture.geometry, 0, parts === 'one' ? this.most : MAX_PARTS * this.most);
    this.table = fixture.table;
    this.table.words.fill(0);
    const Plain = packed ? PackedTxQueue : SplitTxQueue;
    const Queue = parts === 'one' ? Plain : packed ? PackedTxChains : SplitTxChains;
    const { count } = fixture.geometry;
    const tables = makeQueueTables(size, count, false, parts === 'one' ? null : fixture.chains);
    this.queue = new Queue('model', fixture.memory, fixture.layout(size), this.pool, tables);
    this.reset();
  }

  reset(): boolean {
    const { eventIdx, inOrder, parts } = this.config;
    const features = parts === 'tables' ? USE_INDIRECT : 0;
    this.queue.start(new LinearAddressSpace(MODEL_IOVA_BASE), eventIdx, 1518, inOrder, features);
    return true;
  }

  /** The ring's memory belongs to the caller: there is nothing to close. */
  close(): void {}

  send(frames: readonly Uint8Array[]): SendResult {
    const { pool, queue, table } = this;
    const [before, countsBefore] = [this.inSlots(), countsOf(queue)];
    const packets = frames.slice(0, this.most - before.length).map((frame) => this.packet(frame));
    const handles = packets.map(({ handle }) => handle);
    const lengths = Uint32Array.from(packets, ({ length }) => length);
    const taken = queue.burst(Uint32Array.from(handles), lengths, handles.length);
    const [after, countsAfter] = [new Set(this.inSlots()), countsOf(queue)];
    for (const handle of handles.slice(taken)) table.free(handle, pool);
    const sent = packets.flatMap(({ handle: key, parts }, i) => {
      const places = this.config.packed && this.config.parts === 'chains' ? parts : 1;
      return after.has(key) && i < taken ? [{ key, places, frame: frames[i]! }] : [];
    });
    return {
      sent,
      returned: before.filter((handle) => !after.has(handle)),
      dropped: droppedOf(countsAfter) - droppedOf(countsBefore),
      kicked: hasKicked(countsBefore, countsAfter),
    };
  }

  reclaim(): readonly number[] {
    const before = this.inSlots();
    this.queue.reclaim();
    const after = new Set(this.inSlots());
    return before.filter((handle) => !after.has(handle));
  }

  held(): readonly number[] {
    const { queue, pool, config } = this;
    demand(queue.broken === '', queue.broken);
    const held = this.inSlots();
    const buffers = held.flatMap((handle) => this.buffersOf(handle));
    const places = config.parts === 'chains' ? buffers.length : held.length;
    demand(queue.inFlight === places, `${queue.inFlight} descriptors in flight, ${places} in the table`);
    const all = [...buffers, ...freeBuffers(pool)].sort((a, b) => a - b);
    const count = config.parts === 'one' ? this.most : MAX_PARTS * this.most;
    demand(
      all.length === count && all.every((key, i) => key === i),
      `the buffers are no more each in one place: ${all}`,
    );
    return held;
  }

  /** First buffers of the packets in the ring. */
  private inSlots(): number[] {
    return [...this.queue.tables.slotHandle].flatMap((what) => {
      if (what >= 0) return [what];
      return what <= SLOT_CHAIN ? [SLOT_CHAIN - what] : [];
    });
  }

  /** All buffers of a packet in the ring: its entry says 0, and a packet in one buffer has no links. */
  private buffersOf(first: number): number[] {
    const isChain = this.queue.tables.slotHandle.includes(SLOT_CHAIN - first);
    return isChain ? [first, this.table.words[(first << t.ENTRY_SHIFT) + t.NEXT]!] : [first];
  }

  /** Writes a frame into one buffer or two. */
  private packet(frame: Uint8Array): { handle: number; length: number; parts: number } {
    const { pool, config } = this;
    const { words } = this.table;
    const { u8 } = this.at.guest.memory;
    const handle = pool.get();
    const at = handle << t.ENTRY_SHIFT;
    const isCut = liesInTwo(frame, config);
    const length = isCut ? 14 + (frame[5]! % (frame.length - 27)) : frame.length;
    u8.set(frame.subarray(0, Math.min(length, frameCapacity(11))), pool.offsetOf(handle) + FRAME_OFFSET);
    if (!isCut) return { handle, length, parts: 1 };
    const rest = pool.get();
    const entry = rest << t.ENTRY_SHIFT;
    const start = FRAME_OFFSET - (frame[6]! % 13);
    u8.set(frame.subarray(length).subarray(0, frameCapacity(11)), pool.offsetOf(rest) + start);
    words[at + t.FLAGS] = t.CHAIN;
    words[at + t.TOTAL] = frame.length;
    words[at + t.NEXT] = rest;
    words[entry + t.NEXT] = t.LAST;
    words[entry + t.START] = start;
    words[entry + t.LENGTH] = frame.length - length;
    return { handle, length, parts: 2 };
  }
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
    this.ring.indirect = config.parts === 'tables';
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
