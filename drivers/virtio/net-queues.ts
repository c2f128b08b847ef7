/**
 * The queues of a net device (virtio 1.2, 5.1.2), with the memory that they and the packet buffers lie in. The memory is
 * taken once. The queues are started whenever the device is, in the layout that was negotiated then.
 */
import { BufferPool } from '../../rings/buffer-pool.js';
import { PacketTable } from '../../rings/packet-table.js';
import { PacketMemory } from '../memory/index.js';
import { ControlQueue } from './control/control-queue.js';
import { allocateIndirect } from './driver/chains/indirect-tables.js';
import { rxQueueFor, splitQueues, txQueueFor } from './driver/make-queues.js';
import { offloadBits } from './driver/offload-bits.js';
import type { RxQueue, TxQueue } from './driver/queue.js';
import { makeQueueTables, type QueueTables } from './driver/queue-tables.js';
import { allocateSplitQueue } from './driver/split-queue.js';
import * as f from './features.js';
import type { TxSetup } from './lending/tx-loan.js';
import {
  bufferShift,
  DEFAULT_MTU,
  entriesOf,
  memoryBytes,
  type NetDeviceOptions,
  ringAndBuffers,
} from './net-options.js';
import type { VirtioTransport } from './transport.js';

// 5.1.2: receive and transmit queue of the only pair. Without MQ and RSS the control queue comes right after them.
export const RX_QUEUE = 0;
const TX_QUEUE = 1;
const CONTROL_QUEUE = 2;

export class NetQueues {
  private constructor(
    private readonly name: string,
    private readonly options: NetDeviceOptions,
    readonly memory: PacketMemory,
    /** The packet buffers. */
    readonly pool: BufferPool,
    /** Gets the buffers that were sent. */
    readonly sent: BufferPool,
    /** What is known of each packet. */
    readonly table: PacketTable,
    /** Tables of the transmit queue in shared memory, if it may be lent. */
    readonly lentTables: QueueTables | null,
    public rx: RxQueue,
    public tx: TxQueue,
    readonly control: ControlQueue,
  ) {}

  /** Takes the memory for the queues of the device `name`, and makes them. */
  static make(name: string, options: NetDeviceOptions): NetQueues {
    const { queueSize, buffers } = ringAndBuffers(name, options);
    const { ownBuffers, lendTx = false, separateSent = false, offloads = 'off' } = options;
    const shift = bufferShift(name, options.mtu ?? DEFAULT_MTU, offloads);
    const memory = PacketMemory.create(memoryBytes(name, queueSize, buffers, shift, offloads), options.hugepages);
    try {
      const layouts = [allocateSplitQueue(memory, queueSize), allocateSplitQueue(memory, queueSize)] as const;
      const control = new ControlQueue(`${name} control queue`, memory);
      const geometry = { count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) };
      const pool = new BufferPool(geometry, ownBuffers?.first, ownBuffers?.end);
      const sent = separateSent || lendTx ? new BufferPool(geometry, 0, 0) : pool;
      const table = new PacketTable(buffers);
      const chains = offloads === 'off' ? null : allocateIndirect(memory, queueSize, table);
      const rxTables = makeQueueTables(queueSize, buffers, false, chains);
      const txTables = makeQueueTables(queueSize, buffers, lendTx, chains);
      const { rx, tx } = splitQueues(name, memory, layouts, pool, sent, [rxTables, txTables]);
      return new NetQueues(name, options, memory, pool, sent, table, lendTx ? txTables : null, rx, tx, control);
    } catch (error) {
      memory.dispose();
      throw error;
    }
  }

  /**
   * Sets up the queues of a device whose features were negotiated, and fills the receive ring. {@link rx} and {@link tx}
   * may be other objects then.
   * @param longestFrame that the device forwards, in bytes
   * @returns how the transmit queue was set up, for another thread that drives it
   */
  async start(transport: VirtioTransport, features: bigint, longestFrame: number): Promise<TxSetup> {
    const { name, control, memory, pool, sent } = this;
    const has = (feature: bigint): boolean => (features & feature) !== 0n;
    const packed = has(f.VIRTIO_F_RING_PACKED);
    this.rx = rxQueueFor(packed, this.rx, memory, pool);
    this.tx = txQueueFor(packed, this.tx, memory, sent);
    const { rx, tx } = this;
    for (const [index, queue] of [rx, tx].entries()) {
      queue.resize(entriesOf(queue.name, await transport.maxQueueSize(index), this.options.queueSize, queue.capacity));
    }
    const space = transport.addressSpace();
    const eventIdx = has(f.VIRTIO_F_EVENT_IDX);
    const inOrder = has(f.VIRTIO_F_IN_ORDER);
    const offloads = offloadBits(features);
    tx.start(space, eventIdx, longestFrame, inOrder, offloads);
    if (!rx.start(space, eventIdx, has(f.VIRTIO_NET_F_MRG_RXBUF), inOrder, offloads)) {
      throw new Error(
        `${name}: the stack holds so many buffers that the rest cannot fill the receive ring: release some of them`,
      );
    }
    rx.attach(await transport.setupQueue(RX_QUEUE, rx.layout, true));
    const doorbell = await transport.setupQueue(TX_QUEUE, tx.layout, false);
    tx.attach(doorbell);
    if (has(f.VIRTIO_NET_F_CTRL_VQ)) {
      control.start(space, packed, eventIdx, await transport.maxQueueSize(CONTROL_QUEUE));
      control.attach(await transport.setupQueue(CONTROL_QUEUE, control.layout, false));
    }
    return { packed, inOrder, size: tx.layout.size, eventIdx, longestFrame, offloads, doorbell: doorbell.share() };
  }
}
