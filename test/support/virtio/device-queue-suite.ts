/**
 * What the suites of the device's side of queues share: for each test a model of the driver, a queue of ours on its
 * ring, and packets to put in and to find again.
 */
import { afterEach, expect } from 'vitest';
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../../drivers/virtio/device/queue-counters.js';
import type { RingOptions } from '../../../drivers/virtio/device/ring.js';
import { DeviceRxQueue } from '../../../drivers/virtio/device/rx-queue.js';
import { DeviceTxQueue } from '../../../drivers/virtio/device/tx-queue.js';
import type { DriverModel, Part, UsedElement } from './driver-model.js';
import { PackedDriverModel } from './packed-driver-model.js';
import { SplitDriverModel } from './split-driver-model.js';

/** Indexes of a whole burst. */
export const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
/** In front of the frames that a driver sends. */
export const HEADER = Array.from({ length: 12 }, () => 0xee);

/** Bytes of a frame that a driver sends. */
export function frameBytes(length: number, seed = 1): number[] {
  return Array.from({ length }, (_, i) => (i * seed + 3) & 0xff);
}

export class DeviceQueueSuite<Model extends DriverModel = DriverModel> {
  driver!: Model;
  burst!: PacketBurst;

  /** Registers its hook with the suite that it is made in. */
  constructor() {
    afterEach(() => this.driver.close());
  }

  count(counter: keyof typeof QueueCounter): number {
    return this.driver.options.counts[QueueCounter[counter]]!;
  }
}

/** A queue on a ring of either layout. */
class EitherLayout extends DeviceQueueSuite {
  layout: 'split' | 'packed' = 'split';

  /** The driver, if the layout is split. */
  get split(): SplitDriverModel {
    if (this.driver instanceof SplitDriverModel) return this.driver;
    throw new Error('the ring is not split');
  }

  protected makeDriver(options: Partial<RingOptions>): void {
    this.driver = this.layout === 'split' ? new SplitDriverModel(options) : new PackedDriverModel(options);
  }
}

export class DeviceTxSuite extends EitherLayout {
  queue!: DeviceTxQueue;

  setUp(options: Partial<RingOptions> = {}): void {
    this.makeDriver(options);
    this.queue = new DeviceTxQueue(this.driver, this.driver.place, this.driver.options);
    this.burst = new PacketBurst(this.driver.memory);
  }

  /** Contents of packet i of the burst. */
  content(i: number): number[] {
    const { burst } = this;
    const bytes: number[] = [];
    for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
      const at = burst.segmentOffset[s]!;
      expect(burst.segmentLength[s]).toBeGreaterThan(0);
      bytes.push(...burst.memory.u8.slice(at, at + burst.segmentLength[s]!));
    }
    expect(bytes.length).toBe(burst.length[i]);
    return bytes;
  }

  /** Puts bytes into new buffers, cut into pieces of these lengths. */
  pieces(bytes: readonly number[], lengths: readonly number[]): Part[] {
    let from = 0;
    return lengths.map((length, i) => {
      const offset = this.driver.buffer(length, (i * 13) % 64);
      this.driver.memory.u8.set(bytes.slice(from, from + length), offset);
      from += length;
      return { offset, length };
    });
  }
}

export class DeviceRxSuite extends EitherLayout {
  queue!: DeviceRxQueue;
  /** Buffers that were posted, by head. */
  private posted = new Map<number, Part[]>();

  setUp(options: Partial<RingOptions> = {}): void {
    this.makeDriver(options);
    this.queue = new DeviceRxQueue(this.driver, this.driver.place, this.driver.options);
    this.posted = new Map();
    const buffer = new SharedArrayBuffer(1 << 19);
    const [u8, u16, u32] = [new Uint8Array(buffer), new Uint16Array(buffer), new Uint32Array(buffer)];
    this.burst = new PacketBurst({ u8, u16, u32 });
  }

  post(lengths: readonly number[], skew = 0, direct?: number): number {
    const { driver } = this;
    const parts = lengths.map((length, i) => ({
      offset: driver.buffer(length, i === 0 ? skew : 0),
      length,
      write: true,
    }));
    for (const { offset, length } of parts) driver.memory.u8.fill(0xdd, offset, offset + length);
    const head = driver.offer(parts, direct);
    this.posted.set(head, parts);
    return head;
  }

  /** Appends a packet of these pieces to the burst, which lies in `memory`; returns its bytes. */
  packet(pieces: readonly number[], seed: number, skew = 0, memory: MemoryViews = this.burst.memory): number[] {
    const { burst } = this;
    const i = burst.count;
    let segment = burst.segments;
    let at = i * 16384 + 64 + skew;
    const bytes: number[] = [];
    burst.firstSegment[i] = segment;
    for (const length of pieces) {
      const part = Array.from({ length }, (_, b) => (b * 3 + seed + bytes.length) & 0xff);
      memory.u8.set(part, at);
      bytes.push(...part);
      burst.segmentOffset[segment] = at;
      burst.segmentLength[segment++] = length;
      at += length + 5;
    }
    burst.firstSegment[i + 1] = segment;
    burst.segments = segment;
    burst.length[i] = bytes.length;
    burst.count = i + 1;
    return bytes;
  }

  /** What the driver finds in a used buffer. */
  found({ id, length }: UsedElement): number[] {
    const { u8 } = this.driver.memory;
    const bytes = this.posted.get(id)!.flatMap((part) => [...u8.slice(part.offset, part.offset + part.length)]);
    expect(bytes.slice(length).every((byte) => byte === 0xdd)).toBe(true);
    return bytes.slice(0, length);
  }
}

/** A packed ring with a queue of either direction on it: a test uses the one that it tests, or both in turn. */
export class PackedRingSuite extends DeviceQueueSuite<PackedDriverModel> {
  tx!: DeviceTxQueue;
  rx!: DeviceRxQueue;
  /** Why the ring was stopped. */
  reasons: string[] = [];

  setUp(options: Partial<RingOptions> = {}): void {
    const driver = new PackedDriverModel(options);
    this.driver = driver;
    this.tx = new DeviceTxQueue(driver, driver.place, driver.options);
    this.rx = new DeviceRxQueue(driver, driver.place, driver.options);
    this.burst = new PacketBurst(driver.memory);
    this.reasons = [];
    this.tx.ring.onBroken = (reason) => this.reasons.push(reason);
    this.rx.ring.onBroken = this.tx.ring.onBroken;
  }

  /** Bytes of a frame behind its header, in a new buffer. */
  sent(seed: number, length = 60): { offset: number; length: number } {
    const offset = this.driver.buffer(12 + length);
    for (let i = 0; i < length; i++) this.driver.memory.u8[offset + 12 + i] = (seed * 7 + i) & 0xff;
    return { offset, length: 12 + length };
  }

  /** Bytes of packet i of the burst. */
  firstByte(i: number): number {
    const { memory, segmentOffset, firstSegment } = this.burst;
    return memory.u8[segmentOffset[firstSegment[i]!]!]!;
  }
}
