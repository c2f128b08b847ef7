/**
 * A core's view of the network: the calls that the stack makes. Case I of the design, single core: the core itself polls
 * the vNIC, filters, answers ARP and sends.
 *
 * Every buffer has one owner at any moment: the pool, the device, this layer (waiting for the stack, in the burst to be
 * sent, parked for ARP) or the stack. Nothing is allocated per packet.
 */
import type { MemoryViews } from '../drivers/memory/index.js';
import type { DeviceCounters, NetDevice } from '../drivers/net-device.js';
import { FRAME_OFFSET, frameCapacity } from '../rings/buffer-pool.js';
import { NeighbourTable } from '../rings/neighbour-table.js';
import { Arp, type ArpWarning } from './arp.js';
import { ArpSender } from './arp-sender.js';
import type { IdlePolicy, Layer } from './config.js';
import { createL2Counters, L2 } from './counters.js';
import { Egress } from './egress.js';
import { Filter } from './filter.js';
import { Host } from './host.js';
import { Neighbours } from './neighbours.js';
import { notOwned, OWNER_LAYER, OWNER_STACK, PacketBuffer } from './packet-buffer.js';
import { Sleeper } from './sleep.js';
import { BURST, TxBurst } from './tx-burst.js';
import { WaitingPackets } from './waiting-packets.js';
import { type WarningSink, Warnings } from './warnings.js';
import { ETH_HEADER_BYTES, macWords } from './wire/ethernet.js';
import { IPV4_HEADER_BYTES, ipv4TotalLength, ipv4Version } from './wire/ipv4.js';

export interface CoreOptions {
  /** Own address, as a number. */
  readonly address: number;
  readonly prefixLength: number;
  readonly gateway?: number | undefined;
  /** Static neighbours: address -> six bytes. */
  readonly neighbours?: ReadonlyMap<number, Uint8Array>;
  /** Longest IP packet. Default: the device's. A longer one than the device's or a buffer's is cut down to that. */
  readonly mtu?: number | undefined;
  /** Default `ip`. */
  readonly layer?: Layer;
  /** Default `adaptive`. */
  readonly idle?: IdlePolicy;
  readonly acceptBroadcast?: boolean;
  readonly acceptMulticast?: boolean;
  /** Takes one-line warnings about the network (address conflicts). */
  readonly warn?: WarningSink;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

/** Polls between two looks at the clock. */
const POLLS_PER_TICK = 64;
/** Buffers that getBufferTx leaves in the pool, so that senders starve neither Rx refill nor ARP: two bursts at most. */
const MAX_RESERVE = 2 * BURST;

export class Core {
  /** The memory that the buffers lie in; a {@link PacketBuffer}'s `offset` counts from its first byte. */
  readonly memory: MemoryViews;
  /** Longest IP packet that can be sent, in bytes. */
  readonly mtu: number;
  readonly layer: Layer;
  /** What {@link runStack} does without packets. */
  readonly idle: IdlePolicy;
  /** Own address, unsigned. */
  readonly address: number;
  /** Number of the core; 0 with a single one. */
  readonly index = 0;

  private readonly buffers: readonly PacketBuffer[];
  private readonly waiting: WaitingPackets;
  private readonly rxHandles = new Uint32Array(BURST);
  private readonly rxLengths = new Uint32Array(BURST);
  private readonly l2 = createL2Counters();
  private readonly values = this.l2.values;
  private readonly host: Host;
  private readonly tx: TxBurst;
  private readonly filter: Filter;
  private readonly neighbours: Neighbours;
  private readonly egress: Egress;
  private readonly arpSender: ArpSender;
  private readonly arp: Arp;
  private readonly sleeper: Sleeper;
  private readonly clock: () => number;
  private readonly isIp: boolean;
  private readonly minLength: number;
  private readonly maxLength: number;
  private readonly maxFrame: number;
  private readonly reserve: number;
  private pollsToTick = POLLS_PER_TICK;

