/**
 * The driver of a virtio network device (virtio 1.2, 3.1 and 5.1): initialisation by the book, one queue pair, the
 * control queue if there is one, and what happens when the device goes away or breaks. It knows no
 * transport, and leaves the layout of the queues to `driver/make-queues.ts`.
 */
import { type BufferPool, frameCapacity } from '../../rings/buffer-pool.js';
import type { PacketTable } from '../../rings/packet-table.js';
import type { PacketMemory } from '../memory/index.js';
import type { DeviceCounters, NetDevice } from '../net-device.js';
import type { ControlQueue } from './control/control-queue.js';
import { setGuestOffloads } from './control/guest-offloads.js';
import { setReceiveFilter } from './control/receive-filter.js';
import { sendOffloads } from './driver/offload-bits.js';
import type { RxQueue, TxQueue } from './driver/queue.js';
import * as f from './features.js';
import { type LendOptions, TxLender } from './lending/tx-lender.js';
import type { TxLoan } from './lending/tx-loan.js';
import { DeviceStatus, negotiateFeatures } from './negotiation.js';
import { NetConfigSpace, randomMac } from './net-config.js';
import { NetCounters } from './net-counters.js';
import { DEFAULT_MTU, FRAME_OVERHEAD, mtuOf, type NetDeviceOptions } from './net-options.js';
import { NetQueues, RX_QUEUE } from './net-queues.js';
import { Restarter } from './restarter.js';
import type { TransportEvents, VirtioTransport } from './transport.js';

export type { NetDeviceOptions } from './net-options.js';

export class VirtioNetDevice implements NetDevice, TransportEvents {
  readonly name: string;
  readonly memory: PacketMemory;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  /** The queues of the last start. */
  rx: RxQueue;
  tx: TxQueue;
  private readonly control: ControlQueue;
  readonly rxHandles: Uint32Array;
  readonly rxLengths: Uint32Array;
  readonly table: PacketTable;
  offloads = 0;
  link = '';
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  /** The negotiated feature bits. */
  features = 0n;
  mac: Uint8Array;
  mtu: number;
  /** True from DRIVER_OK until the device is lost, broken or closed. */
  private running = false;
  /** As {@link running}, but false while another thread may drive the transmit queue. */
  private sending = false;
  /** What the device says about its link, if VIRTIO_NET_F_STATUS was negotiated. */
  private linkUp = true;
  /** Whether the device may use offloads on what we receive. */
  private receivesOffloads = true;
  private closing = false;
  /** Why a start that is under way must fail, although none of its calls has failed; otherwise empty. */
  private lost = '';
  private closed: Promise<void> | null = null;
  /** The device's own address, or null when it has none. */
  private deviceMac: Uint8Array | null = null;
  private readonly status: DeviceStatus;
  private readonly restarter: Restarter;
  private readonly lender: TxLender | null;
  /** The counters behind {@link counters}; other threads may read them too. */
  readonly counts: NetCounters;

  private constructor(
    private readonly transport: VirtioTransport,
    private readonly options: NetDeviceOptions,
    private readonly queues: NetQueues,
  ) {
    const { rx, tx, control, memory, pool, sent, table, lentTables } = queues;
    this.name = transport.name;
    this.memory = memory;
    this.pool = pool;
    this.sent = sent;
    this.rx = rx;
    this.tx = tx;
    this.control = control;
    ({ handles: this.rxHandles, lengths: this.rxLengths } = rx.received);
    this.table = table;
    this.mac = options.mac ?? randomMac();
    this.mtu = options.mtu ?? DEFAULT_MTU;
    this.status = new DeviceStatus(transport);
    const onBroken = (reason: string): void => this.fail(reason);
    this.lender = lentTables && new TxLender(tx.name, memory, lentTables, sent, onBroken);
    this.counts = new NetCounters(rx.counts, tx.counts, this.lender?.totals);
    this.restarter = new Restarter(
      () => this.restart(),
      () => this.back(),
      (reason) => this.onLink?.('down', reason),
    );
  }

