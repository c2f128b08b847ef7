/**
 * The seed's `rx_main_loop`: reads the vNIC, keeps what is for this host, chooses the core by the packet's flow and
 * appends it to that core's `rx_queue`. ARP is dealt with here, for all cores.
 *
 * A full queue drops its packets and counts them: a core that is slow, or stands still, stops nobody else.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import type { SpscRing } from '../../rings/spsc-ring.js';
import type { Layer } from '../config.js';
import { L2, type L2Counters } from '../counters.js';
import type { LinkLayer } from '../link-layer.js';
import { BURST, type TxBurst } from '../tx-burst.js';
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';
import type { Doorbell } from './doorbell.js';
import type { Interconnect } from './interconnect.js';
import { NeighbourDesk } from './neighbour-desk.js';

/** Chooses the core of a packet: see `src/rss`. */
export interface FlowSpreader {
  /** Hash of the frame at `offset`. */
  hashFrame(offset: number, length: number): number;
  /** Hash of the IP packet at `offset`. */
  hashPacket(offset: number, length: number): number;
  coreOf(hash: number): number;
}

/** The Rx worker's view of the device: it receives, and has the pool that the receive ring is filled from. */
export type RxDevice = Pick<NetDevice, 'memory' | 'pool' | 'rxBurst'>;

/** Nobody: the buffer is in the pool, the receive ring, or being worked on. */
const NOBODY = 0;

