/**
 * The virtio network device's driver (virtio 1.2, 3.1 and 5.1): negotiation by the book, one queue pair, and what happens
 * when the device goes away or breaks. Knows no transport and no queue's inside.
 */
import { BufferPool, frameCapacity } from '../../rings/buffer-pool.js';
import type { HugepagePolicy } from '../memory/index.js';
import { PacketMemory } from '../memory/index.js';
import type { DeviceCounters, NetDevice } from '../net-device.js';
import { allocateSplitQueue } from './driver-queue.js';
import { DriverRxQueue } from './driver-rx-queue.js';
import { DriverTxQueue } from './driver-tx-queue.js';
import * as f from './features.js';
import { bufferShift, FRAME_OVERHEAD, NetConfigSpace, randomMac } from './net-config.js';
import type { TransportEvents, VirtioTransport } from './transport.js';

export interface NetDeviceOptions {
  /** Six bytes. Without it the device's own address, or a random locally administered one. */
  mac?: Uint8Array | undefined;
  /** Largest IP packet, in bytes, 68 or more; at most the device's own limit. Default: 1500, or that limit if less. */
  mtu?: number | undefined;
  /** Packet buffers; default: both rings full, and as many again for the stack. */
  buffers?: number | undefined;
  /** Entries of each ring, a power of two; default 1024, less where the device allows less. */
  queueSize?: number | undefined;
  hugepages?: HugepagePolicy | undefined;
  /** Feature bits that are not to be negotiated although both sides could. */
  withoutFeatures?: bigint | undefined;
}

const RX = 0;
const TX = 1;
const DEFAULT_QUEUE_SIZE = 1024;
const DEFAULT_MTU = 1500;
const RECONNECT_FIRST_MS = 50;
const RECONNECT_MOST_MS = 1000;

export class VirtioNetDevice implements NetDevice, TransportEvents {
  readonly name: string;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
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
  /** The next attempt to come back, and the one that is under way. */
  private retry: NodeJS.Timeout | null = null;
  private restarting: Promise<void> = Promise.resolve();
  private closed: Promise<void> | null = null;
  /** The device status as written. */
  private status = 0;

  private constructor(
    private readonly transport: VirtioTransport,
    private readonly options: NetDeviceOptions,
    readonly memory: PacketMemory,
    readonly pool: BufferPool,
    readonly rx: DriverRxQueue,
    readonly tx: DriverTxQueue,
  ) {
    this.name = transport.name;
    this.mac = options.mac ?? randomMac();
    this.mtu = options.mtu ?? DEFAULT_MTU;
  }

