/**
 * Case II of the design, as one core sees it: packets come by its `rx_queue` and go by its `tx_queue`; another thread has
 * the device. Neighbours are read in shared memory.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { IdlePolicy } from '../../../drivers/poll-loop.js';
import { type BufferGeometry, BufferPool } from '../../../rings/buffer-pool.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import type { Layer } from '../../config.js';
import { L2, type L2Counters, type LayerCounters } from '../../counters.js';
import { BaseCore } from '../../link/base-core.js';
import { Egress } from '../../link/egress.js';
import { Host } from '../../link/host.js';
import type { BufferHome, FrameSink, WakeSource } from '../../link/lower-layer.js';
import { BURST } from '../../link/tx-burst.js';
import { type FlowTuple, Rss, type RssShare } from '../../rss/rss.js';
import type { Doorbell, DoorbellListener } from '../doorbell.js';
import type { Interconnect } from '../interconnect.js';
import { RemoteNeighbours } from './remote-neighbours.js';
import { RingReturn } from './ring-return.js';

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const FULL_BURST = BURST;
const HELD_BY_STACK = L2.held_by_stack;

export interface RingCoreOptions {
  readonly memory: MemoryViews;
  readonly geometry: BufferGeometry;
  readonly deviceMtu: number;
  readonly index: number;
  readonly address: number;
  readonly prefixLength: number;
  readonly gateway?: number | undefined;
  readonly mtu?: number | undefined;
  readonly layer: Layer;
  readonly idle: IdlePolicy;
  readonly counters: L2Counters;
  readonly rss: RssShare;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

/** A core's buffers: its own, and those it received, which go back to the Rx worker. */
class CoreBuffers implements BufferHome {
  constructor(
    readonly own: BufferPool,
    private readonly received: RingReturn,
    private readonly firstOwn: number,
  ) {}

  put(handle: number): void {
    if (handle >= this.firstOwn) this.own.put(handle);
    else this.received.put(handle);
  }

  offsetOf(handle: number): number {
    return this.own.offsetOf(handle);
  }
}

/** The core's `tx_queue`, as the place where bursts go. */
class TxQueue implements FrameSink {
  /** What is sent while the link is down, the thread that has the device drops and counts. */
  readonly isUp = true;

  constructor(
    readonly memory: MemoryViews,
    readonly pool: CoreBuffers,
    private readonly ring: SpscRing,
    private readonly sender: Doorbell,
  ) {}

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const taken = this.ring.enqueueBurst(handles, lengths, 0, count);
    this.sender.ring();
    return taken;
  }
}

/** Wakes the core when its `rx_queue` fills, a neighbour's address is known, or the link comes or goes. */
class QueueWake implements WakeSource {
  readonly pollOnly = false;
  onWake: (() => void) | null = null;

  constructor(
    private readonly listener: DoorbellListener,
    private readonly interconnect: Interconnect,
    private readonly rings: readonly SpscRing[],
  ) {
    listener.onRing = () => this.onWake?.();
  }

  get isUp(): boolean {
    return this.interconnect.isLinkUp;
  }

  enableRxInterrupt(): boolean {
    if (!this.listener.arm()) return false;
    for (const ring of this.rings) {
      if (ring.count === 0) continue;
      this.listener.disarm();
      return false;
    }
    return true;
  }

  disableRxInterrupt(): void {
    this.listener.disarm();
  }
}

