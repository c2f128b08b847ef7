/**
 * The core of a port with kernel-bypass threads (Case II of the design): packets come by its `rx_queue` and go by its
 * `tx_queue`, and another thread has the device. The neighbour table is read in shared memory.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { IdlePolicy } from '../../../drivers/poll-loop.js';
import { type BufferGeometry, BufferPool, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import type { PacketTable } from '../../../rings/packet-table.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import type { Layer } from '../../config.js';
import { L2, type L2Counters, type LayerCounters } from '../../counters.js';
import { BaseCore } from '../../link/base-core.js';
import { BURST } from '../../link/bursts/tx-burst.js';
import { Egress } from '../../link/egress.js';
import { Host, macBytes } from '../../link/host.js';
import type { BufferReturn } from '../../link/lower-layer.js';
import { Rss, type RssShare } from '../../rss/rss.js';
import { ETH_HEADER_BYTES } from '../../wire/ethernet.js';
import type { Doorbell } from '../shared/doorbell.js';
import { DoorbellWake } from '../shared/doorbell-wake.js';
import type { Interconnect } from '../shared/interconnect.js';
import { RingReturn } from '../shared/ring-return.js';
import { TxQueue } from '../shared/tx-queue.js';
import { RemoteNeighbours } from './remote-neighbours.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = BURST;
const HEADERS_AT = FRAME_OFFSET + ETH_HEADER_BYTES;
const HELD_BY_STACK = L2.held_by_stack;

export interface RingCoreOptions {
  readonly memory: MemoryViews;
  readonly geometry: BufferGeometry;
  /** The table of the device. */
  readonly table: PacketTable;
  readonly deviceMtu: number;
  readonly index: number;
  readonly mtu?: number | undefined;
  readonly layer: Layer;
  readonly idle: IdlePolicy;
  readonly counters: L2Counters;
  readonly rss: RssShare;
  /** Says whether the thread stays alive while it has nothing to do. */
  readonly keepAlive?: (on: boolean) => void;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

/** The buffers of a core: its own, and those that it received, which go back to the Rx worker. */
class CoreBuffers implements BufferReturn {
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

export class RingCore extends BaseCore {
  protected readonly egress: Egress;
  protected readonly host: Host;
  protected readonly rss: Rss;
  private readonly interconnect: Interconnect;
  private readonly neighbours: RemoteNeighbours;
  private readonly received: RingReturn;
  private readonly own: BufferPool;
  private readonly rxQueue: SpscRing;
  private readonly txFree: SpscRing;
  private readonly txQueue: SpscRing;
  private readonly sink: TxQueue;
  private readonly ownBuffers: number;
  private readonly sender: Doorbell;
  /** Takes a burst from the `rx_queue`. A closure: docs/v8.md, "Bursts as closures". */
  private readonly receive: () => void;
  /** What was read only to have it in the cache; kept, because V8 leaves out loads that nothing uses. */
  protected touched = 0;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);

  constructor(interconnect: Interconnect, options: RingCoreOptions) {
    const { plan } = interconnect;
    const { memory, geometry, index, counters, table } = options;
    const clock = options.clock ?? (() => performance.now());
    const first = plan.rxBuffers + index * plan.txBuffers;
    const own = new BufferPool(geometry, first, first + plan.txBuffers);
    const received = new RingReturn(interconnect.ring(index, 'rxFree'));
    const buffers = new CoreBuffers(own, received, plan.rxBuffers);
    const sender = interconnect.txDoorbell();
    const txQueue = interconnect.ring(index, 'txQueue');
    const hasOffloads = interconnect.offloads !== 0;
    const sink = new TxQueue(memory, buffers, table, txQueue, sender, hasOffloads);
    const rxQueue = interconnect.ring(index, 'rxQueue');
    const answers = interconnect.ring(index, 'answers');
    const link = {
      get isUp() {
        return interconnect.isLinkUp;
      },
    };
    const hasWork = (): boolean => rxQueue.count > 0 || answers.count > 0;
    const wakeSource = new DoorbellWake(link, interconnect.coreListener(index), hasWork);
    const keepAlive = options.keepAlive ?? (() => {});
    super({ ...options, clock, sink, pool: own, reserve: 0, wakeSource, keepAlive, count: plan.cores, hasOffloads });
    this.interconnect = interconnect;
    this.own = own;
    this.received = received;
    this.sender = sender;
    this.sink = sink;
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
    const line = { ...interconnect.neighbourChannels(index), notify };
    this.host = new Host(interconnect.hostMemory());
    this.neighbours = new RemoteNeighbours(interconnect.neighbourReader(), line, clock, this.host);
    this.egress = new Egress(sink, this.host, this.neighbours, this.tx, counters, this.capture);
    this.receive = this.makeReceive();
  }

