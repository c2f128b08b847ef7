/** Case I of the design: the one core itself polls the vNIC, filters, answers ARP and sends. */
import type { NetDevice } from '../../drivers/net-device.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import { createL2Counters, L2, type PortCounters } from '../counters.js';
import { IndirectionTable } from '../rss/indirection-table.js';
import type { RssOptions } from '../rss/keys.js';
import { type FlowTuple, Rss } from '../rss/rss.js';
import { BaseCore } from './base-core.js';
import { Egress } from './egress.js';
import { LinkLayer, type LinkOptions } from './link-layer.js';
import { BURST } from './tx-burst.js';

export interface SingleCoreOptions extends LinkOptions {
  /** Longest IP packet. Default: the device's. A longer one than the device's or a buffer's is cut down to that. */
  readonly mtu?: number | undefined;
  /** How {@link rssHash} is computed. */
  readonly rss?: RssOptions;
  /** Default `adaptive`. */
  readonly idle?: IdlePolicy;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const FULL_BURST = BURST;
const RX_FRAMES = L2.rx_frames;
const RX_DELIVERED = L2.rx_delivered;
/** Buffers that getBufferTx leaves in the pool, so that senders starve neither Rx refill nor ARP: two bursts at most. */
const MAX_RESERVE = 2 * BURST;

export class SingleCore extends BaseCore {
  protected readonly egress: Egress;
  private readonly link: LinkLayer;
  private readonly rss: Rss;
  private readonly rxReserve: number;
  /** Receives a burst. A closure, not a method: V8 knows its device and its arrays when it compiles it. */
  private readonly receive: () => void;

  /** Takes over `device`: its bursts, its wake-ups. Use {@link init} unless you bring a device of your own. */
  constructor(
    private readonly device: NetDevice,
    options: SingleCoreOptions,
  ) {
    const { pool, memory } = device;
    const { geometry } = pool;
    const reserve = Math.min(MAX_RESERVE, geometry.count >>> 3);
    const counters = createL2Counters();
    const clock = options.clock ?? (() => performance.now());
    super({
      ...{ memory, geometry, pool, reserve, counters, clock, sink: device, wakeSource: device },
      ...{ index: 0, count: 1, address: options.address, deviceMtu: device.mtu, mtu: options.mtu },
      ...{ layer: options.layer ?? 'ip', idle: options.idle ?? 'adaptive' },
    });
    this.rxReserve = reserve;
    this.rss = new Rss(memory, options.rss ?? {}, IndirectionTable.create(1));
    this.link = new LinkLayer(device, geometry.shift, this.tx, counters, clock, options);
    this.egress = new Egress(device, this.link.host, this.link.neighbours, this.tx, counters);
    this.receive = this.makeReceive();
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  /** Every flow's entry names this core. */
  get indirection(): IndirectionTable {
    return this.rss.table;
  }

  /** This one. */
  rssCoreFor(flow: FlowTuple): number {
    return this.rss.coreForFlow(flow);
  }

  /** Computed when it is asked for: nobody needs it to bring the packet here. */
  hashOf(handle: number): number {
    const { offset, length } = this.buffers[handle];
    return this.isIp ? this.rss.hashPacket(offset, length) : this.rss.hashFrame(offset, length);
  }

  /** Announces our address by ARP: at start, and when the link is back. Nothing with layer `ethernet`. */
  announce(): void {
    this.link.announce();
    this.flush();
  }

  /** The layer's counters and the device's. */
  counters(): PortCounters {
    const own = { ...this.l2.snapshot(), loop_polls: this.polls, held_by_stack: this.heldByStack() };
    return { ...own, ...this.device.counters() };
  }

  /** Packets that were received for the stack until now. */
  get delivered(): number {
    return this.values[RX_DELIVERED];
  }

  /**
   * Whether packets wait for the stack: here, or in the device, as far as it can be asked. Asleep, it is being listened
   * to already, and tells by itself.
   */
  get hasPackets(): boolean {
    if (this.waiting.count > 0) return true;
    if (this.isAsleep || !this.device.isUp) return false;
    const isEmpty = this.device.enableRxInterrupt();
    this.device.disableRxInterrupt();
    return !isEmpty;
  }

  protected poll(): void {
    this.receive();
  }

  private makeReceive(): () => void {
    const { device, link, waiting, values, tx, rxReserve } = this;
    const { pool, rxHandles, rxLengths } = device;
    const { handles, lengths } = waiting;
    return () => {
      // Rx refill takes from the same pool: without it, buffers already sent would be missing there.
      if (pool.available <= rxReserve) device.reclaimTx();
      const count = device.rxBurst(FULL_BURST);
      if (count === 0) return;
      const first = waiting.makeRoom();
      let tail = first;
      for (let i = 0; i < count; i++) {
        const handle = rxHandles[i];
        const bytes = link.admit(handle, rxLengths[i]);
        if (bytes === 0) continue;
        handles[tail] = handle;
        lengths[tail] = bytes;
        tail++;
      }
      values[RX_FRAMES] += count;
      waiting.tail = tail;
      values[RX_DELIVERED] += tail - first;
      // ARP replies go out now: nothing else may follow for long.
      tx.flush();
    };
  }

  protected reclaim(): void {
    this.device.reclaimTx();
  }

  protected timers(nowMs: number): void {
    this.link.tick(nowMs);
  }

  protected timersDue(): number {
    return this.link.nextDeadline();
  }
}
