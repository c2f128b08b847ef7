/**
 * What both kinds of {@link Core} have in common. They differ in the layer below: a {@link SingleCore} polls the vNIC
 * itself; a {@link RingCore} has rings to the threads that poll it.
 *
 * Every buffer has one owner at any moment: a pool, the device, a ring, this layer (waiting for the stack, in the burst
 * to be sent, parked for ARP) or the stack. Nothing is allocated per packet.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import { type BufferPool, frameCapacity } from '../../rings/buffer-pool.js';
import { ENTRY_SHIFT, type PacketTable } from '../../rings/packet-table.js';
import type { Layer } from '../config.js';
import { L2, type L2Counters, type PortCounters } from '../counters.js';
import { ArgumentError } from '../errors.js';
import { coreText, INSPECT } from '../inspect.js';
import type { FlowTuple, Rss } from '../rss/rss.js';
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';
import { IPV4_HEADER_BYTES, ipv4Version } from '../wire/ipv4.js';
import { TxFetcher } from './bursts/line-fetcher.js';
import { BURST, TxBurst } from './bursts/tx-burst.js';
import { WaitingPackets } from './bursts/waiting-packets.js';
import { CapturePoint } from './capture-point.js';
import type { Core, WaitForPacketsOptions } from './core.js';
import type { Lease } from './dhcp/lease.js';
import type { Egress } from './egress.js';
import { HOP_NONE, type Host } from './host.js';
import type { BufferReturn, CoreParts } from './lower-layer.js';
import { Chains } from './offload/chains.js';
import { OffloadSender, type SendingCore } from './offload/offload-sender.js';
import { createBuffers, newOwner, notOwned, OWNER_LAYER, type Ownable, type PacketBuffer } from './packet-buffer.js';
import { Sleeper } from './sleep.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = BURST;
const LAYER = OWNER_LAYER;
const TX_QUEUED = L2.tx_queued;
const LOOP_POLLS = L2.loop_polls;
const SHIFT = ENTRY_SHIFT;
/** Polls between two looks at the clock. */
const POLLS_PER_TICK = 64;

export abstract class BaseCore implements Core, SendingCore {
  readonly values: Float64Array;
  readonly isIp: boolean;
  readonly minLength: number;
  maxLength = 0;
  readonly memory: MemoryViews;
  mtu: number;
  readonly layer: Layer;
  readonly idle: IdlePolicy;
  readonly index: number;
  readonly count: number;
  lease: Lease | null = null;
  readonly capture: CapturePoint;

  protected readonly buffers: readonly PacketBuffer[];
  protected readonly waiting = new WaitingPackets();
  protected readonly l2: L2Counters;
  protected readonly tx: TxBurst;
  protected readonly sleeper: Sleeper;
  protected readonly clock: () => number;
  protected readonly bufferReturn: BufferReturn;
  private readonly pool: BufferPool;
  private readonly keepLayerAlive: (on: boolean) => void;
  /** The number of the stack as the owner of buffers. */
  private readonly stack = newOwner();
  private readonly reserve: number;
  protected readonly table: PacketTable;
  /** Whether the device fills in and obeys the table. */
  protected readonly hasOffloads: boolean;
  protected readonly chains: Chains;
  private readonly offloadSender: OffloadSender;
  private readonly txFetcher: TxFetcher;
  private pollsToTick = POLLS_PER_TICK;

  /** Tells the cores of flows. */
  protected abstract readonly rss: Rss;
  /** Sends IP packets. */
  protected abstract readonly egress: Egress;
  /** Our addresses. */
  protected abstract readonly host: Host;
  /** The hash of a received packet: {@link PacketBuffer.rssHash}. */
  abstract hashOf(handle: number): number;
  abstract get mac(): Uint8Array;
  abstract get offloads(): number;
  abstract counters(): PortCounters;
  /** Receives a burst; packets for the stack go to {@link waiting}. */
  protected abstract poll(): void;
  /** Returns to the pool the buffers whose packets were sent. */
  protected abstract reclaim(): void;
  /** Does what is due at `nowMs`. */
  protected abstract timers(nowMs: number): void;
  /** When {@link timers} has something to do next; Infinity when it has not. */
  protected abstract timersDue(): number;

