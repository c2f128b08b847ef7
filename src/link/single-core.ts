/**
 * The only core of a port with mode `single` (Case I of the design): it polls the vNIC, filters, answers ARP and sends.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import { createL2Counters, L2, type PortCounters } from '../counters.js';
import { IndirectionTable } from '../rss/indirection-table.js';
import type { RssOptions } from '../rss/keys.js';
import { Rss } from '../rss/rss.js';
import { BaseCore } from './base-core.js';
import { BURST } from './bursts/tx-burst.js';
import type { AddressChange } from './dhcp/lease.js';
import { Egress } from './egress.js';
import type { Host } from './host.js';
import { LinkLayer, type LinkOptions } from './link-layer.js';

export interface SingleCoreOptions extends LinkOptions {
  /** Longest IP packet, in bytes. Default: that of the device. Limited to what the device and a buffer can hold. */
  readonly mtu?: number | undefined;
  /** How {@link PacketBuffer.rssHash} is computed. */
  readonly rss?: RssOptions;
  /** Default `adaptive`. */
  readonly idle?: IdlePolicy;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = BURST;
const RX_FRAMES = L2.rx_frames;
const RX_DELIVERED = L2.rx_delivered;
/** Most buffers that getBufferTx leaves in the pool for the receive ring and for ARP: two bursts. */
const MAX_RESERVE = 2 * BURST;
/** The same where a packet may take 17 buffers and more. */
const MAX_RESERVE_OF_CHAINS = 16 * BURST;

export class SingleCore extends BaseCore {
  protected readonly egress: Egress;
  protected readonly host: Host;
  private readonly link: LinkLayer;
  protected readonly rss: Rss;
  private readonly rxReserve: number;
  /** Receives a burst. A closure: docs/v8.md, "Bursts as closures". */
  private readonly receive: () => void;

  /** Takes over the bursts and the wake-ups of `device`. */
  constructor(
    private readonly device: NetDevice,
    options: SingleCoreOptions,
  ) {
    const { pool, memory } = device;
    const { geometry } = pool;
    const most = device.offloads === 0 ? MAX_RESERVE : MAX_RESERVE_OF_CHAINS;
    const reserve = Math.min(most, geometry.count >>> 3);
    const counters = createL2Counters();
    const clock = options.clock ?? (() => performance.now());
    super({
      ...{ memory, geometry, pool, reserve, counters, clock, sink: device, wakeSource: device },
      keepAlive: (on) => device.keepAlive?.(on),
      ...{ index: 0, count: 1, deviceMtu: device.mtu, mtu: options.mtu, hasOffloads: device.offloads !== 0 },
      ...{ layer: options.layer ?? 'ip', idle: options.idle ?? 'adaptive' },
    });
    this.rxReserve = reserve;
    this.rss = new Rss(memory, options.rss ?? {}, IndirectionTable.create(1));
    const { onAddress } = options;
    // Not at once: the core may be in the middle of a poll, or about to sleep.
    const changed = (change: AddressChange): void => {
      setImmediate(() => {
        this.addressChanged(change.lease);
        onAddress?.(change);
      });
    };
    const link = { ...options, onAddress: changed };
    this.link = new LinkLayer(
      device,
      geometry.shift,
      this.tx,
      counters,
      clock,
      link,
      undefined,
      undefined,
      this.capture,
    );
    this.host = this.link.host;
    this.egress = new Egress(device, this.host, this.link.neighbours, this.tx, counters, this.capture);
    this.receive = this.makeReceive();
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  get offloads(): number {
    return this.device.offloads;
  }

  /** All entries name this core. */
  get indirection(): IndirectionTable {
    return this.rss.table;
  }

  /** Computed when a stack asks for it: with one core, nothing else needs it. */
  hashOf(handle: number): number {
    const { offset, length } = this.buffers[handle];
    return this.isIp ? this.rss.hashPacket(offset, length) : this.rss.hashFrame(offset, length);
  }

  /** As {@link LinkLayer.announce}. */
  announce(): void {
    this.link.announce();
    this.flush();
  }

  /** As {@link LinkLayer.setAddress}. */
  setAddress(change: AddressChange): void {
    this.link.setAddress(change);
  }

  /** As {@link LinkLayer.acquire}. */
  acquire(): void {
    this.link.acquire();
  }

  /** As {@link LinkLayer.release}. */
  giveBack(): void {
    this.link.release();
  }

  /** The counters of the layer and of the device. */
  counters(): PortCounters {
    const own = { ...this.l2.snapshot(), loop_polls: this.polls, held_by_stack: this.heldByStack() };
    return { ...own, ...this.device.counters() };
  }

  /** Packets that were received for the stack until now. */
  get delivered(): number {
    return this.values[RX_DELIVERED];
  }

  /**
   * Whether packets wait for the stack, here or in the device. False while the core sleeps: the device then wakes it
   * for a packet.
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
    const { device, link, waiting, values, tx, rxReserve, capture } = this;
    const { pool, rxHandles, rxLengths } = device;
    const { handles, lengths } = waiting;
    return () => {
      // The receive ring is filled from the same pool, so buffers that were sent must get back there.
      if (pool.available <= rxReserve) device.reclaimTx();
      const count = device.rxBurst(FULL_BURST);
      if (count === 0) return;
      // Before the layer, which may make the answer to a frame in its buffer.
      if (capture.isOn) capture.received(rxHandles, rxLengths, 0, count);
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
      // ARP replies go out now, because nothing else may follow for long.
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