  /** Takes over `device`: its bursts, its wake-ups. Use {@link init} unless you bring a device of your own. */
  constructor(
    private readonly device: NetDevice,
    options: CoreOptions,
  ) {
    const { pool, memory } = device;
    const { count, shift } = pool.geometry;
    const clock = options.clock ?? (() => performance.now());
    this.clock = clock;
    this.memory = memory;
    this.layer = options.layer ?? 'ip';
    this.idle = options.idle ?? 'adaptive';
    this.isIp = this.layer === 'ip';
    this.address = options.address >>> 0;
    this.maxFrame = frameCapacity(shift);
    this.mtu = Math.min(options.mtu ?? device.mtu, device.mtu, this.maxFrame - ETH_HEADER_BYTES);
    this.minLength = this.isIp ? IPV4_HEADER_BYTES : ETH_HEADER_BYTES;
    this.maxLength = this.isIp ? this.mtu : this.mtu + ETH_HEADER_BYTES;
    this.reserve = Math.min(MAX_RESERVE, count >>> 3);
    this.waiting = new WaitingPackets(count);

    const headroom = FRAME_OFFSET + (this.isIp ? ETH_HEADER_BYTES : 0);
    const capacity = (1 << shift) - headroom;
    this.buffers = Array.from(
      { length: count },
      (_, handle) => new PacketBuffer(handle, pool.offsetOf(handle) + headroom, capacity, memory.u8),
    );

    const { l2 } = this;
    const host = new Host({ ...options, mac: device.mac });
    this.host = host;
    this.tx = new TxBurst(device, l2);
    this.filter = new Filter(memory, host, {
      acceptBroadcast: options.acceptBroadcast ?? false,
      acceptMulticast: options.acceptMulticast ?? false,
      maxFrame: this.maxFrame,
    });
    this.arpSender = new ArpSender(device, host, this.tx, l2, clock);
    const table = new NeighbourTable(new SharedArrayBuffer(NeighbourTable.bytesFor()), 0);
    this.neighbours = new Neighbours(table, this.arpSender, l2, clock);
    for (const [ip, mac] of options.neighbours ?? []) this.neighbours.addStatic(ip, macWords(mac));
    this.egress = new Egress(device, host, this.neighbours, this.tx, l2);
    const warnings = new Warnings<ArpWarning>(options.warn ?? (() => {}), clock);
    this.arp = new Arp(memory, host, this.neighbours, this.arpSender, this.tx, l2, warnings);
    this.sleeper = new Sleeper(device, this, clock);
  }

  /** Own MAC address: six bytes. */
  get mac(): Uint8Array {
    return this.device.mac;
  }

  /**
   * How many received packets wait; call {@link getBufferRx} as many times. Sends what is still to be sent, and polls the
   * vNIC once, unless a burst waits already. The seed's `get_rx_count()`.
   */
  getRxCount(): number {
    this.tx.flush();
    if (this.waiting.count < BURST) this.poll();
    if (--this.pollsToTick <= 0) this.tick(this.clock());
    return this.waiting.count;
  }

  /**
   * The next received packet, or null. It is the caller's until {@link release} or {@link addBufferToRing}. The seed's
   * `get_buffer_rx()`.
   */
  getBufferRx(): PacketBuffer | null {
    if (this.waiting.count === 0) return null;
    const buffer = this.buffers[this.waiting.shift()]!;
    buffer.owner = OWNER_STACK;
    return buffer;
  }

  /**
   * An empty buffer to fill with IP header, payload and all, or null when none is free: some are always left for
   * receiving and for ARP. It is the caller's until {@link addBufferToRing} or {@link release}. The seed's
   * `get_buffer_tx()`.
   */
  getBufferTx(): PacketBuffer | null {
    const pool = this.device.pool;
    if (pool.available <= this.reserve) {
      this.device.reclaimTx();
      if (pool.available <= this.reserve) {
        this.values[L2.tx_no_buffer]!++;
        return null;
      }
    }
    const buffer = this.buffers[pool.get()]!;
    buffer.length = 0;
    buffer.owner = OWNER_STACK;
    return buffer;
  }

  /**
   * Sends `buffer.length` bytes: puts the Ethernet header in front and appends the packet to the burst for the vNIC, which
   * goes out when it is full, at the next {@link getRxCount}, or at {@link flush}. With layer `ethernet` the frame goes as
   * it is. The seed's `addBufferToRing()`.
   *
   * @returns true when the buffer is gone: queued, parked until ARP is answered, or dropped and counted (wrong length,
   * no route). False when the ring is full: it is still the caller's, to try again later or to release.
   * @throws Error when the caller does not own the buffer, or it is another port's.
   */
  addBufferToRing(buffer: PacketBuffer): boolean {
    if (!this.owns(buffer)) throw notOwned('addBufferToRing', buffer);
    const length = buffer.length;
    // Written so that NaN fails, too.
    if (!(length >= this.minLength && length <= this.maxLength)) {
      this.drop(buffer, L2.tx_drop_length);
      return true;
    }
    if (this.isIp) {
      if (ipv4Version(this.memory.u8, buffer.offset) !== 4) {
        this.drop(buffer, L2.tx_drop_version);
        return true;
      }
      if (!this.egress.send(buffer.handle, buffer.offset, length)) return this.ringFull();
    } else {
      if (!this.tx.push(buffer.handle, length)) return this.ringFull();
      this.values[L2.tx_queued]!++;
    }
    buffer.owner = OWNER_LAYER;
    // Asleep, nobody calls getRxCount soon.
    if (this.sleeper.isAsleep) this.flush();
    return true;
  }

  /**
   * Gives a buffer back unused.
   * @throws Error when the caller does not own it, or it is another port's.
   */
  release(buffer: PacketBuffer): void {
    if (!this.owns(buffer)) throw notOwned('release', buffer);
    buffer.owner = OWNER_LAYER;
    this.device.pool.put(buffer.handle);
  }