  /** Opens the device and brings it up. Rejects with one clear line; then nothing is left behind. */
  static async open(transport: VirtioTransport, options: NetDeviceOptions = {}): Promise<VirtioNetDevice> {
    const queues = NetQueues.make(transport.name, options);
    try {
      const device = new VirtioNetDevice(transport, options, queues);
      await device.start();
      return device;
    } catch (error) {
      await transport.close();
      queues.memory.dispose();
      throw error;
    }
  }

  /** What the user should know about the packet memory (no hugepages), or empty. */
  get notice(): string {
    return this.memory.notice === '' ? '' : `${this.name}: ${this.memory.notice}`;
  }

  get isUp(): boolean {
    return this.running && this.linkUp;
  }

  get pollOnly(): boolean {
    return this.transport.pollOnly;
  }

  /** virtio 1.2, 3.1.1, steps 1 to 8. */
  private async start(): Promise<void> {
    const { transport, status } = this;
    this.lost = '';
    await transport.connect(this.memory, this);
    await status.reset();
    await status.add(f.VIRTIO_STATUS_ACKNOWLEDGE);
    await status.add(f.VIRTIO_STATUS_DRIVER);
    try {
      const longestPacket = frameCapacity(this.pool.geometry.shift) - FRAME_OVERHEAD;
      this.features = await negotiateFeatures(transport, status, this.options, longestPacket, this.receivesOffloads);
      if (this.options.offloads === 'auto') this.offloads = sendOffloads(this.features);
      await this.readConfig();
      await this.setupQueues();
    } catch (error) {
      // 3.1.1: on an irrecoverable error the driver sets FAILED. If the device is gone, that fails, too.
      await status.add(f.VIRTIO_STATUS_FAILED).catch(() => {});
      throw error;
    }
  }

  private has(feature: bigint): boolean {
    return (this.features & feature) !== 0n;
  }

  private async readConfig(): Promise<void> {
    const config = await NetConfigSpace.read(this.transport, this.features);
    this.deviceMac = config.mac;
    if (config.mac && !this.options.mac) this.mac = config.mac;
    this.linkUp = config.linkUp;
    this.link = config.link;
    this.mtu = mtuOf(this.name, this.options.mtu, config.mtu ?? Number.POSITIVE_INFINITY);
  }

  private async setupQueues(): Promise<void> {
    const { transport, control, queues, features } = this;
    const setup = await queues.start(transport, features, this.mtu + FRAME_OVERHEAD);
    const { rx, tx } = queues;
    this.rx = rx;
    this.tx = tx;
    await this.status.add(f.VIRTIO_STATUS_DRIVER_OK);
    if (this.has(f.VIRTIO_NET_F_CTRL_VQ)) {
      const { promiscuous = false, allMulticast = false } = this.options;
      const { mac, deviceMac } = this;
      await setReceiveFilter(control, features, { mac, deviceMac, promiscuous, allMulticast });
      if (!this.receivesOffloads) await setGuestOffloads(control, this.name, features, false);
    }
    // The connection may have ended together with the answer to the last message.
    if (this.lost !== '') throw new Error(this.lost);
    // 3.1.1: before DRIVER_OK no buffer may be made available and no doorbell rung.
    this.lender?.setLink(this.linkUp);
    this.lender?.start(setup);
    this.running = true;
    this.sending = this.lender === null;
    rx.open();
    tx.kick();
  }

  rxBurst(max: number): number {
    if (!this.running) return 0;
    const count = this.rx.broken === '' ? this.rx.burst(max) : 0; // it may have broken while interrupts were enabled
    if (this.rx.broken !== '') this.fail(this.rx.broken);
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (!this.sending) return 0;
    const taken = this.tx.burst(handles, lengths, count);
    if (this.tx.broken !== '') this.fail(this.tx.broken);
    return taken;
  }

  reclaimTx(): void {
    if (!this.sending) return;
    this.tx.reclaim();
    if (this.tx.broken !== '') this.fail(this.tx.broken);
  }

