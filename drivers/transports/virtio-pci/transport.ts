/**
 * A virtio device on PCI, through its modern interface (virtio 1.2, 4.1): registers in BARs, doorbells, MSI-X.
 *
 * How the device addresses memory: with ACCESS_PLATFORM it goes through the IOMMU, if there is one, as any device of
 * the platform does. Without ACCESS_PLATFORM it bypasses the IOMMU (6.1) and uses guest-physical addresses.
 */
import {
  type AddressSpace,
  contiguousIova,
  LinearAddressSpace,
  type MemoryViews,
  type PacketMemory,
  PagedAddressSpace,
} from '../../memory/index.js';
import { setBusMaster } from '../../pci/config-space.js';
import type { PciFunction } from '../../pci/pci-function.js';
import { DataRegisterDoorbell, RegisterDoorbell } from '../../virtio/driver/device-doorbell.js';
import * as f from '../../virtio/features.js';
import { availBytes, descTableBytes, usedBytes } from '../../virtio/layout/split.js';
import type { Doorbell, QueueLayout, TransportEvents, VirtioTransport } from '../../virtio/transport.js';
import { type VirtioPciLayout, virtioPciLayout } from './capabilities.js';
import { CommonConfig, NO_VECTOR } from './common-config.js';
import { MsixVectors } from './interrupts.js';

const CONFIG_VECTOR = 0;
const QUEUE_VECTOR = 1;
/** How long a device may take to reset, in ms. Hardware devices are slow; the specification names no time. */
const RESET_MS = 2000;
/** How often, in ms, the configuration is checked when the device cannot interrupt for a change. */
const WATCH_MS = 500;
/** A configuration that changes during this many reads in a row cannot be read. */
const MAX_CONFIG_READS = 64;

/** What exists from connect() to close(). */
interface Connection {
  readonly pci: PciFunction;
  readonly events: TransportEvents;
  readonly memory: PacketMemory;
  /** Address of the memory behind the IOMMU; null without an IOMMU. */
  readonly iova: number | null;
  readonly layout: VirtioPciLayout;
  readonly common: CommonConfig;
  readonly notify: MemoryViews;
  readonly device: MemoryViews | null;
  readonly vectors: MsixVectors;
}

export class VirtioPciTransport implements VirtioTransport {
  /** A function that was reset is as good as new. */
  readonly canReconnect = true;
  readonly hasControlQueue = true;
  readonly transportFeatures = f.VIRTIO_F_ACCESS_PLATFORM | f.VIRTIO_F_ORDER_PLATFORM | f.VIRTIO_F_NOTIFICATION_DATA;
  /** Whether interrupts of a queue arrive. */
  private queueInterrupts = false;
  private connection: Connection | null = null;
  private features = 0n;
  private space: AddressSpace | null = null;
  private watch: NodeJS.Timeout | null = null;
  private keepsAlive = true;

  /**
   * @param name the device as the user named it
   * @param openFunction opens the PCI function; called at every connect()
   */
  constructor(
    readonly name: string,
    private readonly openFunction: () => PciFunction,
  ) {}

  get hasConfig(): boolean {
    return this.connection?.device != null;
  }

  get pollOnly(): boolean {
    return !this.queueInterrupts;
  }

  private get open(): Connection {
    if (this.connection === null) throw new Error(`${this.name}: not connected`);
    return this.connection;
  }

  async connect(memory: PacketMemory, events: TransportEvents): Promise<void> {
    const pci = this.openFunction();
    try {
      const layout = virtioPciLayout(pci.config.read(), this.name, (...region) => pci.canMap(...region));
      const iova = pci.mapMemory(memory);
      this.connection = {
        pci,
        events,
        memory,
        iova,
        layout,
        common: new CommonConfig(pci.mapBar(layout.common.bar), layout.common.offset),
        notify: pci.mapBar(layout.notify.bar),
        device: layout.device === null ? null : pci.mapBar(layout.device.bar),
        vectors: new MsixVectors(pci),
      };
      this.connection.vectors.keepAlive(this.keepsAlive);
    } catch (error) {
      pci.close();
      throw error;
    }
  }

  /** Resets the device and prepares it for set-up. Only now it may use the bus, because nothing from before is left. */
  async reset(): Promise<void> {
    const { pci, common, vectors, events } = this.open;
    await this.resetDevice();
    this.features = 0n;
    this.space = null;
    this.queueInterrupts = false;
    setBusMaster(pci.config, true);
    // If there is only one vector, the receive queue needs it more.
    const mapped = vectors.count > 1 && common.mapConfigVector(CONFIG_VECTOR);
    if (mapped) vectors.handle(CONFIG_VECTOR, () => events.onConfigChange());
    else this.watchConfig();
  }

  /** 4.1.4.3.2: after writing 0 the driver must wait until the status reads 0. */
  private async resetDevice(): Promise<void> {
    const { pci, common } = this.open;
    this.stopWatch();
    common.status = 0;
    if (await this.readsZero()) return;
    if (!pci.canReset) throw new Error(`${this.name}: the device does not reset (status ${common.status})`);
    // The device is stuck: resetting the whole function is the next stronger means.
    pci.reset();
    if (!(await this.readsZero())) {
      throw new Error(`${this.name}: the device does not reset, nor does its function (status ${common.status})`);
    }
  }

