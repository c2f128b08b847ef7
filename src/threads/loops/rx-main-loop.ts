/**
 * The seed's `rx_main_loop`: reads the vNIC, keeps what is for this host, chooses the core by the packet's flow and
 * appends it to that core's `rx_queue`. ARP is dealt with here, for all cores.
 *
 * A full queue drops its packets and counts them: a core that is slow, or stands still, stops nobody else.
 */
import type { NetDevice } from '../../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import type { Layer } from '../../config.js';
import { L2, type L2Counters } from '../../counters.js';
import type { LinkLayer } from '../../link/link-layer.js';
import { BURST, type TxBurst } from '../../link/tx-burst.js';
import type { Rss } from '../../rss/rss.js';
import { ETH_HEADER_BYTES } from '../../wire/ethernet.js';
import type { Doorbell } from '../doorbell.js';
import type { Interconnect } from '../interconnect.js';
import { NeighbourDesk } from './neighbour-desk.js';
import { RxBuffers } from './rx-buffers.js';

/** Chooses the cores of a burst of packets. */
export type FlowSpreader = Pick<Rss, 'hashFrames' | 'hashPackets' | 'coreOf'>;

/** The Rx worker's view of the device: it receives, and has the pool that the receive ring is filled from. */
export type RxDevice = Pick<NetDevice, 'memory' | 'pool' | 'rxHandles' | 'rxLengths' | 'rxBurst'>;

/**
 * With many cores a burst of the device is a packet or two for each. Before they are handed over, it is read on as long as
 * it gives whole bursts: one for so many cores (a power of two), and so many at most. What comes slowly waits for nothing;
 * nor does a core that gets a burst of its own.
 */
const CORES_A_BURST_SHIFT = 3;
const MAX_BURSTS = 4;

/**
 * Then, while it goes on giving whole bursts, a core's packets are handed over when they are so many, and all others after
 * so many polls: what it costs to hand something over, an atomic store and the core's lines, is some 25 ns, however much
 * it is. As soon as the device has less than was asked for, nothing waits any more.
 */
const WORTH_A_HANDING = 8;
const MAX_POLLS_KEPT = 4;

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const FULL_BURST = BURST;
const FRAME_AT = FRAME_OFFSET;
const ETH_HEADER = ETH_HEADER_BYTES;
const RX_FRAMES = L2.rx_frames;
const RX_DELIVERED = L2.rx_delivered;

export class RxMainLoop {
  /** Receives what waits, a burst or some, and spreads it over the cores. Returns how many frames it was. */
  readonly poll: () => number;
  /** Hands over what is kept back while the device has more: before a core is retired, and at the end. */
  readonly handAll: () => void;
  /** Of each frame of a burst: where what is hashed begins, and the hash. */
  private readonly places = new Uint32Array(BURST);
  private readonly hashes = new Int32Array(BURST);
  private readonly rxQueues: SpscFanOut;
  /** Those that the cores have, and their way home. */
  readonly buffers: RxBuffers;
  private readonly doorbells: Doorbell[];
  private readonly share: number;
  private readonly desk: NeighbourDesk;
  private readonly values: Float64Array;
  /** What is counted for the cores, and where each one's begin. */
  private readonly coreValues: Float64Array;
  private readonly coreValuesAt: Int32Array;
  private readonly isIp: boolean;
  /** Cores that were looked at, in this poll, whether they may have more. */
  private readonly wasLookedAt: Uint8Array;
  private someWere = false;

