/**
 * What the thread that has the device does: the receive loop with ARP for all cores, and, with 1 KB, the transmit loop.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { NetDevice } from '../../../drivers/net-device.js';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { PacketTable } from '../../../rings/packet-table.js';
import { TxBurst } from '../../link/bursts/tx-burst.js';
import { CapturePoint } from '../../link/capture-point.js';
import type { AddressSink } from '../../link/dhcp/lease.js';
import { LinkLayer } from '../../link/link-layer.js';
import type { LinkDevice } from '../../link/lower-layer.js';
import type { WarningSink } from '../../link/warnings.js';
import { Rss } from '../../rss/rss.js';
import type { RxStart } from '../messages.js';
import type { Interconnect } from '../shared/interconnect.js';
import { TxQueue } from '../shared/tx-queue.js';
import { RxMainLoop } from './rx-main-loop.js';
import { TxMainLoop } from './tx-main-loop.js';
import type { Work } from './worker-loop.js';

/** How old the counters of the device may be when another thread reads them, in ms. */
const PUBLISH_MS = 100;

/** A device whose counters other threads read, too. */
export type RxWorkDevice = NetDevice & { readonly counts: { publish(): void } };

/** The device as ARP uses it: the buffers of the Rx worker. */
class ArpDevice implements LinkDevice {
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly table: PacketTable;
  /** Called when the pool is empty. */
  collect: () => void = () => {};

  constructor(private readonly device: NetDevice) {
    this.memory = device.memory;
    this.pool = device.pool;
    this.table = device.table;
  }

  get offloads(): number {
    return this.device.offloads;
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  reclaimTx(): void {
    this.collect();
  }
}

/** What the thread around the work gives it, and hears. */
export interface RxSurroundings {
  readonly warn: WarningSink;
  readonly onAddress?: AddressSink;
  /** No DHCP server has given us an address. */
  readonly onFailure: (reason: string) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

export class RxWork implements Work {
  readonly rx: RxMainLoop;
  /** Null when a Tx worker sends. */
  readonly tx: TxMainLoop | null;
  readonly link: LinkLayer;
  /** Where captures see the frames of this thread. */
  readonly capture: CapturePoint;
  private readonly arpBurst: TxBurst;
  private readonly clock: () => number;
  private nextPublish = 0;

  constructor(
    private readonly device: RxWorkDevice,
    private readonly interconnect: Interconnect,
    start: Pick<RxStart, 'config' | 'counters' | 'coreCounters' | 'txCounters' | 'rss'>,
    around: RxSurroundings,
  ) {
    const { clock } = around;
    this.clock = clock;
    const { config } = start;
    const { memory, pool, table: packets } = device;
    const counters = CounterBlock.attach(start.counters);
    const arpDevice = new ArpDevice(device);
    // ARP frames go through a tx_queue, as the packets of the cores do.
    const arpQueue = new TxQueue(memory, pool, packets, interconnect.rxWorkersTxQueue(), interconnect.txDoorbell());
    this.arpBurst = new TxBurst(arpQueue, counters);
    const neighbours = interconnect.neighbourTable();
    const capture = new CapturePoint(memory, pool.geometry, device.offloads === 0 ? null : packets);
    this.capture = capture;
    const { shift } = pool.geometry;
    const options = { ...config, ...around, ...(config.isDhcp ? { dhcp: around } : {}) };
    const own = interconnect.hostMemory();
    this.link = new LinkLayer(arpDevice, shift, this.arpBurst, counters, clock, options, neighbours, own, capture);
    const coreCounters = start.coreCounters.map((share) => CounterBlock.attach(share));
    const flows = Rss.attach(memory, start.rss);
    const { link, arpBurst } = this;
    const { layer } = config;
    const rx = new RxMainLoop(device, interconnect, link, arpBurst, flows, layer, counters, coreCounters, capture);
    this.rx = rx;
    arpDevice.collect = () => rx.buffers.collect();
    if (interconnect.hasTxWorker) {
      this.tx = null;
      return;
    }
    const queues = [...interconnect.rings('txQueue'), interconnect.rxWorkersTxQueue()];
    const rxReturn = { put: (handle: number) => rx.buffers.takeBack(handle), flush: () => {} };
    const txCounters = CounterBlock.attach(start.txCounters);
    const table = device.offloads === 0 ? null : packets;
    this.tx = new TxMainLoop(device, interconnect, queues, rxReturn, config.coreBurst, txCounters, table, capture);
  }

  poll(): number {
    const received = this.rx.poll();
    return this.tx === null ? received : received + this.tx.poll();
  }

  /** Whether a core wants something. No interrupt of the device tells of that. */
  get hasWork(): boolean {
    return this.interconnect.isAsked || this.tx?.hasWork === true;
  }

  tick(nowMs: number): void {
    this.link.tick(nowMs);
    if (nowMs < this.nextPublish) return;
    this.nextPublish = nowMs + PUBLISH_MS;
    this.device.counts.publish();
  }

  /** Publishes the counters, because nobody does while the thread sleeps. */
  beforeSleep(): void {
    this.device.counts.publish();
  }

  nextDeadline(): number {
    const { tx, arpBurst, link } = this;
    const due = link.nextDeadline();
    // No interrupt tells that the ring has room again, or that a frame was sent: look after a millisecond.
    const isWaiting = arpBurst.pending > 0 || (tx !== null && (tx.hasWork || tx.isSending));
    return isWaiting ? Math.min(due, this.clock() + 1) : due;
  }
}