  /**
   * Lends the transmit queue to another thread, which drives it with a `BorrowedTx`. The device must have been opened
   * with the option `lendTx`. One borrower at a time; for a second one the device is restarted. While the queue is
   * lent, sent buffers come back only at the borrower. At other times a restart puts the buffers that were in the ring
   * into {@link sent}.
   */
  lendTx(options: LendOptions = {}): TxLoan {
    if (this.lender === null) throw new Error(`${this.name}: opened without the option lendTx`);
    if (this.closing) throw new Error(`${this.name}: closed`);
    const { needsRestart } = this.lender;
    const loan = this.lender.lend(this.tx.layout, options);
    if (needsRestart) this.down(`${this.name}: the transmit queue goes to another thread`, true);
    return loan;
  }

  async setReceiveOffloads(on: boolean): Promise<void> {
    const before = this.receivesOffloads;
    this.receivesOffloads = on;
    // A device that is away gets it at its next start.
    if (!this.running) return;
    try {
      await setGuestOffloads(this.control, this.name, this.features, on);
    } catch (error) {
      if (!this.running) return;
      this.receivesOffloads = before;
      throw error;
    }
  }

  enableRxInterrupt(): boolean {
    return this.running ? this.rx.enableInterrupts() : true;
  }

  disableRxInterrupt(): void {
    if (this.running) this.rx.disableInterrupts();
  }

  onInterrupt(queue: number): void {
    if (queue === RX_QUEUE) this.onWake?.();
  }

  onConfigChange(): void {
    this.followConfig().catch((error: Error) => this.fail(error.message));
  }

  private async followConfig(): Promise<void> {
    // 2.1.2: the device has met an error from which only a reset recovers.
    if (((await this.transport.getStatus()) & f.VIRTIO_STATUS_NEEDS_RESET) !== 0) {
      this.fail(`${this.name}: the device asks for a reset`);
      return;
    }
    const config = await NetConfigSpace.read(this.transport, this.features);
    if (config.announce && this.running) {
      // 5.1.6.5.4: send gratuitous packets, then say that this is done.
      this.onAnnounce?.();
      await this.control.acknowledgeAnnounce();
    }
    const before = this.linkUp;
    this.linkUp = config.linkUp;
    this.link = config.link;
    this.lender?.setLink(config.linkUp);
    if (config.linkUp === before || !this.running) return;
    const state = config.linkUp ? 'up' : 'down';
    const details = config.linkUp && config.link !== '' ? ` (${config.link})` : '';
    this.onLink?.(state, `${this.name}: the device reports its link ${state}${details}`);
    this.onWake?.();
  }

  onLost(reason: string): void {
    // While the device starts, the start fails and reports the reason.
    if (this.running) this.down(reason, this.transport.canReconnect);
    else this.lost = reason;
  }

  /** The device broke the protocol or says that it is broken: reset it and begin again. */
  private fail(reason: string): void {
    if (!this.running) return;
    this.counts.deviceErrors++;
    this.down(reason, true);
  }

  private down(reason: string, restart: boolean): void {
    // Buffers that were sent until now are not lost, and are of use meanwhile.
    if (this.sending && this.tx.broken === '') this.tx.reclaim();
    this.running = false;
    this.sending = false;
    this.lender?.pause();
    if (restart) this.restarter.begin(reason);
    this.onLink?.('down', reason);
    this.onWake?.();
  }

  private async restart(): Promise<void> {
    if (this.lender !== null) await this.lender.left();
    if (this.closing) return;
    await this.transport.close();
    if (!this.closing) await this.start();
  }

  private back(): void {
    this.counts.reconnects++;
    // If the link is still down, onLink is called when it comes up.
    if (this.linkUp) this.onLink?.('up', `${this.name} is back`);
    this.onWake?.();
  }

  keepAlive(on: boolean): void {
    this.transport.keepAlive?.(on);
    this.restarter.keepAlive(on);
  }

  counters(): DeviceCounters {
    return this.counts.snapshot();
  }

  close(): Promise<void> {
    this.closed ??= this.shutDown();
    return this.closed;
  }

  private async shutDown(): Promise<void> {
    this.closing = true;
    this.running = false;
    this.sending = false;
    this.lost = `${this.name}: closed while it started`;
    this.keepAlive(true);
    this.restarter.stop();
    if (this.lender !== null) await this.lender.end();
    await this.transport.close();
    // A start that was under way fails because its transport is closed. What it has opened since is closed after it.
    await this.restarter.settled();
    await this.transport.close();
    this.memory.dispose();
  }
}