  /** The Rx worker has put the hash into the headroom of the buffer. */
  hashOf(handle: number): number {
    return this.memory.u32[this.own.offsetOf(handle) >>> 2] | 0;
  }

  get mac(): Uint8Array {
    return macBytes(this.host.mac);
  }

  get offloads(): number {
    return this.interconnect.offloads;
  }

  /** What this core has counted. The Rx worker counts what the core received. */
  counters(): LayerCounters {
    this.publish();
    return { ...this.l2.snapshot(), loop_polls: this.polls };
  }

  protected override publish(): void {
    this.values[HELD_BY_STACK] = this.heldByStack();
  }

  /**
   * Received packets without those that wait here or went back, and own buffers that were taken without those that were
   * sent. All of that follows from the indexes of the rings, which run freely through 32 bits: nothing is counted per
   * packet. The rings of packets have one entry for a packet in several buffers, so these are counted besides.
   */
  protected override heldByStack(): number {
    const { rxQueue, received, own, txFree, txQueue, waiting, tx, egress, chains, sink } = this;
    const ownTaken = this.ownBuffers - own.available;
    const came = rxQueue.consumed - waiting.count + chains.moreReceived - received.produced;
    const kept = this.hasOffloads ? tx.buffers + egress.parkedBuffers : tx.pending + egress.parked;
    const sent = txQueue.produced + sink.moreBuffers + kept;
    return (came + ownTaken + txFree.consumed - sent) | 0;
  }

  /** Free buffers of its own; received packets are not among them. */
  get freeBuffers(): number {
    return this.own.available;
  }

  protected poll(): void {
    this.receive();
  }

  private makeReceive(): () => void {
    const { received, neighbours, rxQueue, waiting, own } = this;
    const { u32 } = this.memory;
    return () => {
      received.flush();
      if (neighbours.isAsking) this.receiveAnswers();
      if (rxQueue.looksEmpty) return;
      const tail = waiting.makeRoom();
      const { handles } = waiting;
      const end = tail + rxQueue.dequeueBurst(handles, waiting.lengths, FULL_BURST, tail);
      waiting.tail = end;
      // The headers lie in the cache of the Rx worker. Asked for together, their lines come at the same time; later, one
      // packet after the other would wait for its own.
      let seen = 0;
      for (let i = tail; i < end; i++) seen ^= u32[(own.offsetOf(handles[i]) + HEADERS_AT) >>> 2];
      this.touched = seen;
    };
  }

  override flush(): void {
    this.received.flush();
    super.flush();
  }

  override close(): void {
    super.close();
    // The tx_queue has no room for these frames, and nothing would try again.
    this.tx.discard();
    this.received.flush();
  }

  protected reclaim(): void {
    const count = this.txFree.dequeueBurst(this.handles, this.lengths, BURST);
    for (let i = 0; i < count; i++) this.own.put(this.handles[i]);
    // The device may have sent some, but the Tx worker has no reason to reclaim them while it sleeps.
    if (count === 0) this.sender.ring();
  }

  /** All that can be due here are answers of the Rx worker, which rings the doorbell for them. */
  protected timers(): void {
    this.received.flush();
    if (this.neighbours.isAsking) this.receiveAnswers();
  }

  protected timersDue(): number {
    return Number.POSITIVE_INFINITY;
  }

  private receiveAnswers(): void {
    this.neighbours.receiveAnswers();
    this.tx.flush();
  }
}