  /** Sends what {@link addBufferToRing} has collected, without waiting for a full burst. */
  flush(): void {
    this.tx.flush();
    this.sleeper.reschedule();
  }

  /**
   * Sleeps until packets wait, the link comes or goes, {@link wake} is called or `timeoutMs` have passed; meanwhile Node's
   * event loop runs, and ARP is answered. Resolves to what {@link getRxCount} would return. One waiter at a time. Where
   * packets wait already it does not sleep, but once a millisecond it gives the event loop a turn all the same.
   *
   * @throws Error (rejects) when somebody waits already, or the port was stopped.
   */
  waitForPackets(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<number> {
    return this.sleeper.sleep(timeoutMs);
  }

  /** Ends {@link waitForPackets}. */
  wake(): void {
    this.sleeper.wake();
  }

  /** The end: sends what is still to be sent, ends {@link waitForPackets}. The device is closed by its owner. */
  close(): void {
    this.tx.flush();
    this.sleeper.close();
  }

  /** Announces our address by ARP: at start, and when the link is back. Nothing with layer `ethernet`. */
  announce(): void {
    // A device that came back may have another address, if none was configured.
    this.host.mac.set(macWords(this.device.mac));
    if (this.isIp) this.arpSender.announce();
    this.flush();
  }

  /** Housekeeping that is due at `nowMs`: ARP timers. Done by getRxCount now and then, and while asleep. */
  tick(nowMs: number): void {
    this.pollsToTick = POLLS_PER_TICK;
    if (!this.isIp) return;
    this.neighbours.tick(nowMs);
    this.arpSender.tick(nowMs);
    this.tx.flush();
  }

  /** When {@link tick} must be called next; Infinity when it need not. */
  nextDeadline(): number {
    const arp = Math.min(this.neighbours.nextDeadline(), this.arpSender.nextDeadline());
    // Nothing tells when the ring has room again: look after a millisecond.
    return this.tx.pending > 0 ? Math.min(arp, this.clock() + 1) : arp;
  }

  /** Buffers that this layer holds: packets for the stack, frames for the device, packets that wait for ARP. */
  held(): { waiting: number; pending: number; parked: number } {
    return { waiting: this.waiting.count, pending: this.tx.pending, parked: this.egress.parked };
  }

  /** All counters, the layer's and the device's; a device's whose name the layer uses, too, begins with `device_`. */
  counters(): DeviceCounters {
    const all: Record<string, number> = this.l2.snapshot();
    for (const [name, value] of Object.entries(this.device.counters())) {
      all[Object.hasOwn(L2, name) ? `device_${name}` : name] = value;
    }
    return all;
  }

  /** Receives a burst, and sorts it into packets for the stack, ARP and drops. */
  private poll(): void {
    // Rx refill takes from the same pool: without it, buffers already sent would be missing there.
    if (this.device.pool.available <= this.reserve) this.device.reclaimTx();
    const count = this.device.rxBurst(this.rxHandles, this.rxLengths, BURST);
    if (count === 0) return;
    this.values[L2.rx_frames]! += count;
    for (let i = 0; i < count; i++) {
      if (this.isIp) this.receive(this.rxHandles[i]!, this.rxLengths[i]!);
      else this.receiveFrame(this.rxHandles[i]!, this.rxLengths[i]!);
    }
    // ARP replies go out now: nothing else may follow for long.
    this.tx.flush();
  }

  private receive(handle: number, length: number): void {
    const frame = this.device.pool.offsetOf(handle) + FRAME_OFFSET;
    const verdict = this.filter.classify(frame, length);
    this.values[verdict]!++;
    if (verdict === L2.rx_delivered) {
      const buffer = this.buffers[handle]!;
      buffer.length = ipv4TotalLength(this.memory.u8, buffer.offset);
      this.waiting.push(handle);
      return;
    }
    if (verdict === L2.rx_arp) {
      if (this.arp.receive(handle, frame, length)) return;
    } else if (verdict === L2.rx_drop_own_source) {
      this.arp.receiveOwnSource(frame, length);
    }
    this.device.pool.put(handle);
  }

  private receiveFrame(handle: number, length: number): void {
    if (length >= ETH_HEADER_BYTES && length <= this.maxFrame) {
      this.values[L2.rx_delivered]!++;
      this.buffers[handle]!.length = length;
      this.waiting.push(handle);
      return;
    }
    this.values[length < ETH_HEADER_BYTES ? L2.rx_drop_runt : L2.rx_drop_too_long]!++;
    this.device.pool.put(handle);
  }

  private owns(buffer: PacketBuffer): boolean {
    return buffer.owner === OWNER_STACK && this.buffers[buffer.handle] === buffer;
  }

  private drop(buffer: PacketBuffer, reason: number): void {
    this.values[reason]!++;
    buffer.owner = OWNER_LAYER;
    this.device.pool.put(buffer.handle);
  }

  private ringFull(): false {
    this.values[L2.tx_ring_full]!++;
    return false;
  }
}
