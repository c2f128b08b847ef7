/**
 * Makes a net device's queues, and replaces them when a device is started with the other layout. A device that was
 * opened with offloads has other queues than one without, whatever is negotiated: `chains/`.
 */
import type { BufferPool } from '../../../rings/buffer-pool.js';
import type { MemoryViews } from '../../memory/index.js';
import { MAX_RX_BURST } from '../../net-device.js';
import { availBytes, descTableBytes, usedBytes } from '../layout/split.js';
import type { QueueLayout } from '../transport.js';
import { PackedRxChains } from './chains/packed-rx-chains.js';
import { PackedTxChains } from './chains/packed-tx-chains.js';
import { SplitRxChains } from './chains/split-rx-chains.js';
import { SplitTxChains } from './chains/split-tx-chains.js';
import { PackedRxQueue } from './packed-rx.js';
import { PackedTxQueue } from './packed-tx.js';
import type { Queue, RxQueue, TxQueue } from './queue.js';
import { QueueCount } from './queue-counts.js';
import type { QueueTables } from './queue-tables.js';
import { SplitRxQueue } from './split-rx.js';
import { SplitTxQueue } from './split-tx.js';

/** The class of receive queues for this layout. With offloads the tables have `chains`. */
function rxClass(packed: boolean, { chains }: QueueTables): typeof SplitRxQueue | typeof PackedRxQueue {
  if (chains === null) return packed ? PackedRxQueue : SplitRxQueue;
  return packed ? PackedRxChains : SplitRxChains;
}

function txClass(packed: boolean, { chains }: QueueTables): typeof SplitTxQueue | typeof PackedTxQueue {
  if (chains === null) return packed ? PackedTxQueue : SplitTxQueue;
  return packed ? PackedTxChains : SplitTxChains;
}

/**
 * Makes split queues, as a device has them before anything was negotiated. Sent buffers go to `sent`. The tables of both
 * queues have `chains`, or neither.
 */
export function splitQueues(
  name: string,
  memory: MemoryViews,
  [rxLayout, txLayout]: readonly [QueueLayout, QueueLayout],
  pool: BufferPool,
  sent: BufferPool,
  [rxTables, txTables]: readonly [QueueTables, QueueTables],
): { rx: RxQueue; tx: TxQueue } {
  const received = { handles: new Uint32Array(MAX_RX_BURST), lengths: new Uint32Array(MAX_RX_BURST) };
  return {
    rx: new (rxClass(false, rxTables))(`${name} receive queue`, memory, rxLayout, pool, received, rxTables),
    tx: splitTxQueue(`${name} transmit queue`, memory, txLayout, sent, txTables),
  };
}

/** Makes a split transmit queue: for a borrower, who learns the layout later ({@link sameTxQueue}). */
export function splitTxQueue(
  name: string,
  memory: MemoryViews,
  layout: QueueLayout,
  sent: BufferPool,
  tables: QueueTables,
  counts?: Float64Array,
): TxQueue {
  return new (txClass(false, tables))(name, memory, layout, sent, tables, counts);
}

/**
 * The receive queue in the negotiated layout: the present one, or a new one in its place, which continues its counts.
 */
export function rxQueueFor(packed: boolean, old: RxQueue, memory: MemoryViews, pool: BufferPool): RxQueue {
  if (packed === old instanceof PackedRxQueue) return old;
  old.takeBack();
  clear(old, memory);
  const { name, received, tables, counts } = old;
  return new (rxClass(packed, tables))(name, memory, fullLayout(old), pool, received, tables, counts);
}

/** As {@link rxQueueFor}, for transmit. The buffers that the device held are counted as lost. */
export function txQueueFor(packed: boolean, old: TxQueue, memory: MemoryViews, pool: BufferPool): TxQueue {
  if (packed === old instanceof PackedTxQueue) return old;
  old.counts[QueueCount.lostOnReset] += old.takeBack();
  clear(old, memory);
  return sameTxQueue(packed, old, memory, pool);
}

/**
 * The transmit queue in the given layout, on the same ring: for a borrower, whose owner has started the ring.
 */
export function sameTxQueue(packed: boolean, old: TxQueue, memory: MemoryViews, pool: BufferPool): TxQueue {
  if (packed === old instanceof PackedTxQueue) return old;
  const { name, tables, counts } = old;
  return new (txClass(packed, tables))(name, memory, fullLayout(old), pool, tables, counts);
}

function fullLayout({ layout, capacity }: Queue): QueueLayout {
  return { ...layout, size: capacity };
}

/**
 * Zeroes a queue's memory, which is as large as a split queue of its capacity needs: that is more than a packed one
 * does.
 */
function clear({ layout, capacity }: Queue, { u8 }: MemoryViews): void {
  const { descriptors, driver, device } = layout;
  u8.fill(0, descriptors, descriptors + descTableBytes(capacity));
  u8.fill(0, driver, driver + availBytes(capacity));
  u8.fill(0, device, device + usedBytes(capacity));
}