  /** Opens the device and brings it up. Rejects with one clear line; nothing is left behind then. */
  static async open(transport: VirtioTransport, options: NetDeviceOptions = {}): Promise<VirtioNetDevice> {
    const queueSize = options.queueSize ?? DEFAULT_QUEUE_SIZE;
    const buffers = options.buffers ?? 4 * queueSize;
    if (buffers <= queueSize) {
      throw new Error(`${transport.name}: ${buffers} buffers cannot fill a receive ring of ${queueSize} and leave any`);
    }
    const shift = bufferShift(transport.name, options.mtu ?? DEFAULT_MTU);
    // Two rings of 26 bytes an entry, rounded up generously.
    const memory = PacketMemory.create((buffers << shift) + 64 * queueSize + 65536, options.hugepages);
    try {
      const rxLayout = allocateSplitQueue(memory, queueSize);
      const txLayout = allocateSplitQueue(memory, queueSize);
      const pool = new BufferPool({ count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) });
      const rx = new DriverRxQueue(`${transport.name} receive queue`, memory, rxLayout, pool);
      const tx = new DriverTxQueue(`${transport.name} transmit queue`, memory, txLayout, pool);
      const device = new VirtioNetDevice(transport, options, memory, pool, rx, tx);
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

  /** virtio 1.2, 3.1.1, steps 1 to 8. */
  private async start(): Promise<void> {
    const { transport } = this;
    this.lost = '';
    await transport.connect(this.memory, this);
    await transport.reset();
    this.status = 0;
    await this.addStatus(f.VIRTIO_STATUS_ACKNOWLEDGE);
    await this.addStatus(f.VIRTIO_STATUS_DRIVER);
    try {
      await this.negotiate();
      await this.readConfig();
      await this.setupQueues();
    } catch (error) {
      // 3.1.1: on an irrecoverable error the driver sets FAILED. The device may be gone; that changes nothing.
      await this.addStatus(f.VIRTIO_STATUS_FAILED).catch(() => {});
      throw error;
    }
  }

  /** Sets one more bit: the driver never clears one but by a reset (2.1.1). */
  private async addStatus(bit: number): Promise<void> {
    this.status |= bit;
    await this.transport.setStatus(this.status);
  }

  private async negotiate(): Promise<void> {
    const { transport } = this;
    const offered = await transport.getDeviceFeatures();
    if ((offered & f.VIRTIO_F_VERSION_1) === 0n) {
      throw new Error(
        `${this.name}: the device does not offer VIRTIO_F_VERSION_1 (it offers ${f.featureNames(offered)}); ` +
          'only virtio 1.0 and later devices are driven here',
      );
    }
    let wanted = f.VIRTIO_F_VERSION_1 | f.VIRTIO_F_EVENT_IDX | f.VIRTIO_NET_F_MRG_RXBUF;
    // 3.1.1 and 5.1.4: these are statements about the configuration space; where it cannot be read they are worthless.
    if (transport.hasConfig) wanted |= f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU;
    let features = offered & wanted & ~(this.options.withoutFeatures ?? 0n);
    // 5.1.4.2: who accepts MTU must be able to receive packets of that size; 3.1.1 allows to look before.
    const { mtu } = await NetConfigSpace.read(transport, features & f.VIRTIO_NET_F_MTU);
    if (mtu !== null && mtu + FRAME_OVERHEAD > frameCapacity(this.pool.geometry.shift)) features &= ~f.VIRTIO_NET_F_MTU;
    await transport.setDriverFeatures(features);
    await this.addStatus(f.VIRTIO_STATUS_FEATURES_OK);
    // 2.2.2: the device may refuse the subset, and says so by not keeping the bit.
    if (((await transport.getStatus()) & f.VIRTIO_STATUS_FEATURES_OK) === 0) {
      throw new Error(`${this.name}: the device refuses the features ${f.featureNames(features)}`);
    }
    this.features = features;
  }

  private async readConfig(): Promise<void> {
    const config = await NetConfigSpace.read(this.transport, this.features);
    if (config.mac && !this.options.mac) this.mac = config.mac;
    const limit = config.mtu ?? Number.POSITIVE_INFINITY;
    if (this.options.mtu !== undefined && this.options.mtu > limit) {
      throw new Error(`${this.name}: MTU ${this.options.mtu} asked for, the device allows ${limit}`);
    }
    this.linkUp = config.linkUp;
    this.mtu = Math.min(this.options.mtu ?? DEFAULT_MTU, limit);
  }

  private async setupQueues(): Promise<void> {
    const { transport, rx, tx } = this;
    rx.resize(await this.queueSize(RX, rx.name));
    tx.resize(await this.queueSize(TX, tx.name));
    const space = transport.addressSpace();
    const eventIdx = (this.features & f.VIRTIO_F_EVENT_IDX) !== 0n;
    tx.start(space, eventIdx, this.mtu + FRAME_OVERHEAD);
    if (!rx.start(space, eventIdx, (this.features & f.VIRTIO_NET_F_MRG_RXBUF) !== 0n)) {
      throw new Error(`${this.name}: the stack holds so many buffers that the receive ring cannot be filled`);
    }
    rx.attach(await transport.setupQueue(RX, rx.layout));
    tx.attach(await transport.setupQueue(TX, tx.layout));
    await this.addStatus(f.VIRTIO_STATUS_DRIVER_OK);
    // With the answer to the last message the end of the connection may have come.
    if (this.lost !== '') throw new Error(this.lost);
    // 3.1.1: no buffer may be made available, and no doorbell rung, before DRIVER_OK.
    this.running = true;
    rx.open();
    tx.kick();
  }

  /** Entries of a queue: what was asked for, or of the default as much as the device allows (2.7: a power of two). */
  private async queueSize(index: number, name: string): Promise<number> {
    const wanted = this.options.queueSize ?? DEFAULT_QUEUE_SIZE;
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
    if (restart) this.restartAfter(RECONNECT_FIRST_MS, reason);
    this.onLink?.('down', reason);
    this.onWake?.();
  }

  private restartAfter(delay: number, lastReason: string): void {
    this.retry = setTimeout(() => {
      this.restarting = this.restart(delay, lastReason);
    }, delay);
  }

  private async restart(delay: number, lastReason: string): Promise<void> {
    let failure: string | null = null;
    try {
      await this.transport.close();
      if (this.closing) return;
      await this.start();
    } catch (error) {
      failure = (error as Error).message;
    }
    if (this.closing) return;
    if (failure !== null) {
      this.restartAfter(Math.min(delay * 2, RECONNECT_MOST_MS), failure);
      // A new reason is news; the same one again is not.
      if (failure !== lastReason) this.onLink?.('down', failure);
      return;
    }
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
    if (this.retry !== null) clearTimeout(this.retry);
    await this.transport.close();
    // A start that was under way fails for want of its transport; what it may have opened since is closed after it.
    await this.restarting.catch(() => {});
    await this.transport.close();
    this.memory.dispose();
  }
}