  /**
   * @param counters of this loop
   * @param coreCounters what it counts for each core: delivered, and what found no room. In one buffer
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
    const { cores, rxShare } = interconnect.plan;
    const each = <T>(make: (core: number) => T): T[] => Array.from({ length: cores }, (_, core) => make(core));
    this.rxQueues = new SpscFanOut(interconnect.rings('rxQueue'));
    this.wasLookedAt = new Uint8Array(cores);
    this.buffers = new RxBuffers(device.pool, interconnect);
    this.doorbells = each((core) => interconnect.coreDoorbell(core));
    this.share = rxShare;
    this.values = counters.values;
    const shares = coreCounters.map((block) => block.share());
    if (shares.some(({ buffer }) => buffer !== shares[0].buffer)) {
      throw new RangeError('counters of the cores in several buffers');
    }
    this.coreValues = new Float64Array(shares[0].buffer);
    this.coreValuesAt = Int32Array.from(shares, ({ byteOffset }) => byteOffset / 8);
    this.isIp = layer === 'ip';
    const lines = this.doorbells.map((doorbell, core) => ({ ...interconnect.mail(core), doorbell }));
    this.desk = new NeighbourDesk(link.neighbours, lines);
    const { poll, handAll } = this.makePoll();
    this.poll = poll;
    this.handAll = handAll;
  }

  /**
   * The stack of `core` has failed: what it was given comes home, and nothing is given to it any more.
   * @param inFlight for each buffer, whether the Tx side has it: those come home by themselves. Nothing may be left in the
   * core's `tx_queue`.
   */
  retire(core: number, inFlight: Uint8Array): void {
    this.handAll();
    this.rxQueues.allow(core, 0);
    this.countOf(core, L2.rx_lost_core_gone, this.rxQueues.count(core));
    this.buffers.retire(core, inFlight);
  }

  /** How many packets more the core may have: so that one that hoards leaves the others theirs. */
  private roomOf(core: number): number {
    const { held } = this.buffers;
    const most = this.share - this.rxQueues.waiting(core);
    if (held[core] + BURST > most) {
      this.buffers.collectOf(core);
      // What it has released while it sleeps it hands over when it wakes; no packet will wake it that it may not have.
      if (held[core] + BURST > most) this.doorbells[core].ring();
    }
    return Math.max(0, most - held[core]);
  }

  /**
   * For a packet that the core may not have by what was known: looks again, but once a poll, which bounds what a core at its
   * limit costs the others. What it may not have is dropped.
   * @returns as {@link SpscFanOut.stage}
   */
  private stageLate(core: number, handle: number, length: number): number {
    const isGone = this.buffers.isGone[core] !== 0;
    if (!isGone && this.wasLookedAt[core] === 0) {
      this.wasLookedAt[core] = 1;
      this.someWere = true;
      if (this.rxQueues.allow(core, this.roomOf(core)) > 0) return this.rxQueues.stage(core, handle, length);
    }
    const hasShare = this.buffers.held[core] + this.rxQueues.waiting(core) >= this.share;
    const full = hasShare ? L2.rx_drop_core_share : L2.rx_drop_queue_full;
    this.countOf(core, isGone ? L2.rx_drop_core_gone : full, 1);
    this.device.pool.put(handle);
    return 0;
  }

  private countOf(core: number, what: number, count: number): void {
    this.coreValues[this.coreValuesAt[core] + what] += count;
  }

