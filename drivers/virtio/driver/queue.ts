/**
 * What the net device knows of its queues, in either layout. All queues of a device have the same layout (virtio 1.2,
 * 6: VIRTIO_F_RING_PACKED), and a process rarely drives two kinds of devices. So calls through these interfaces see one
 * class and are inlined: docs/v8.md, "One shape".
 */
import type { AddressSpace } from '../../memory/index.js';
import type { Doorbell, QueueLayout } from '../transport.js';
import type { QueueTables } from './queue-tables.js';

export interface Queue {
  readonly name: string;
  readonly layout: QueueLayout;
  readonly tables: QueueTables;
  /** What the queue counts; indexes: `QueueCount`. */
  readonly counts: Float64Array;
  /** The largest number of entries that there is memory for. */
  readonly capacity: number;
  /** What is wrong with the ring, or empty. A broken ring is left alone until the device is reset. */
  readonly broken: string;
  /** Uses `size` entries, a power of two up to {@link capacity}. While the device does not run. */
  resize(size: number): void;
  /** Sets the doorbell that announces new buffers, from DRIVER_OK on. */
  attach(doorbell: Pick<Doorbell, 'ring'>): void;
  /** Rings the doorbell. Needed once after DRIVER_OK, because a backend may start a ring only at its first kick. */
  kick(): void;
  /** Returns to the pool every buffer that the device held; the result is how many. The device must not run. */
  takeBack(): number;
}

/** Where a receive queue stores what it received: handles, and the length of each frame in bytes. */
export interface ReceivedFrames {
  readonly handles: Uint32Array;
  readonly lengths: Uint32Array;
}

export interface RxQueue extends Queue {
  /** The packets of the last burst. */
  readonly received: ReceivedFrames;
  /**
   * Fills the ring after a reset. Interrupts are off. Returns false when the pool has too few buffers.
   * @param mergeable VIRTIO_NET_F_MRG_RXBUF was negotiated
   * @param inOrder VIRTIO_F_IN_ORDER was negotiated; with packed rings only
   * @param features what was negotiated about offloads: `offloadBits`; matters only for queues with offloads
   */
  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, inOrder: boolean, features: number): boolean;
  /** Shows the device the filled ring. After DRIVER_OK. */
  open(): void;
  /**
   * Takes up to `max` received frames into {@link received}; returns how many. The buffers are the caller's from then
   * on.
   */
  burst(max: number): number;
  /**
   * Asks for an interrupt at the next used buffer. Returns false, with interrupts off again, when one is there already.
   */
  enableInterrupts(): boolean;
  /** Says that no interrupts are wanted. The device may send one all the same. */
  disableInterrupts(): void;
}

export interface TxQueue extends Queue {
  /**
   * Empties the ring after a reset.
   * @param longestFrame that the device forwards, in bytes (virtio 1.2, 5.1.4.2)
   * @param features what was negotiated about offloads: `offloadBits`; matters only for queues with offloads
   */
  start(space: AddressSpace, eventIdx: boolean, longestFrame: number, inOrder: boolean, features: number): void;
  /** Takes over a ring that another thread has started, with the same tables: this thread drives it from now on. */
  adopt(size: number, eventIdx: boolean, longestFrame: number, inOrder: boolean, features: number): void;
  /** Number of descriptors that the device has, or has used and that were not reclaimed yet: one per packet, or per part. */
  readonly inFlight: number;
  /** Sends the first `count` frames, in order; returns how many were taken. The rest stay the caller's. */
  burst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
  /** Returns to the pool the buffers whose frames the device has sent. */
  reclaim(): void;
}