  protected constructor(parts: CoreParts) {
    const { memory, geometry, sink } = parts;
    this.memory = memory;
    ({ layer: this.layer, idle: this.idle, index: this.index, count: this.count, clock: this.clock } = parts);
    ({ counters: this.l2, pool: this.pool, keepAlive: this.keepLayerAlive, reserve: this.reserve } = parts);
    this.values = this.l2.values;
    this.bufferReturn = sink.pool;
    this.isIp = this.layer === 'ip';
    this.mtu = Math.min(parts.deviceMtu, frameCapacity(geometry.shift) - ETH_HEADER_BYTES);
    this.limitMtu(parts.mtu ?? this.mtu);
    this.minLength = this.isIp ? IPV4_HEADER_BYTES : ETH_HEADER_BYTES;
    this.buffers = createBuffers(geometry, this);
    this.table = sink.table;
    this.hasOffloads = parts.hasOffloads;
    this.chains = new Chains(this.buffers, sink.table, geometry, this.layer);
    this.offloadSender = new OffloadSender(this, this.chains, sink.pool);
    this.capture = new CapturePoint(memory, geometry, parts.hasOffloads ? sink.table : null);
    this.tx = new TxBurst(sink, parts.counters, this.capture);
    this.txFetcher = new TxFetcher(memory, parts.pool, this.layer);
    this.sleeper = new Sleeper(parts.wakeSource, this, parts.clock);
  }

  getRxCount(): number {
    this.tx.flush();
    this.txFetcher.poll();
    if (this.waiting.count < FULL_BURST) this.poll();
    if (--this.pollsToTick <= 0) this.tick(this.clock());
    return this.waiting.count;
  }

  getBufferRx(): PacketBuffer | null {
    const waiting = this.waiting;
    const at = waiting.head;
    if (at === waiting.tail) return null;
    waiting.head = at + 1;
    const buffer = this.buffers[waiting.handles[at]];
    buffer.length = waiting.lengths[at];
    (buffer as Ownable).owner = this.stack;
    if (this.hasOffloads) {
      const flags = this.table.words[buffer.handle << SHIFT];
      if (flags !== 0) this.chains.receive(buffer, flags);
    }
    return buffer;
  }

  getBufferTx(): PacketBuffer | null {
    const buffer = this.takeBuffer();
    if (buffer === null) {
      // The buffers of frames that are still collected here can only come back after they were sent.
      this.tx.flush();
      this.values[L2.tx_no_buffer]++;
      return null;
    }
    buffer.length = 0;
    (buffer as Ownable).owner = this.stack;
    return buffer;
  }

  /** An empty buffer, which the layer still owns; null when none is free. */
  takeBuffer(): PacketBuffer | null {
    const pool = this.pool;
    this.txFetcher.take();
    if (pool.available <= this.reserve) {
      this.reclaim();
      if (pool.available <= this.reserve) return null;
    }
    return this.buffers[pool.get()];
  }

  /** Gives a buffer of the layer back. */
  putBuffer(handle: number): void {
    this.bufferReturn.put(handle);
  }

  addBufferToRing(buffer: PacketBuffer): boolean {
    if (buffer.owner !== this.stack) throw notOwned('addBufferToRing', buffer);
    if (buffer.flags !== 0) {
      if (!this.offloadSender.send(buffer)) return this.ringFull();
    } else {
      const length = buffer.length;
      // Written in this way so that NaN fails, too.
      if (!(length >= this.minLength && length <= this.maxLength)) return this.drop(buffer, L2.tx_drop_length);
      if (this.isIp && ipv4Version(this.memory.u8, buffer.offset) !== 4) return this.drop(buffer, L2.tx_drop_version);
      if (!this.emit(buffer.handle, buffer.offset, length)) return this.ringFull();
      (buffer as Ownable).owner = LAYER;
    }
    // While the core sleeps, nothing calls getRxCount soon.
    if (this.sleeper.isAsleep) this.flush();
    return true;
  }

  /** Queues, parks or drops a packet of the layer. False: the ring is full. */
  emit(handle: number, offset: number, length: number): boolean {
    if (this.isIp) return this.egress.send(handle, offset, length);
    if (!this.tx.push(handle, length)) return false;
    this.values[TX_QUEUED]++;
    return true;
  }

  release(buffer: PacketBuffer): void {
    if (buffer.owner !== this.stack) throw notOwned('release', buffer);
    if (buffer.flags !== 0) {
      this.chains.free(buffer, this.bufferReturn);
      return;
    }
    (buffer as Ownable).owner = LAYER;
    this.bufferReturn.put(buffer.handle);
  }

  now(): number {
    return this.clock();
  }

  get address(): number {
    return this.host.address >>> 0;
  }

  /** The link carries no longer packets than that. To be called before there is a stack, which may remember the MTU. */
  limitMtu(mtu: number): void {
    this.mtu = Math.min(this.mtu, mtu);
    this.maxLength = this.isIp ? this.mtu : this.mtu + ETH_HEADER_BYTES;
  }

