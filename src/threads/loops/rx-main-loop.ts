/**
 * The seed's `rx_main_loop`: reads the vNIC, keeps the packets that are for this host, chooses the core by the flow of
 * the packet and appends the packet to the `rx_queue` of that core. ARP is handled here, for all cores.
 */
import type { NetDevice } from '../../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT } from '../../../rings/packet-table.js';
import type { Layer } from '../../config.js';
import { L2, type L2Counters } from '../../counters.js';
import { BURST, type TxBurst } from '../../link/bursts/tx-burst.js';
import { type CapturePoint, NO_CAPTURE } from '../../link/capture-point.js';
import type { LinkLayer } from '../../link/link-layer.js';
import type { Rss } from '../../rss/rss.js';
import { ETH_HEADER_BYTES } from '../../wire/ethernet.js';
import type { Interconnect } from '../shared/interconnect.js';
import { CoreQueues, MAX_BURSTS } from './core-queues.js';
import { NeighbourServer } from './neighbour-server.js';
import { RxBuffers } from './rx-buffers.js';

/** Chooses the cores of a burst of packets. */
export type FlowSpreader = Pick<Rss, 'hashFrames' | 'hashPackets' | 'coreOf'>;

/** The Rx worker's view of the device: it receives, and has the pool that the receive ring is filled from. */
export type RxDevice = Pick<
  NetDevice,
  'memory' | 'pool' | 'table' | 'offloads' | 'rxHandles' | 'rxLengths' | 'rxBurst'
>;

/**
 * With many cores, a burst of the device is a packet or two per core. So a poll reads one burst per eight cores (at
 * most {@link MAX_BURSTS}) while the device returns full bursts and no core has a burst of its own.
 */
const CORES_PER_BURST_SHIFT = 3;

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = BURST;
const FRAME_AT = FRAME_OFFSET;
const ETH_HEADER = ETH_HEADER_BYTES;
const RX_FRAMES = L2.rx_frames;
const ENTRY = ENTRY_SHIFT;
const SEVERAL = CHAIN;

export class RxMainLoop {
  /**
   * Receives what waits, one burst or several, and spreads it over the cores. Returns how many frames were received.
   */
  readonly poll: () => number;
  /** The receive buffers that the cores have. */
  readonly buffers: RxBuffers;
  readonly queues: CoreQueues;
  private readonly isIp: boolean;

  /**
   * @param tx takes the ARP frames that `link` sends
   * @param counters of this loop
   * @param coreCounters what this loop counts for each core: delivered and dropped packets. In one buffer
   * @param capture sees the frames that come, and the packets that are dropped here
   */
  constructor(
    private readonly device: RxDevice,
    private readonly interconnect: Interconnect,
    private readonly link: LinkLayer,
    private readonly tx: TxBurst,
    private readonly flows: FlowSpreader,
    layer: Layer,
    private readonly counters: L2Counters,
    coreCounters: readonly L2Counters[],
    private readonly capture: CapturePoint = NO_CAPTURE,
  ) {
    this.isIp = layer === 'ip';
    this.buffers = new RxBuffers(device, interconnect);
    this.queues = new CoreQueues(interconnect, this.buffers, coreCounters, capture, this.isIp ? ETH_HEADER : 0);
    this.poll = this.makePoll();
  }

