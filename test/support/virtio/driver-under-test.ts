/** A driver on a fake transport, small enough that its rings soon fill and wrap, and frames that are all different. */
import { expect } from 'vitest';
import * as f from '../../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../drivers/virtio/virtio-net-device.js';
import { type BufferPool, FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { BASIC, FakeTransport } from './fake-transport.js';
import { buffersIn } from './slots.js';

export const QUEUE_SIZE = 8;
export const BUFFERS = 32;
/** What a device offers beyond the basic features in tests of the queues that try everything that changes queues. */
export const FEATURES = [
  0n,
  f.VIRTIO_F_EVENT_IDX,
  f.VIRTIO_NET_F_MRG_RXBUF,
  f.VIRTIO_F_EVENT_IDX | f.VIRTIO_NET_F_MRG_RXBUF,
] as const;

/** A frame of `length` bytes, each depending on its place and on `seed`. */
export function frameOf(seed: number, length = 64): Uint8Array {
  const frame = new Uint8Array(length);
  for (let i = 0; i < length; i++) frame[i] = (seed * 31 + i * 7 + (seed >> 8)) & 0xff;
  // The whole seed, so that frames differ beyond the range of a byte.
  new DataView(frame.buffer).setUint32(0, seed, true);
  return frame;
}

export class DriverUnderTest {
  /** Buffers that the caller of the driver holds. */
  readonly inHand = new Set<number>();
  private readonly handles = new Uint32Array(256);
  private readonly lengths = new Uint32Array(256);

  private constructor(
    readonly transport: FakeTransport,
    readonly device: VirtioNetDevice,
  ) {}

  static async open(options: NetDeviceOptions = {}, prepare: (transport: FakeTransport) => void = () => {}) {
    const transport = new FakeTransport();
    prepare(transport);
    const small = { queueSize: QUEUE_SIZE, buffers: BUFFERS, hugepages: 'never', mergeable: true, ...options } as const;
    return new DriverUnderTest(transport, await VirtioNetDevice.open(transport, small));
  }

  /** On a device that offers these features beyond the basic ones; its rings are packed if that is among them. */
  static offering(features: bigint, options: NetDeviceOptions = {}): Promise<DriverUnderTest> {
    const ring = (features & f.VIRTIO_F_RING_PACKED) !== 0n ? 'packed' : 'split';
    return DriverUnderTest.open({ ring, ...options }, (transport) => {
      transport.offered = BASIC | features;
    });
  }

  /** Closes the device. Demands that the device has seen nothing that a driver must not do. */
  async finish(): Promise<void> {
    await this.device.close();
    expect(this.transport.violations).toEqual([]);
  }

  /** A buffer with `frame` in it, or NO_BUFFER if the pool has none, even after sent buffers have come back. */
  buffer(frame: Uint8Array): number {
    const { pool, memory } = this.device;
    let handle = pool.get();
    if (handle === NO_BUFFER) {
      this.device.reclaimTx();
      handle = pool.get();
      if (handle === NO_BUFFER) return NO_BUFFER;
    }
    memory.u8.set(frame, pool.offsetOf(handle) + FRAME_OFFSET);
    this.inHand.add(handle);
    return handle;
  }

  /** Offers the frames in one burst; returns how many were taken. The buffers of the others go back to the pool. */
  send(frames: readonly Uint8Array[]): number {
    let count = 0;
    for (const frame of frames) {
      const handle = this.buffer(frame);
      if (handle === NO_BUFFER) break;
      this.handles[count] = handle;
      this.lengths[count] = frame.length;
      count++;
    }
    const taken = this.device.txBurst(this.handles, this.lengths, count);
    for (let i = 0; i < count; i++) {
      this.inHand.delete(this.handles[i] as number);
      if (i >= taken) this.device.pool.put(this.handles[i] as number);
    }
    return taken;
  }

  /** Receives a burst; the caller holds the buffers. */
  receiveInHand(max = 32): { handle: number; frame: Uint8Array }[] {
    const { rxHandles, rxLengths } = this.device;
    const count = this.device.rxBurst(max);
    const received: { handle: number; frame: Uint8Array }[] = [];
    for (let i = 0; i < count; i++) {
      const handle = rxHandles[i] as number;
      if (this.inHand.has(handle)) throw new Error(`buffer ${handle} was received, but the caller has it`);
      this.inHand.add(handle);
      const start = this.device.pool.offsetOf(handle) + FRAME_OFFSET;
      received.push({ handle, frame: this.device.memory.u8.slice(start, start + (rxLengths[i] as number)) });
    }
    return received;
  }

  /** Receives a burst and gives the buffers back. */
  receive(max = 32): Uint8Array[] {
    return this.receiveInHand(max).map(({ handle, frame }) => {
      this.giveBack(handle);
      return frame;
    });
  }

  giveBack(handle: number): void {
    if (!this.inHand.delete(handle)) throw new Error(`buffer ${handle} is not in hand`);
    this.device.pool.put(handle);
  }

  /**
   * The place of every buffer. Throws when a buffer is in two places or in none.
   * @param apart pools of buffers that were sent, if they are not the device's pool
   */
  account(...apart: BufferPool[]): { pool: number; rx: number; tx: number; hand: number; sent?: number } {
    const { pool, rx, tx } = this.device;
    const place = new Map<number, string>();
    const claim = (handle: number, where: string): void => {
      const other = place.get(handle);
      if (other !== undefined) throw new Error(`buffer ${handle} is in ${other} and in ${where}`);
      place.set(handle, where);
    };
    for (const [from, where] of [[pool, 'pool'] as const, ...apart.map((other) => [other, 'sent'] as const)]) {
      const free: number[] = [];
      for (let handle = from.get(); handle !== NO_BUFFER; handle = from.get()) free.push(handle);
      for (const handle of free.reverse()) {
        claim(handle, where);
        from.put(handle);
      }
    }
    for (const handle of this.inHand) claim(handle, 'hand');
    for (const [queue, where] of [[rx, 'rx'] as const, [tx, 'tx'] as const]) {
      for (const handle of buffersIn(queue)) claim(handle, where);
    }
    if (place.size !== pool.geometry.count) throw new Error(`${pool.geometry.count - place.size} buffers are lost`);
    const count = (where: string): number => [...place.values()].filter((found) => found === where).length;
    const counts = { pool: count('pool'), rx: count('rx'), tx: count('tx'), hand: count('hand') };
    return apart.length === 0 ? counts : { ...counts, sent: count('sent') };
  }
}
