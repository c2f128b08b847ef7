/**
 * A network device's queues as its driver uses them, whatever their layout. A device has one layout for all its queues
 * (virtio 1.2, 6: VIRTIO_F_RING_PACKED), and a process rarely two kinds of devices: calls through these interfaces see
 * one class and are inlined.
 */
import type { BufferPool } from '../../../rings/buffer-pool.js';
import type { AddressSpace, MemoryViews } from '../../memory/index.js';
import { MAX_RX_BURST } from '../../net-device.js';
import { availBytes, descTableBytes, usedBytes } from '../layout/split.js';
import type { Doorbell, QueueLayout } from '../transport.js';
import { PackedRxQueue } from './packed-rx.js';
import { PackedTxQueue } from './packed-tx.js';
import type { QueueTables } from './queue-tables.js';
import { DriverRxQueue } from './split-rx.js';
import { DriverTxQueue } from './split-tx.js';
import type { UnfitFrames } from './unfit-frames.js';

interface Queue {
  readonly name: string;
  readonly layout: QueueLayout;
  readonly tables: QueueTables;
  /** The most entries that there is memory for. */
  readonly capacity: number;
  /** What is wrong with the ring, or empty. A broken ring is left alone until the device was reset. */
  readonly broken: string;
  /** Doorbells rung. */
  kicks: number;
  /** Uses `size` entries, a power of two up to {@link capacity}. While the device does not run. */
  resize(size: number): void;
  /** Where to announce new buffers, from DRIVER_OK on. */
  attach(doorbell: Pick<Doorbell, 'ring'>): void;
  /** Rings unconditionally: after DRIVER_OK, when a backend starts a ring only at its first kick. */
  kick(): void;
  /** Puts every buffer that the device held back into the pool; returns how many. The device must not run. */
  takeBack(): number;
}

/** Where a receive queue puts what it has received: buffers, and bytes from `FRAME_OFFSET` of each on. */
export interface ReceivedFrames {
  readonly handles: Uint32Array;
  readonly lengths: Uint32Array;
}

export interface RxQueue extends Queue, UnfitFrames {
  /** What the last burst has brought. */
  readonly received: ReceivedFrames;
  /** Packets and bytes handed to the caller. */
  packets: number;
  bytes: number;
  /** Received buffers that nobody had taken when the device went away. */
  lostOnReset: number;
  /**
   * After a reset: fills the ring. Interrupts are off. Returns false when the pool could not fill it.
   * @param inOrder VIRTIO_F_IN_ORDER was negotiated: with packed rings alone
   */
  start(space: AddressSpace, eventIdx: boolean, mergeable: boolean, inOrder: boolean): boolean;
  /** Lets the device see the filled ring: after DRIVER_OK. */
  open(): void;
  /**
   * Takes up to `max` received frames into the {@link ReceivedFrames} that the queue was made with. The buffers are the
   * caller's from then on.
   */
  burst(max: number): number;
  /** Asks for an interrupt at the next used buffer. False (and off again) when one is there already. */
  enableInterrupts(): boolean;
  /** No interrupts wanted. The device may send one all the same. */
  disableInterrupts(): void;
}

export interface TxQueue extends Queue {
  /** Packets and bytes given to the device. */
  packets: number;
  bytes: number;
  /** Dropped: shorter than an Ethernet header, or longer than the device's MTU allows. */
  droppedBadLength: number;
  /** Packets that were in the ring when the device went away. */
  lostOnReset: number;
  /** After a reset: an empty ring. `longestFrame` is what the device forwards (virtio 1.2, 5.1.4.2). */
  start(space: AddressSpace, eventIdx: boolean, longestFrame: number, inOrder: boolean): void;
  /** After {@link start} by another thread, on the same ring and tables: this one drives it from now on. */
  adopt(size: number, eventIdx: boolean, longestFrame: number, inOrder: boolean): void;
  /** Buffers that the device has, or has done with and that were not reclaimed yet. */
  readonly inFlight: number;
  /** Sends the first `count` frames, in order; returns how many were taken. The rest stay the caller's. */
  burst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
  /** Puts the buffers that the device has sent back into the pool. */
  reclaim(): void;
}

/** Split queues, as a device has them before anything was negotiated. `sent` is where sent buffers go. */
export function splitQueues(
  name: string,
  memory: MemoryViews,
  [rxLayout, txLayout]: readonly [QueueLayout, QueueLayout],
  pool: BufferPool,
  sent: BufferPool,
  txTables: QueueTables | null,
): { rx: RxQueue; tx: TxQueue } {
  const received = { handles: new Uint32Array(MAX_RX_BURST), lengths: new Uint32Array(MAX_RX_BURST) };
  return {
    rx: new DriverRxQueue(`${name} receive queue`, memory, rxLayout, pool, received),
    tx: new DriverTxQueue(`${name} transmit queue`, memory, txLayout, sent, txTables ?? undefined),
  };
}

/** The receive queue for the layout that was negotiated: the present one, or a new one in its place, which counts on. */
export function rxQueueFor(packed: boolean, old: RxQueue, memory: MemoryViews, pool: BufferPool): RxQueue {
  if (packed === old instanceof PackedRxQueue) return old;
  old.takeBack();
  const layout = clear(old, memory);
  const queue: RxQueue = new (packed ? PackedRxQueue : DriverRxQueue)(
    old.name,
    memory,
    layout,
    pool,
    old.received,
    old.tables,
  );
  queue.packets = old.packets;
  queue.bytes = old.bytes;
  queue.droppedNoBuffer = old.droppedNoBuffer;
  queue.droppedBadLength = old.droppedBadLength;
  queue.droppedTooLong = old.droppedTooLong;
  queue.lostOnReset = old.lostOnReset;
  queue.kicks = old.kicks;
  return queue;
}

/** As {@link rxQueueFor}, for transmit. */
export function txQueueFor(packed: boolean, old: TxQueue, memory: MemoryViews, pool: BufferPool): TxQueue {
  if (isOf(packed, old)) return old;
  old.lostOnReset += old.takeBack();
  clear(old, memory);
  return sameTxQueue(packed, old, memory, pool);
}

/** A transmit queue on the same ring that goes on counting: for who drives a ring that another thread has set up. */
export function sameTxQueue(packed: boolean, old: TxQueue, memory: MemoryViews, pool: BufferPool): TxQueue {
  if (isOf(packed, old)) return old;
  const layout = { ...old.layout, size: old.capacity };
  const queue: TxQueue = new (packed ? PackedTxQueue : DriverTxQueue)(old.name, memory, layout, pool, old.tables);
  queue.packets = old.packets;
  queue.bytes = old.bytes;
  queue.droppedBadLength = old.droppedBadLength;
  queue.lostOnReset = old.lostOnReset;
  queue.kicks = old.kicks;
  return queue;
}

function isOf(packed: boolean, queue: TxQueue): boolean {
  return packed === queue instanceof PackedTxQueue;
}

/** Leaves nothing of a queue in its memory, which is as large as a split queue of its capacity needs: more than a packed. */
function clear({ layout, capacity }: Queue, { u8 }: MemoryViews): QueueLayout {
  const { descriptors, driver, device } = layout;
  u8.fill(0, descriptors, descriptors + descTableBytes(capacity));
  u8.fill(0, driver, driver + availBytes(capacity));
  u8.fill(0, device, device + usedBytes(capacity));
  return { ...layout, size: capacity };
}