  /**
   * One loop per step rather than one step per packet: each loop is then small enough that V8 inlines all that it
   * calls. Closures, which look up their arrays first: docs/v8.md, "Bursts as closures" and "Inlining budget".
   */
  private makePoll(): () => number {
    const { device, interconnect, link, tx, flows, isIp, buffers, queues, capture } = this;
    const { values } = this.counters;
    const { pool } = device;
    const { rings } = queues;
    const { cores } = interconnect.plan;
    const server = new NeighbourServer(link.neighbours, interconnect);
    const mostBursts = Math.max(1, Math.min(MAX_BURSTS, cores >> CORES_PER_BURST_SHIFT));
    /** From the beginning of a buffer to what is hashed: the IP packet, or the frame. */
    const hashedAt = isIp ? FRAME_AT + ETH_HEADER : FRAME_AT;
    // Of each packet of a burst: where what is hashed begins, and the hash.
    const placesOfBurst = new Uint32Array(BURST);
    const hashesOfBurst = new Int32Array(BURST);

    /**
     * Keeps what is for a stack, at the front of the device's own arrays, which belong to this loop until the next
     * burst.
     */
    const admit = (count: number): number => {
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

    const hash = (count: number): void => {
      const { rxHandles: handles, rxLengths: lengths } = device;
      const places = placesOfBurst;
      const hashes = hashesOfBurst;
      for (let i = 0; i < count; i++) places[i] = pool.offsetOf(handles[i]) + hashedAt;
      if (isIp) flows.hashPackets(places, lengths, hashes, count);
      else flows.hashFrames(places, lengths, hashes, count);
    };

    /**
     * Appends each packet to the queue of its core. The hash goes into the headroom, on a line that is in the cache
     * already.
     */
    const spreadPlain = (count: number): void => {
      const { rxHandles: handles, rxLengths: lengths, memory } = device;
      const places = placesOfBurst;
      const hashes = hashesOfBurst;
      const { u32 } = memory;
      const { holder } = buffers;
      for (let i = 0; i < count; i++) {
        const hash = hashes[i];
        u32[(places[i] - hashedAt) >>> 2] = hash;
        const core = flows.coreOf(hash);
        const handle = handles[i];
        let staged = rings.stage(core, handle, lengths[i]);
        if (staged === 0) {
          staged = queues.stageLate(core, handle, lengths[i]);
          if (staged === 0) continue;
        }
        holder[handle] = core + 1;
        if (staged === 1) queues.noteStaged(core);
        else if (staged === FULL_BURST) queues.publishBurst(core);
      }
    };

    /** As {@link spreadPlain}, for a device whose packets may lie in several buffers. */
    const spreadChains = (count: number): void => {
      const { rxHandles: handles, rxLengths: lengths, memory } = device;
      const places = placesOfBurst;
      const hashes = hashesOfBurst;
      const { u32 } = memory;
      const { holder } = buffers;
      const { words } = buffers.table;
      for (let i = 0; i < count; i++) {
        const hash = hashes[i];
        u32[(places[i] - hashedAt) >>> 2] = hash;
        const core = flows.coreOf(hash);
        const handle = handles[i];
        let staged: number;
        if ((words[handle << ENTRY] & SEVERAL) !== 0) {
          staged = queues.stageChain(core, handle, lengths[i]);
          if (staged === 0) continue;
          buffers.giveChain(handle, core);
        } else {
          staged = rings.stage(core, handle, lengths[i]);
          if (staged === 0) {
            staged = queues.stageLate(core, handle, lengths[i]);
            if (staged === 0) continue;
          }
          holder[handle] = core + 1;
        }
        if (staged === 1) queues.noteStaged(core);
        else if (staged === FULL_BURST) queues.publishBurst(core);
      }
    };
    const spread = device.offloads === 0 ? spreadPlain : spreadChains;

    return () => {
      if (interconnect.takeAsked()) {
        server.takeQuestions();
        tx.flush();
      }
      buffers.tick();
      queues.beginPoll();
      let total = 0;
      let isMore = true;
      for (let bursts = 0; isMore && bursts < mostBursts; bursts++) {
        if (pool.available < buffers.lowWater) buffers.collect();
        const count = device.rxBurst(FULL_BURST);
        total += count;
        // Before the layer, which may make the answer to a frame in its buffer.
        if (capture.isOn) capture.received(device.rxHandles, device.rxLengths, 0, count);
        const kept = admit(count);
        hash(kept);
        spread(kept);
        isMore = count === FULL_BURST && !queues.hasFullBurst;
      }
      values[RX_FRAMES] += total;
      queues.endPoll(isMore);
      if (total === 0) return 0;
      // ARP replies go out now, because nothing else may follow for long.
      tx.flush();
      return total;
    };
  }
}