export class RingCore extends BaseCore {
  protected readonly egress: Egress;
  private readonly host: Host;
  private readonly rss: Rss;
  private readonly neighbours: RemoteNeighbours;
  private readonly received: RingReturn;
  private readonly own: BufferPool;
  private readonly rxQueue: SpscRing;
  private readonly txFree: SpscRing;
  private readonly txQueue: SpscRing;
  private readonly ownBuffers: number;
  private readonly sender: Doorbell;
  /** Takes a burst from the `rx_queue`. A closure, not a method: V8 knows its arrays when it compiles it. */
  private readonly receive: () => void;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);

  constructor(interconnect: Interconnect, options: RingCoreOptions) {
    const { plan } = interconnect;
    const { memory, geometry, index, counters } = options;
    const clock = options.clock ?? (() => performance.now());
    const first = plan.rxBuffers + index * plan.txBuffers;
    const own = new BufferPool(geometry, first, first + plan.txBuffers);
    const received = new RingReturn(interconnect.ring(index, 'rxFree'));
    const buffers = new CoreBuffers(own, received, plan.rxBuffers);
    const sender = interconnect.txDoorbell();
    const txQueue = interconnect.ring(index, 'txQueue');
    const sink = new TxQueue(memory, buffers, txQueue, sender);
    const rxQueue = interconnect.ring(index, 'rxQueue');
    const queues = [rxQueue, interconnect.ring(index, 'answers')];
    const wakeSource = new QueueWake(interconnect.coreListener(index), interconnect, queues);
    super({ ...options, clock, sink, pool: own, reserve: 0, wakeSource, count: plan.cores });
    this.own = own;
    this.received = received;
    this.sender = sender;
    this.rss = Rss.attach(memory, options.rss);
    this.rxQueue = rxQueue;
    this.txFree = interconnect.ring(index, 'txFree');
    this.txQueue = txQueue;
    this.ownBuffers = plan.txBuffers;
    const rxDoorbell = interconnect.rxDoorbell();
    const notify = (): void => {
      interconnect.setAsked();
      rxDoorbell.ring();
    };
    const line = { ...interconnect.mail(index), notify };
    this.host = new Host({ ...options, mac: interconnect.macWords() });
    this.neighbours = new RemoteNeighbours(interconnect.neighbourReader(), line, clock, this.host.gateway);
    this.egress = new Egress(sink, this.host, this.neighbours, this.tx, counters);
    this.receive = this.makeReceive();
  }

  rssCoreFor(flow: FlowTuple): number {
    return this.rss.coreForFlow(flow);
  }

  /** As the Rx worker has put it into the headroom. */
  hashOf(handle: number): number {
    return this.memory.u32[this.own.offsetOf(handle) >>> 2] | 0;
  }

  get mac(): Uint8Array {
    const { buffer, byteOffset } = this.host.mac;
    return Uint8Array.from(new Uint8Array(buffer, byteOffset, 6));
  }

  /** What this core has counted. What it received is counted by the Rx worker. */
  counters(): LayerCounters {
    this.publish();
    return { ...this.l2.snapshot(), loop_polls: this.polls };
  }

  protected override publish(): void {
    this.values[HELD_BY_STACK] = this.heldByStack();
  }

  /**
   * What came, without what waits here or went back, and what was taken of the own, without what was sent. The indexes of
   * the rings, which run freely through 32 bits, are all the counts that it takes: no packet is counted for it.
   */
  protected override heldByStack(): number {
    const { rxQueue, received, own, txFree, txQueue, waiting, tx, egress } = this;
    const ownAway = this.ownBuffers - own.available;
    const came = rxQueue.consumed - waiting.count - received.produced;
    const sent = txQueue.produced + tx.pending + egress.parked;
    return (came + ownAway + txFree.consumed - sent) | 0;
  }

  /** Buffers of its own that are free. Packets that it received are not among them. */
  get freeBuffers(): number {
    return this.own.available;
  }

  protected poll(): void {
    this.receive();
  }

  private makeReceive(): () => void {
    const { received, neighbours, rxQueue, waiting } = this;
    return () => {
      received.flush();
      if (neighbours.isAsking) this.takeAnswers();
      if (rxQueue.looksEmpty) return;
      const tail = waiting.makeRoom();
      waiting.tail = tail + rxQueue.dequeueBurst(waiting.handles, waiting.lengths, FULL_BURST, tail);
    };
  }

  override flush(): void {
    this.received.flush();
    super.flush();
  }

  override close(): void {
    super.close();
    // No room in the tx_queue, and nobody who would try again.
    this.tx.discard();
    this.received.flush();
  }

  protected reclaim(): void {
    const count = this.txFree.dequeueBurst(this.handles, this.lengths, BURST);
    for (let i = 0; i < count; i++) this.own.put(this.handles[i]);
    // They may have been sent, and a thread that sleeps sees no reason to bring them home.
    if (count === 0) this.sender.ring();
  }

  /** All that is due here is what the Rx worker has answered; it tells by the doorbell. */
  protected timers(): void {
    this.received.flush();
    if (this.neighbours.isAsking) this.takeAnswers();
  }

  protected timersDue(): number {
    return Number.POSITIVE_INFINITY;
  }

  private takeAnswers(): void {
    this.neighbours.takeAnswers();
    this.tx.flush();
  }
}