  private async readsZero(): Promise<boolean> {
    const until = performance.now() + RESET_MS;
    while (this.open.common.status !== 0) {
      if (performance.now() >= until) return false;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return true;
  }

  /** Without a vector for configuration changes, the configuration is checked regularly. */
  private watchConfig(): void {
    const { common, events } = this.open;
    let generation = common.generation;
    let needsReset = false;
    this.watch = setInterval(() => {
      const now = common.generation;
      const needs = (common.status & f.VIRTIO_STATUS_NEEDS_RESET) !== 0;
      if (now === generation && needs === needsReset) return;
      generation = now;
      needsReset = needs;
      events.onConfigChange();
    }, WATCH_MS).unref();
  }

  private stopWatch(): void {
    if (this.watch !== null) clearInterval(this.watch);
    this.watch = null;
  }

  async getStatus(): Promise<number> {
    return this.open.common.status;
  }

  async setStatus(status: number): Promise<void> {
    this.open.common.status = status;
  }

  async getDeviceFeatures(): Promise<bigint> {
    return this.open.common.readDeviceFeatures();
  }

  async setDriverFeatures(features: bigint): Promise<void> {
    this.open.common.writeDriverFeatures(features);
    this.features = features;
  }

  addressSpace(): AddressSpace {
    const { memory, iova } = this.open;
    if (this.space === null) {
      const translated = iova !== null && (this.features & f.VIRTIO_F_ACCESS_PLATFORM) !== 0n;
      this.space = translated ? new LinearAddressSpace(iova) : PagedAddressSpace.of(memory, this.name);
    }
    return this.space;
  }

  async readConfig(offset: number, length: number): Promise<Uint8Array> {
    const { common, device, layout } = this.open;
    if (device === null || layout.device === null || offset + length > layout.device.length) {
      throw new Error(`${this.name}: the device's configuration has no ${length} bytes at ${offset}`);
    }
    // 2.5.1 and 4.1.4.3.1: values of several loads belong together when the generation is the same before and after.
    for (let tries = 0; tries < MAX_CONFIG_READS; tries++) {
      const before = common.generation;
      const bytes = readField(device, layout.device.offset + offset, length);
      if (common.generation === before) return bytes;
    }
    throw new Error(`${this.name}: the device changes its configuration without end`);
  }

  async maxQueueSize(queue: number): Promise<number> {
    const { common } = this.open;
    if (queue >= common.numQueues) return 0;
    common.selectQueue(queue);
    return common.queueSize;
  }

  async setupQueue(queue: number, layout: QueueLayout, wantsInterrupts: boolean): Promise<Doorbell> {
    const { common, vectors, events } = this.open;
    const space = this.addressSpace();
    const descriptors = contiguousIova(space, layout.descriptors, descTableBytes(layout.size));
    const driver = contiguousIova(space, layout.driver, availBytes(layout.size));
    const device = contiguousIova(space, layout.device, usedBytes(layout.size));
    common.selectQueue(queue);
    // 4.1.5.1.3: a queue that is enabled before it was set up belongs to another driver, or the reset did not work.
    if (common.queueEnabled) throw new Error(`${this.name}: queue ${queue} is enabled right after a reset`);
    common.queueSize = layout.size;
    common.setQueueAddresses(descriptors, driver, device);
    const vector = wantsInterrupts && vectors.count > 0 ? Math.min(QUEUE_VECTOR, vectors.count - 1) : NO_VECTOR;
    const mapped = common.mapQueueVector(vector);
    if (vector !== NO_VECTOR && mapped) {
      vectors.handle(vector, () => events.onInterrupt(queue));
      this.queueInterrupts = true;
    }
    const doorbell = this.doorbell(queue, common.queueNotifyOff);
    common.enableQueue();
    return doorbell;
  }

  /** 4.1.4.4: the queue's notification address is offset + queue_notify_off * multiplier. */
  private doorbell(queue: number, notifyOff: number): Doorbell {
    const { layout, notify } = this.open;
    const within = notifyOff * layout.notifyMultiplier;
    const hasData = (this.features & f.VIRTIO_F_NOTIFICATION_DATA) !== 0n;
    const bytes = hasData ? 4 : 2;
    if (within + bytes > layout.notify.length) {
      throw new Error(`${this.name}: queue ${queue} is notified at ${within}, outside ${layout.notify.length} bytes`);
    }
    const at = layout.notify.offset + within;
    if (!hasData) return new RegisterDoorbell(notify.u16, at >>> 1, queue);
    // 4.1.4.4.1: with NOTIFICATION_DATA the addresses are multiples of 4.
    if (at % 4 !== 0) {
      throw new Error(
        `${this.name}: the device offers NOTIFICATION_DATA, but queue ${queue} is notified at ${at}, no multiple of 4`,
      );
    }
    return new DataRegisterDoorbell(notify.u32, at >>> 2, queue);
  }

  keepAlive(on: boolean): void {
    this.keepsAlive = on;
    this.connection?.vectors.keepAlive(on);
  }

  async close(): Promise<void> {
    const { connection } = this;
    if (connection === null) return;
    try {
      await this.resetDevice();
    } catch {
      // Without the bus the device can do no harm, and closing the function resets it, too.
    }
    // Another call has closed it meanwhile.
    if (this.connection !== connection) return;
    this.connection = null;
    this.queueInterrupts = false;
    const { pci, vectors } = connection;
    try {
      setBusMaster(pci.config, false);
    } catch {
      // The function is gone.
    }
    vectors.close();
    pci.close();
  }
}

/** 4.1.3.1: a field is read by its own width, and an array of bytes byte by byte. */
function readField(bar: MemoryViews, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length === 2 || length === 4) {
    const value = length === 2 ? bar.u16[at >>> 1] : bar.u32[at >>> 2];
    for (let i = 0; i < length; i++) bytes[i] = value >>> (8 * i);
  } else {
    for (let i = 0; i < length; i++) bytes[i] = bar.u8[at + i];
  }
  return bytes;
}
