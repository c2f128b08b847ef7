/**
 * The virtio network device's driver (virtio 1.2, 3.1 and 5.1): initialisation by the book, one queue pair, the control
 * queue where there is one, and what happens when the device goes away or breaks. Knows no transport and no queue's inside.
 */
import { BufferPool, frameCapacity } from '../../rings/buffer-pool.js';
import { PacketMemory } from '../memory/index.js';
import type { DeviceCounters, NetDevice } from '../net-device.js';
import { ControlQueue } from './control-queue.js';
import { allocateSplitQueue } from './driver-queue.js';
import { type RxQueue, rxQueueFor, type TxQueue, txQueueFor } from './driver-queues.js';
import { DriverRxQueue } from './driver-rx-queue.js';
import { DriverTxQueue } from './driver-tx-queue.js';
import * as f from './features.js';
import { DeviceStatus, negotiateFeatures } from './negotiation.js';
import { NetConfigSpace, randomMac } from './net-config.js';
import { bufferShift, DEFAULT_MTU, FRAME_OVERHEAD, type NetDeviceOptions, ringAndBuffers } from './net-options.js';
import { setReceiveFilter } from './receive-filter.js';
import { Restarter } from './restarter.js';
import type { TransportEvents, VirtioTransport } from './transport.js';

export type { NetDeviceOptions } from './net-options.js';

// 5.1.2: receive and transmit queue of the only pair; without MQ and RSS the control queue comes right after them.
const RX = 0;
const TX = 1;
const CONTROL = 2;

export class VirtioNetDevice implements NetDevice, TransportEvents {
  readonly name: string;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  /** What was negotiated, as feature bits. */
  features = 0n;
  mac: Uint8Array;
  mtu: number;
  /** From DRIVER_OK until the device is lost, broken or closed. */
  private running = false;
  /** What the device says of its link, where VIRTIO_NET_F_STATUS was negotiated. */
  private linkUp = true;
  private deviceErrors = 0;
  private reconnects = 0;
  private closing = false;
  /** Why a start that is under way is to fail, although none of its calls did. */
  private lost = '';
  private closed: Promise<void> | null = null;
  /** The device's own address, where it has one. */
  private deviceMac: Uint8Array | null = null;
  private readonly status: DeviceStatus;
  private readonly restarter: Restarter;

  private constructor(
    private readonly transport: VirtioTransport,
    private readonly options: NetDeviceOptions,
    readonly memory: PacketMemory,
    readonly pool: BufferPool,
    public rx: RxQueue,
    public tx: TxQueue,
    private readonly control: ControlQueue,
  ) {
    this.name = transport.name;
    this.mac = options.mac ?? randomMac();
    this.mtu = options.mtu ?? DEFAULT_MTU;
    this.status = new DeviceStatus(transport);
    this.restarter = new Restarter(
      () => this.restart(),
      () => this.back(),
      (reason) => this.onLink?.('down', reason),
    );
  }