  /**
   * Closures, not methods: V8 knows their device when it compiles them. Arrays are looked up at the beginning of each: V8 sees
   * those that are used in a loop before it knows that what is captured is constant. And a loop a step instead of a step a
   * packet: each is then small enough that all it calls is inlined.
   */
  private makePoll(): Pick<RxMainLoop, 'poll' | 'handAll'> {
    const { device, interconnect, link, flows, tx, isIp, values, rxQueues, buffers } = this;
    const { pool } = device;
    const { cores } = interconnect.plan;
    const mostBursts = Math.max(1, Math.min(MAX_BURSTS, cores >> CORES_A_BURST_SHIFT));
    /**
     * The cores for which packets are staged. One that was handed a burst meanwhile is there twice, which does no harm:
     * it takes nearly a burst of its own before, so that no more than {@link MAX_BURSTS} can be.
     */
    const filled = new Uint8Array(cores + MAX_BURSTS);
    let filledCount = 0;
    let hasBurst = false;
    let pollsKept = 0;

    /** Keeps what is for a stack; returns how many. */
    const admit = (count: number): number => {
      // What is dropped of a burst makes room in the device's own arrays: they are this loop's until the next burst.
      const { rxHandles: handles, rxLengths: lengths } = device;
      let kept = 0;
      for (let i = 0; i < count; i++) {
        const handle = handles[i];
        const bytes = link.admit(handle, lengths[i]);
        if (bytes === 0) continue;
        handles[kept] = handle;
        lengths[kept] = bytes;
        kept++;
      }
      return kept;
    };

    /** Where what is hashed lies in a buffer. */
    const hashedAt = isIp ? FRAME_AT + ETH_HEADER : FRAME_AT;

    const hash = (count: number): void => {
      const { rxHandles: handles, rxLengths: lengths } = device;
      const { places, hashes } = this;
      for (let i = 0; i < count; i++) places[i] = pool.offsetOf(handles[i]) + hashedAt;
      if (isIp) flows.hashPackets(places, lengths, hashes, count);
      else flows.hashFrames(places, lengths, hashes, count);
    };

    /** Leaves each one's hash in the headroom, on the line that the virtio-net header has just brought along. */
    const sort = (count: number): void => {
      const { places, hashes } = this;
      const { rxHandles: handles, rxLengths: lengths, memory } = device;
      const { u32 } = memory;
      const { holder } = buffers;
      for (let i = 0; i < count; i++) {
        const hash = hashes[i];
        u32[(places[i] - hashedAt) >>> 2] = hash;
        const core = flows.coreOf(hash);
        const handle = handles[i];
        let staged = rxQueues.stage(core, handle, lengths[i]);
        if (staged === 0) {
          staged = this.stageLate(core, handle, lengths[i]);
          if (staged === 0) continue;
        }
        holder[handle] = core + 1;
        if (staged === 1) filled[filledCount++] = core;
        if (staged < FULL_BURST) continue;
        this.hand(core);
        hasBurst = true;
      }
    };

    /** Hands over to the cores for which at least so many are staged. */
    const hand = (least: number): void => {
      let kept = 0;
      for (let i = 0; i < filledCount; i++) {
        const core = filled[i];
        if (rxQueues.waiting(core) >= least) this.hand(core);
        else filled[kept++] = core;
      }
      filledCount = kept;
      pollsKept = kept === 0 ? 0 : pollsKept + 1;
      hasBurst = false;
    };
    const poll = (): number => {
      if (interconnect.takeAsked()) this.answerQuestions();
      buffers.tick();
      if (this.someWere) {
        this.wasLookedAt.fill(0);
        this.someWere = false;
      }
      let total = 0;
      let isMore = true;
      for (let bursts = 0; isMore && bursts < mostBursts; bursts++) {
        if (pool.available < buffers.lowWater) buffers.collect();
        const count = device.rxBurst(FULL_BURST);
        total += count;
        const kept = admit(count);
        hash(kept);
        sort(kept);
        isMore = count === FULL_BURST && !hasBurst;
      }
      values[RX_FRAMES] += total;
      hand(isMore && pollsKept + 1 < MAX_POLLS_KEPT ? WORTH_A_HANDING : 0);
      if (total === 0) return 0;
      // ARP replies go out now: nothing else may follow for long.
      tx.flush();
      return total;
    };
    return { poll, handAll: () => hand(0) };
  }

  /** Hands a core what is staged for it, if there is anything. */
  private hand(core: number): void {
    const count = this.rxQueues.publish(core);
    if (count === 0) return;
    // What the core has already given back is nevertheless only counted when this thread takes it.
    this.buffers.held[core] += count;
    this.countOf(core, RX_DELIVERED, count);
    this.doorbells[core].ring();
  }

  private answerQuestions(): void {
    this.desk.takeQuestions();
    this.tx.flush();
  }
}
