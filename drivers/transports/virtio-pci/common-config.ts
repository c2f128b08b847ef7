/**
 * The common configuration structure of a virtio PCI device (virtio 1.2, 4.1.4.3): its registers as properties.
 *
 * 4.1.3.1: each field is accessed by its own width, 64-bit fields as two halves. Therefore every access here is one
 * plain load or store of a typed array of that width. A DataView may access single bytes, and Atomics may lock the bus
 * for a register.
 */
import type { MemoryViews } from '../../memory/index.js';

const DEVICE_FEATURE_SELECT = 0;
const DEVICE_FEATURE = 4;
const DRIVER_FEATURE_SELECT = 8;
const DRIVER_FEATURE = 12;
const CONFIG_MSIX_VECTOR = 16;
const NUM_QUEUES = 18;
const DEVICE_STATUS = 20;
const CONFIG_GENERATION = 21;
const QUEUE_SELECT = 22;
const QUEUE_SIZE = 24;
const QUEUE_MSIX_VECTOR = 26;
const QUEUE_ENABLE = 28;
const QUEUE_NOTIFY_OFF = 30;
const QUEUE_DESC = 32;
const QUEUE_DRIVER = 40;
const QUEUE_DEVICE = 48;
/** Up to the end of queue_device, which every version of the structure has. */
export const COMMON_CONFIG_BYTES = 56;

/** No vector is mapped (4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

const WORD = 0x1_0000_0000;

export class CommonConfig {
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;

  /** @param at where the structure begins in the BAR, a multiple of 4 */
  constructor(
    bar: MemoryViews,
    private readonly at: number,
  ) {
    this.u8 = bar.u8;
    this.u16 = bar.u16;
    this.u32 = bar.u32;
  }

  get status(): number {
    return this.u8[this.at + DEVICE_STATUS];
  }

  set status(value: number) {
    this.u8[this.at + DEVICE_STATUS] = value;
  }

  get generation(): number {
    return this.u8[this.at + CONFIG_GENERATION];
  }

  get numQueues(): number {
    return this.read16(NUM_QUEUES);
  }

  /** Reads the features, 32 bits at a time through the select register. A network device needs none from bit 64 on. */
  readDeviceFeatures(): bigint {
    let features = 0n;
    for (let word = 0; word < 2; word++) {
      this.write32(DEVICE_FEATURE_SELECT, word);
      features |= BigInt(this.read32(DEVICE_FEATURE)) << BigInt(32 * word);
    }
    return features;
  }

  writeDriverFeatures(features: bigint): void {
    for (let word = 0; word < 2; word++) {
      this.write32(DRIVER_FEATURE_SELECT, word);
      this.write32(DRIVER_FEATURE, Number((features >> BigInt(32 * word)) & 0xffff_ffffn));
    }
  }

  /** Maps configuration changes to a vector. False when the device has no resources for it (4.1.5.1.2.1: read back). */
  mapConfigVector(vector: number): boolean {
    this.write16(CONFIG_MSIX_VECTOR, vector);
    return this.read16(CONFIG_MSIX_VECTOR) === vector;
  }

  /** Selects the queue that the following registers are about. */
  selectQueue(queue: number): void {
    this.write16(QUEUE_SELECT, queue);
  }

  get queueSize(): number {
    return this.read16(QUEUE_SIZE);
  }

  set queueSize(entries: number) {
    this.write16(QUEUE_SIZE, entries);
  }

  get queueNotifyOff(): number {
    return this.read16(QUEUE_NOTIFY_OFF);
  }

  get queueEnabled(): boolean {
    return this.read16(QUEUE_ENABLE) !== 0;
  }

  /** 4.1.4.3.2: the driver never writes a 0 here. */
  enableQueue(): void {
    this.write16(QUEUE_ENABLE, 1);
  }

  /** As {@link mapConfigVector}, for the selected queue. */
  mapQueueVector(vector: number): boolean {
    this.write16(QUEUE_MSIX_VECTOR, vector);
    return this.read16(QUEUE_MSIX_VECTOR) === vector;
  }

  setQueueAddresses(descriptors: number, driver: number, device: number): void {
    this.write64(QUEUE_DESC, descriptors);
    this.write64(QUEUE_DRIVER, driver);
    this.write64(QUEUE_DEVICE, device);
  }

  private read16(field: number): number {
    return this.u16[(this.at + field) >>> 1];
  }

  private write16(field: number, value: number): void {
    this.u16[(this.at + field) >>> 1] = value;
  }

  private read32(field: number): number {
    return this.u32[(this.at + field) >>> 2];
  }

  private write32(field: number, value: number): void {
    this.u32[(this.at + field) >>> 2] = value;
  }

  private write64(field: number, value: number): void {
    this.write32(field, value % WORD);
    this.write32(field + 4, Math.floor(value / WORD));
  }
}