  /** Opens the device and brings it up. Rejects with one clear line; nothing is left behind then. */
  static async open(transport: VirtioTransport, options: NetDeviceOptions = {}): Promise<VirtioNetDevice> {
    const { name } = transport;
    const { queueSize, buffers } = ringAndBuffers(name, options);
    const shift = bufferShift(name, options.mtu ?? DEFAULT_MTU);
    // Two rings of 26 bytes an entry, and the control queue, rounded up generously.
    const memory = PacketMemory.create((buffers << shift) + 64 * queueSize + 2 * 65536, options.hugepages);
    try {
      const rxLayout = allocateSplitQueue(memory, queueSize);
      const txLayout = allocateSplitQueue(memory, queueSize);
      const control = new ControlQueue(`${name} control queue`, memory);
      const pool = new BufferPool({ count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) });
      const rx = new DriverRxQueue(`${name} receive queue`, memory, rxLayout, pool);
      const tx = new DriverTxQueue(`${name} transmit queue`, memory, txLayout, pool);
      const device = new VirtioNetDevice(transport, options, memory, pool, rx, tx, control);
      await device.start();
      return device;
    } catch (error) {
      await transport.close();
      memory.dispose();
      throw error;
    }
  }

  /** Why the packet memory is not what it could be. */
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
      this.features = await negotiateFeatures(transport, status, this.options, longestPacket);
      await this.readConfig();
      await this.setupQueues();
    } catch (error) {
      // 3.1.1: on an irrecoverable error the driver sets FAILED. The device may be gone; that changes nothing.
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
    const limit = config.mtu ?? Number.POSITIVE_INFINITY;
    if (this.options.mtu !== undefined && this.options.mtu > limit) {
      throw new Error(`${this.name}: MTU ${this.options.mtu} asked for, the device allows ${limit}`);
    }
    this.linkUp = config.linkUp;
    this.mtu = Math.min(this.options.mtu ?? DEFAULT_MTU, limit);
  }

  private async setupQueues(): Promise<void> {
    const { transport, control, memory, pool } = this;
    const packed = this.has(f.VIRTIO_F_RING_PACKED);
    this.rx = rxQueueFor(packed, this.rx, memory, pool);
    this.tx = txQueueFor(packed, this.tx, memory, pool);
    const { rx, tx } = this;
    rx.resize(await this.queueSize(RX, rx.name));
    tx.resize(await this.queueSize(TX, tx.name));
    const space = transport.addressSpace();
    const eventIdx = this.has(f.VIRTIO_F_EVENT_IDX);
    tx.start(space, eventIdx, this.mtu + FRAME_OVERHEAD);
    if (!rx.start(space, eventIdx, this.has(f.VIRTIO_NET_F_MRG_RXBUF))) {
      throw new Error(`${this.name}: the stack holds so many buffers that the receive ring cannot be filled`);
    }
    rx.attach(await transport.setupQueue(RX, rx.layout, true));
    tx.attach(await transport.setupQueue(TX, tx.layout, false));
    const hasControl = this.has(f.VIRTIO_NET_F_CTRL_VQ);
    if (hasControl) {
      const limit = await transport.maxQueueSize(CONTROL);
      if (limit < 2) throw new Error(`${control.name}: the device offers CTRL_VQ, but allows ${limit} entries`);
      control.start(space, packed, eventIdx, limit);
      control.attach(await transport.setupQueue(CONTROL, control.layout, false));
    }
    await this.status.add(f.VIRTIO_STATUS_DRIVER_OK);
    if (hasControl) {
      const { promiscuous = false, allMulticast = false } = this.options;
      const { mac, deviceMac, features } = this;
      await setReceiveFilter(control, features, { mac, deviceMac, promiscuous, allMulticast });
    }
    // With the answer to the last message the end of the connection may have come.
    if (this.lost !== '') throw new Error(this.lost);
    // 3.1.1: no buffer may be made available, and no doorbell rung, before DRIVER_OK.
    this.running = true;
    rx.open();
    tx.kick();
  }

  /** Entries of a queue: what was asked for, or of the default as much as the device allows (2.7: a power of two). */
  private async queueSize(index: number, name: string): Promise<number> {
    const wanted = this.options.queueSize ?? this.rx.capacity;
    const most = await this.transport.maxQueueSize(index);
    if (most >= wanted) return wanted;
    if (most < 2) throw new Error(`${name}: the device has no such queue (it allows ${most} entries)`);
    if (this.options.queueSize === undefined) return 1 << (31 - Math.clz32(most));
    throw new Error(`${name}: ${wanted} entries asked for, the device allows ${most}: set a smaller queue size`);
  }

  rxBurst(handles: Uint32Array, lengths: Uint32Array, max: number): number {
    if (!this.running) return 0;
    const count = this.rx.burst(handles, lengths, max);
    if (this.rx.broken !== '') this.fail(this.rx.broken);
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (!this.running) return 0;
    const taken = this.tx.burst(handles, lengths, count);
    if (this.tx.broken !== '') this.fail(this.tx.broken);
    return taken;
  }

  reclaimTx(): void {
    if (!this.running) return;
    this.tx.reclaim();
    if (this.tx.broken !== '') this.fail(this.tx.broken);
  }

  enableRxInterrupt(): boolean {
    return this.running ? this.rx.enableInterrupts() : true;
  }

  disableRxInterrupt(): void {
    if (this.running) this.rx.disableInterrupts();
  }

  onInterrupt(queue: number): void {
    if (queue === RX) this.onWake?.();
  }

  onConfigChange(): void {
    this.followConfig().catch((error: Error) => this.fail(error.message));
  }

  private async followConfig(): Promise<void> {
    // 2.1.2: the device has met an error that only a reset ends.
    if (((await this.transport.getStatus()) & f.VIRTIO_STATUS_NEEDS_RESET) !== 0) {
      this.fail(`${this.name}: the device asks for a reset`);
      return;
    }
    const config = await NetConfigSpace.read(this.transport, this.features);
    if (config.announce && this.running) {
      // 5.1.6.5.4: send gratuitous packets, then say that it is done.
      this.onAnnounce?.();
      await this.control.acknowledgeAnnounce();
    }
    const before = this.linkUp;
    this.linkUp = config.linkUp;
    if (config.linkUp === before || !this.running) return;
    this.onLink?.(
      config.linkUp ? 'up' : 'down',
      `${this.name}: the device reports its link ${config.linkUp ? 'up' : 'down'}`,
    );
    this.onWake?.();
  }

  onLost(reason: string): void {
    // While the device starts, that fails, and says so to whoever started it.
    if (this.running) this.down(reason, this.transport.canReconnect);
    else this.lost = reason;
  }

  /** The device broke the protocol, or said it is broken: reset it and begin anew. */
  private fail(reason: string): void {
    if (!this.running) return;
    this.deviceErrors++;
    this.down(reason, true);
  }

  private down(reason: string, restart: boolean): void {
    this.running = false;
    // What was sent until now is not lost, and its buffers are of use meanwhile.
    if (this.tx.broken === '') this.tx.reclaim();
    if (restart) this.restarter.begin(reason);
    this.onLink?.('down', reason);
    this.onWake?.();
  }

  private async restart(): Promise<void> {
    await this.transport.close();
    if (!this.closing) await this.start();
  }

  private back(): void {
    this.reconnects++;
    // A link that is still down is told when it comes up.
    if (this.linkUp) this.onLink?.('up', `${this.name} is back`);
    this.onWake?.();
  }

  counters(): DeviceCounters {
    const { rx, tx } = this;
    return {
      rx_packets: rx.packets,
      rx_bytes: rx.bytes,
      rx_dropped_no_buffer: rx.droppedNoBuffer,
      rx_dropped_bad_length: rx.droppedBadLength,
      rx_dropped_too_long: rx.droppedTooLong,
      rx_lost_on_reset: rx.lostOnReset,
      rx_kicks: rx.kicks,
      tx_packets: tx.packets,
      tx_bytes: tx.bytes,
      tx_dropped_bad_length: tx.droppedBadLength,
      tx_lost_on_reset: tx.lostOnReset,
      tx_kicks: tx.kicks,
      device_errors: this.deviceErrors,
      reconnects: this.reconnects,
    };
  }

  close(): Promise<void> {
    this.closed ??= this.shutDown();
    return this.closed;
  }

  private async shutDown(): Promise<void> {
    this.closing = true;
    this.running = false;
    this.lost = `${this.name}: closed while it started`;
    this.restarter.stop();
    await this.transport.close();
    // A start that was under way fails for want of its transport; what it may have opened since is closed after it.
    await this.restarter.settled();
    await this.transport.close();
    this.memory.dispose();
  }
}
