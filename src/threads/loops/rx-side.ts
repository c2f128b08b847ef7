/**
 * What the thread that has the device is made of: the receiving loop with ARP for all cores, and, with 1 KB, the sending
 * loop.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { NetDevice } from '../../../drivers/net-device.js';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import { LinkLayer, type LinkMedium } from '../../link/link-layer.js';
import type { FrameSink } from '../../link/lower-layer.js';
import { TxBurst } from '../../link/tx-burst.js';
import type { WarningSink } from '../../link/warnings.js';
import { Rss } from '../../rss/rss.js';
import type { Doorbell } from '../doorbell.js';
import type { Interconnect } from '../interconnect.js';
import type { RxStart } from '../messages.js';
import { RxMainLoop } from './rx-main-loop.js';
import { TxMainLoop } from './tx-main-loop.js';
import type { Work } from './worker-loop.js';

/** How old what the device has counted may be when it is read in another thread, in ms. */
const PUBLISH_MS = 100;

/** A device whose counters other threads read, too. */
export type RxSideDevice = NetDevice & { readonly counts: { publish(): void } };

/** The Rx worker's buffers, for ARP. */
class RxMedium implements LinkMedium {
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  /** Called when the pool has run dry. */
  onDry: () => void = () => {};

  constructor(private readonly device: NetDevice) {
    this.memory = device.memory;
    this.pool = device.pool;
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  reclaimTx(): void {
    this.onDry();
  }
}

/** The Rx worker's own `tx_queue`: ARP goes out in turn, as the cores' packets do. */
class ArpQueue implements FrameSink {
  readonly isUp = true;

  constructor(
    readonly memory: MemoryViews,
    readonly pool: BufferPool,
    private readonly queue: SpscRing,
    private readonly sender: Doorbell,
  ) {}

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const taken = this.queue.enqueueBurst(handles, lengths, 0, count);
    this.sender.ring();
    return taken;
  }
}

export class RxSide implements Work {
  readonly rx: RxMainLoop;
  /** Null where a Tx worker sends. */
  readonly tx: TxMainLoop | null;
  readonly link: LinkLayer;
  private readonly arpBurst: TxBurst;
  private nextPublish = 0;

  constructor(
    private readonly device: RxSideDevice,
    private readonly interconnect: Interconnect,
    start: Pick<RxStart, 'config' | 'counters' | 'coreCounters' | 'txCounters' | 'rss'>,
    warn: WarningSink,
    private readonly clock: () => number,
  ) {
    const { config } = start;
    const { memory, pool } = device;
    const counters = CounterBlock.attach(start.counters);
    const medium = new RxMedium(device);
    const queue = interconnect.rxWorkersTxQueue();
    this.arpBurst = new TxBurst(new ArpQueue(memory, pool, queue, interconnect.txDoorbell()), counters);
    const table = interconnect.neighbourTable();
    const { shift } = pool.geometry;
    const options = { ...config, warn };
    const own = interconnect.macWords();
    this.link = new LinkLayer(medium, shift, this.arpBurst, counters, clock, options, table, own);
    const coreCounters = start.coreCounters.map((share) => CounterBlock.attach(share));
    const flows = Rss.attach(memory, start.rss);
    const { link, arpBurst } = this;
    const rx = new RxMainLoop(device, interconnect, link, arpBurst, flows, config.layer, counters, coreCounters);
    this.rx = rx;
    medium.onDry = () => rx.buffers.collect();
    if (interconnect.hasTxWorker) {
      this.tx = null;
      return;
    }
    const queues = [...interconnect.rings('txQueue'), interconnect.rxWorkersTxQueue()];
    const home = { put: (handle: number) => rx.buffers.home(handle), flush: () => {} };
    const txCounters = CounterBlock.attach(start.txCounters);
    this.tx = new TxMainLoop(device, interconnect, queues, home, config.coreBurst, txCounters);
  }

  poll(): number {
    const received = this.rx.poll();
    return this.tx === null ? received : received + this.tx.poll();
  }

  /** Whether a core wants something, which no interrupt of the device tells of. */
  get hasWork(): boolean {
    return this.interconnect.isAsked || this.tx?.hasWork === true;
  }

  tick(nowMs: number): void {
    this.link.tick(nowMs);
    if (nowMs < this.nextPublish) return;
    this.nextPublish = nowMs + PUBLISH_MS;
    this.device.counts.publish();
  }

  /** Asleep, nobody would publish what was counted last. */
  rest(): void {
    this.device.counts.publish();
  }

  nextDeadline(): number {
    const { tx, arpBurst, link } = this;
    const due = link.nextDeadline();
    // Nothing tells when there is room again, or what was in the ring was sent: look after a millisecond.
    const isWaiting = arpBurst.pending > 0 || (tx !== null && (tx.hasWork || tx.isSending));
    return isWaiting ? Math.min(due, this.clock() + 1) : due;
  }
}