export class RxMainLoop {
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);
  private readonly freed = new Uint32Array(BURST);
  private readonly freedLengths = new Uint32Array(BURST);
  /** Packets of this burst, a row of BURST a core, and how many are in each row. */
  private readonly rowHandles: Uint32Array[];
  private readonly rowLengths: Uint32Array[];
  private readonly inRow: Int32Array;
  /** The rows that this burst has filled. */
  private readonly filled: Int32Array;
  private readonly rxQueues: SpscRing[];
  /** Where buffers come back: from each core, and with a Tx worker from that. */
  private readonly returns: SpscRing[];
  private readonly doorbells: Doorbell[];
  private readonly txDoorbell: Doorbell;
  private readonly isGone: Uint8Array;
  /** Who has each buffer: 1 + core, or NOBODY. */
  private readonly holder: Uint8Array;
  /** How many of them each core has. */
  private readonly held: Int32Array;
  private readonly share: number;
  private readonly desk: NeighbourDesk;
  private readonly values: Float64Array;
  private readonly coreValues: Float64Array[];
  private readonly isIp: boolean;
  /** Below it buffers are collected from the cores. */
  private readonly lowWater: number;
  private nextToCollect = 0;

  /**
   * @param counters of this loop
   * @param coreCounters what it counts for each core: delivered, and what found no room
   */
  constructor(
    private readonly device: RxDevice,
    private readonly interconnect: Interconnect,
    private readonly link: LinkLayer,
    private readonly tx: TxBurst,
    private readonly flows: FlowSpreader,
    layer: Layer,
    counters: L2Counters,
    coreCounters: readonly L2Counters[],
  ) {
    const { cores, rxBuffers, deviceRing } = interconnect.plan;
    const each = <T>(make: (core: number) => T): T[] => Array.from({ length: cores }, (_, core) => make(core));
    this.rowHandles = each(() => new Uint32Array(BURST));
    this.rowLengths = each(() => new Uint32Array(BURST));
    this.inRow = new Int32Array(cores);
    this.filled = new Int32Array(cores);
    this.rxQueues = interconnect.rings('rxQueue');
    this.returns = interconnect.rings('rxFree');
    if (interconnect.hasTxWorker) this.returns.push(interconnect.rxHome());
    this.txDoorbell = interconnect.txDoorbell();
    this.doorbells = each((core) => interconnect.coreDoorbell(core));
    this.isGone = new Uint8Array(this.returns.length);
    this.holder = new Uint8Array(rxBuffers);
    this.held = new Int32Array(cores);
    this.share = interconnect.plan.rxShare;
    this.values = counters.values;
    this.coreValues = coreCounters.map(({ values }) => values);
    this.isIp = layer === 'ip';
    // Half of what is not in the receive ring: rarely looked at while all goes well, and in time.
    this.lowWater = Math.max(2 * BURST, (rxBuffers - deviceRing) >> 1);
    const asks = interconnect.rings('asks');
    const answers = interconnect.rings('answers');
    const lines = this.doorbells.map((doorbell, core) => ({ asks: asks[core]!, answers: answers[core]!, doorbell }));
    this.desk = new NeighbourDesk(link.neighbours, lines);
  }

  /** Receives a burst and spreads it over the cores. Returns how many frames it was. */
  poll(): number {
    const { device, handles, lengths } = this;
    if (this.interconnect.takeAsked()) this.answerQuestions();
    if (device.pool.available < this.lowWater) this.collect();
    const count = device.rxBurst(handles, lengths, BURST);
    if (count === 0) return 0;
    this.values[L2.rx_frames]! += count;
    let rows = 0;
    for (let i = 0; i < count; i++) rows = this.sort(handles[i]!, lengths[i]!, rows);
    for (let i = 0; i < rows; i++) this.hand(this.filled[i]!);
    // ARP replies go out now: nothing else may follow for long.
    this.tx.flush();
    return count;
  }

  /** A buffer that came back from the Tx side. */
  home(handle: number): void {
    const holder = this.holder[handle]!;
    if (holder !== NOBODY) {
      this.held[holder - 1]!--;
      this.holder[handle] = NOBODY;
    }
    this.device.pool.put(handle);
  }

  /** Takes the buffers that were given back, from one core after the other, until there are enough. */
  collect(): void {
    const { returns, device } = this;
    for (let tried = 0; tried < returns.length; tried++) {
      const from = this.nextToCollect;
      this.nextToCollect = from + 1 === returns.length ? 0 : from + 1;
      this.collectFrom(from);
      if (device.pool.available >= 2 * this.lowWater) return;
    }
    // Some may have been sent, and a thread that sleeps sees no reason to bring them home.
    if (device.pool.available < this.lowWater) this.txDoorbell.ring();
  }

  /**
   * The stack of `core` has failed: what it was given comes home, and nothing is given to it any more.
   * @param inFlight for each buffer, whether the Tx side has it: those come home by themselves. Nothing may be left in the
   * core's `tx_queue`.
   */
  retire(core: number, inFlight: Uint8Array): void {
    this.isGone[core] = 1;
    // What it had sent before that, and is not in flight any more, is in the ring already, and must not come home twice.
    this.collectFromSender();
    for (let handle = 0; handle < this.holder.length; handle++) {
      if (this.holder[handle] === core + 1 && inFlight[handle] === 0) this.home(handle);
    }
  }

  /** Buffers that a core has or is having sent, its `rx_queue` and what it gave back lately included. */
  heldBy(core: number): number {
    return this.held[core]!;
  }

  private collectFrom(from: number): void {
    if (this.isGone[from] !== 0) return;
    const { freed, freedLengths } = this;
    const ring = this.returns[from]!;
    for (let count = BURST; count === BURST; ) {
      count = ring.dequeueBurst(freed, freedLengths, BURST);
      for (let i = 0; i < count; i++) this.home(freed[i]!);
    }
  }

  /** What was sent comes home by the Tx worker's ring, where there is one. */
  private collectFromSender(): void {
    if (this.interconnect.hasTxWorker) this.collectFrom(this.held.length);
  }

  /** How many of `count` packets more the core may have: so that one that hoards leaves the others theirs. */
  private roomOf(core: number, count: number): number {
    if (this.held[core]! + count > this.share) {
      this.collectFrom(core);
      this.collectFromSender();
    }
    return Math.min(count, Math.max(0, this.share - this.held[core]!));
  }

  /** Puts a frame into its core's row; returns how many rows are filled then. */
  private sort(handle: number, length: number, rows: number): number {
    const bytes = this.link.admit(handle, length);
    if (bytes === 0) return rows;
    const { device, flows } = this;
    const buffer = device.pool.offsetOf(handle);
    const frame = buffer + FRAME_OFFSET;
    const hash = this.isIp ? flows.hashPacket(frame + ETH_HEADER_BYTES, bytes) : flows.hashFrame(frame, bytes);
    // In the headroom, on the line that the virtio-net header has just brought into the cache.
    device.memory.u32[buffer >>> 2] = hash;
    const core = flows.coreOf(hash);
    const at = this.inRow[core]!;
    this.rowHandles[core]![at] = handle;
    this.rowLengths[core]![at] = bytes;
    this.inRow[core] = at + 1;
    if (at !== 0) return rows;
    this.filled[rows] = core;
    return rows + 1;
  }

  /** Hands a core its row. */
  private hand(core: number): void {
    const count = this.inRow[core]!;
    const handles = this.rowHandles[core]!;
    this.inRow[core] = 0;
    if (this.isGone[core] !== 0) {
      this.drop(core, handles, 0, count, L2.rx_drop_core_gone);
      return;
    }
    const allowed = this.roomOf(core, count);
    const taken = this.rxQueues[core]!.enqueueBurst(handles, this.rowLengths[core]!, 0, allowed);
    // The core may have them already, but only this thread takes them back.
    const { holder } = this;
    for (let i = 0; i < taken; i++) holder[handles[i]!] = core + 1;
    this.held[core]! += taken;
    this.coreValues[core]![L2.rx_delivered]! += taken;
    if (taken > 0) this.doorbells[core]!.ring();
    if (taken === count) return;
    this.drop(core, handles, taken, allowed, L2.rx_drop_queue_full);
    this.drop(core, handles, allowed, count, L2.rx_drop_core_share);
  }

  private drop(core: number, handles: Uint32Array, from: number, to: number, reason: number): void {
    this.coreValues[core]![reason]! += to - from;
    for (let i = from; i < to; i++) this.home(handles[i]!);
  }

  private answerQuestions(): void {
    this.desk.takeQuestions();
    this.tx.flush();
  }
}