  /** Our address has changed: a stack that sleeps must look. To be called outside of polls. */
  addressChanged(lease: Lease | null): void {
    this.lease = lease;
    this.wake();
  }

  isBroadcast(address: number): boolean {
    return this.host.isBroadcast(address | 0);
  }

  hasRoute(address: number): boolean {
    return this.host.address !== 0 && this.host.nextHop(address | 0) !== HOP_NONE;
  }

  nextHopMac(ip: number): Uint8Array | null {
    return this.egress.nextHopMac(ip);
  }

  rssCoreFor(flow: FlowTuple): number {
    return this.rss.coreForFlow(flow);
  }

  rssCoreForPorts(source: number, destination: number, sourcePort: number, destinationPort: number): number {
    return this.rss.coreOf(this.rss.hashPorts(source, destination, sourcePort, destinationPort));
  }

  flush(): void {
    this.tx.flush();
    this.sleeper.reschedule();
  }

  waitForPackets(options: WaitForPacketsOptions = {}): Promise<number> {
    if (typeof options !== 'object' || options === null) {
      return Promise.reject(new ArgumentError(`waitForPackets: takes { signal, timeoutMs }, found ${String(options)}`));
    }
    this.publish();
    return this.sleeper.sleep(options.timeoutMs, options.signal);
  }

  get isAsleep(): boolean {
    return this.sleeper.isAsleep;
  }

  get isLinkUp(): boolean {
    return this.sleeper.isLinkUp;
  }

  wake(): void {
    this.sleeper.wake();
  }

  unref(): void {
    this.sleeper.keepAlive(false);
    this.keepLayerAlive(false);
  }

  ref(): void {
    this.sleeper.keepAlive(true);
    this.keepLayerAlive(true);
  }

  /** Sends what is still to be sent, and ends {@link waitForPackets} for good. The owner of the device closes it. */
  close(): void {
    this.tx.flush();
    this.sleeper.close();
  }

  /** Does what is due at `nowMs`, such as ARP. Called by getRxCount every 64 polls, and while the core sleeps. */
  tick(nowMs: number): void {
    this.values[LOOP_POLLS] += POLLS_PER_TICK - this.pollsToTick;
    this.pollsToTick = POLLS_PER_TICK;
    this.publish();
    if (this.isIp) this.timers(nowMs);
  }

  /**
   * How often {@link getRxCount} was called, exactly. The counter `loop_polls` is only brought up to date by
   * {@link tick}.
   */
  get polls(): number {
    return this.values[LOOP_POLLS] + POLLS_PER_TICK - this.pollsToTick;
  }

  /** Brings the counters up to date that other threads read of this core. */
  protected publish(): void {}

  /** When {@link tick} must be called next; Infinity when it need not. */
  nextDeadline(): number {
    const due = this.timersDue();
    // No interrupt tells that the ring has room again: look after a millisecond.
    return this.tx.pending > 0 ? Math.min(due, this.clock() + 1) : due;
  }

  /** For the loop that drives the core: adds the time in which it worked, and slept or polled in vain, in ms. */
  countTime(busyMs: number, idleMs: number): void {
    this.values[L2.loop_busy_ms] += busyMs;
    this.values[L2.loop_idle_ms] += idleMs;
  }

  /** How many buffers this layer holds: packets for the stack, frames for the device, packets that wait for ARP. */
  held(): { waiting: number; pending: number; parked: number } {
    const { table, waiting, tx, egress } = this;
    const { handles, head, tail } = waiting;
    return { waiting: table.partsOf(handles, head, tail), pending: tx.buffers, parked: egress.parkedBuffers };
  }

  /** How many buffers the stack has. Looks at each buffer, so it is not for each poll. */
  protected heldByStack(): number {
    return this.buffers.filter(({ owner }) => owner !== LAYER).length;
  }

  /** One line for `console.log`, which would otherwise show every buffer. */
  [INSPECT](): string {
    return coreText(this);
  }

  countDrop(buffer: PacketBuffer, reason: number): void {
    this.values[reason]++;
    if (this.capture.wantsDrops) this.capture.droppedBuffer(buffer, reason);
  }

  private drop(buffer: PacketBuffer, reason: number): true {
    this.countDrop(buffer, reason);
    (buffer as Ownable).owner = LAYER;
    this.bufferReturn.put(buffer.handle);
    return true;
  }
  private ringFull(): false {
    this.values[L2.tx_ring_full]++;
    return false;
  }
}
