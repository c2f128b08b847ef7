/**
 * A VirtioTransport without a device behind it: the test plays the device. Records the calls, and notes every driver
 * MUST of the initialisation that it sees broken (virtio 1.2, 2.1 to 3.1), as {@link SplitDeviceModel} does for the queues.
 */
import { type AddressSpace, LinearAddressSpace, type PacketMemory } from '../../../drivers/memory/index.js';
import * as f from '../../../drivers/virtio/features.js';
import type { Doorbell, QueueLayout, TransportEvents, VirtioTransport } from '../../../drivers/virtio/transport.js';
import { type DeviceModel, MODEL_IOVA_BASE } from './device-model.js';
import { PackedDeviceModel } from './packed-device-model.js';
import { SplitDeviceModel } from './split-device-model.js';

export const RX = 0;
export const TX = 1;

/** 5.1.3.1 and 6: a feature, and the features without one of which it may not be accepted. */
const REQUIRES: readonly (readonly [bigint, bigint])[] = [
  [f.VIRTIO_NET_F_GUEST_TSO4, f.VIRTIO_NET_F_GUEST_CSUM],
  [f.VIRTIO_NET_F_GUEST_TSO6, f.VIRTIO_NET_F_GUEST_CSUM],
  [f.VIRTIO_NET_F_HOST_TSO4, f.VIRTIO_NET_F_CSUM],
  [f.VIRTIO_NET_F_HOST_TSO6, f.VIRTIO_NET_F_CSUM],
  [f.VIRTIO_NET_F_GUEST_ECN, f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6],
  [f.VIRTIO_NET_F_HOST_ECN, f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6],
  [f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, f.VIRTIO_NET_F_CTRL_VQ],
  [f.VIRTIO_NET_F_CTRL_RX, f.VIRTIO_NET_F_CTRL_VQ],
  [f.VIRTIO_NET_F_GUEST_ANNOUNCE, f.VIRTIO_NET_F_CTRL_VQ],
  [f.VIRTIO_NET_F_MQ, f.VIRTIO_NET_F_CTRL_VQ],
  [f.VIRTIO_NET_F_CTRL_MAC_ADDR, f.VIRTIO_NET_F_CTRL_VQ],
  [f.VIRTIO_NET_F_RSS, f.VIRTIO_NET_F_CTRL_VQ],
];

/** 5.1.4: the fields of the configuration space, and the feature that each needs. */
const FIELDS: readonly (readonly [number, number, bigint])[] = [
  [0, 6, f.VIRTIO_NET_F_MAC],
  [6, 8, f.VIRTIO_NET_F_STATUS],
  [8, 10, f.VIRTIO_NET_F_MQ | f.VIRTIO_NET_F_RSS],
  [10, 12, f.VIRTIO_NET_F_MTU],
  [12, 17, f.VIRTIO_NET_F_SPEED_DUPLEX],
];

/** The least that a device of this driver's kind offers. */
export const BASIC = f.VIRTIO_F_VERSION_1;
export const WITH_CONFIG = BASIC | f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU;

/** Calls whose result a test can decide. */
export type Step =
  | 'connect'
  | 'reset'
  | 'getStatus'
  | 'setStatus'
  | 'getDeviceFeatures'
  | 'setDriverFeatures'
  | 'readConfig'
  | 'maxQueueSize'
  | 'setupQueue'
  | 'close';

export class FakeTransport implements VirtioTransport {
  readonly name = 'mock';
  canReconnect = true;
  hasConfig = true;
  hasControlQueue = false;
  pollOnly = false;
  transportFeatures = 0n;
  /** What the device offers, and which accepted features make it refuse FEATURES_OK. */
  offered = BASIC;
  refused = 0n;
  accepted: bigint | null = null;
  status = 0;
  /** mac, status (link up), max_virtqueue_pairs, mtu 1500, speed 10000, duplex full. */
  readonly config = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 0x05, 0x10, 0x27, 0, 0, 1);
  queueLimits = [32768, 32768];
  /** Runs before each call; may throw, or return a promise that the call waits for. */
  before: (step: Step) => void | Promise<void> = () => {};
  /** `status 3`, `features …`, `queue 0` and so on, in order; doorbells as `kick 0`. */
  readonly calls: string[] = [];
  /** Doorbells as other threads ring them: a thread stores the index of a queue plus one at that index. */
  readonly notifyRegisters = new Uint16Array(new SharedArrayBuffer(8));
  /** The same with NOTIFICATION_DATA: the index of the queue, and in the upper half where the driver goes on. */
  readonly notifyWords = new Uint32Array(new SharedArrayBuffer(16));
  readonly violations: string[] = [];
  rings: DeviceModel[] = [];
  connected = false;
  memory: PacketMemory | null = null;
  private events: TransportEvents | null = null;
  private initialised = false;

  /** The device's side of a queue, in either layout. */
  ring(queue: number): DeviceModel {
    return this.rings[queue] as DeviceModel;
  }

  /** The receive queue of a device with split rings. */
  get rx(): SplitDeviceModel {
    return this.rings[RX] as SplitDeviceModel;
  }

  get tx(): SplitDeviceModel {
    return this.rings[TX] as SplitDeviceModel;
  }

  /** The same for a device with packed rings. */
  get packedRx(): PackedDeviceModel {
    return this.rings[RX] as PackedDeviceModel;
  }

  get packedTx(): PackedDeviceModel {
    return this.rings[TX] as PackedDeviceModel;
  }

  private demand(condition: boolean, clause: string): void {
    if (!condition) this.violations.push(clause);
  }

  private async enter(step: Step, call: string): Promise<void> {
    this.calls.push(call);
    await this.before(step);
    if (step !== 'connect' && !this.connected) throw new Error(`${this.name}: not connected`);
  }

  async connect(memory: PacketMemory, events: TransportEvents): Promise<void> {
    this.demand(!this.connected, 'transport: connected twice without a close');
    await this.enter('connect', 'connect');
    this.connected = true;
    this.memory = memory;
    this.events = events;
  }

  addressSpace(): AddressSpace {
    this.demand(this.accepted !== null, 'transport: the address space is known after the features only');
    return new LinearAddressSpace(MODEL_IOVA_BASE);
  }

  async reset(): Promise<void> {
    await this.enter('reset', 'reset');
    this.status = 0;
    this.accepted = null;
    this.rings = [];
    this.initialised = true;
  }

  async getStatus(): Promise<number> {
    await this.enter('getStatus', 'get status');
    return this.status;
  }

  async setStatus(status: number): Promise<void> {
    await this.enter('setStatus', `status ${status}`);
    this.demand(this.initialised, '3.1.1: the device status is written before the device was reset');
    // NEEDS_RESET is a bit of the device's own.
    const cleared = this.status & ~status & ~f.VIRTIO_STATUS_NEEDS_RESET;
    this.demand(cleared === 0, `2.1.1: status bits ${cleared} are cleared (${this.status} became ${status})`);
    const failed = (this.status & f.VIRTIO_STATUS_FAILED) !== 0;
    this.demand(!failed, '2.1.1: initialisation goes on after FAILED without a reset');
    const refuses = ((this.accepted ?? 0n) & this.refused) !== 0n || this.accepted === null;
    this.status = refuses ? status & ~f.VIRTIO_STATUS_FEATURES_OK : status;
  }

  async getDeviceFeatures(): Promise<bigint> {
    await this.enter('getDeviceFeatures', 'get features');
    this.demand((this.status & 3) === 3, '3.1.1: the features are read before ACKNOWLEDGE and DRIVER are set');
    return this.offered;
  }

  async setDriverFeatures(features: bigint): Promise<void> {
    await this.enter('setDriverFeatures', `features ${f.featureNames(features)}`);
    this.demand((this.status & f.VIRTIO_STATUS_FEATURES_OK) === 0, '3.1.1: features are accepted after FEATURES_OK');
    const extra = f.featureNames(features & ~this.offered);
    this.demand(extra === 'none', `2.2.1: accepted, but not offered: ${extra}`);
    for (const [feature, needed] of REQUIRES) {
      const alone = (features & feature) !== 0n && (features & needed) === 0n;
      this.demand(!alone, `2.2.1: ${f.featureNames(feature)} without ${f.featureNames(needed)}`);
    }
    this.accepted = features;
  }

  async readConfig(offset: number, length: number): Promise<Uint8Array> {
    await this.enter('readConfig', `config ${offset}+${length}`);
    this.demand(this.hasConfig, 'transport: the configuration is read where there is none');
    for (const [from, to, feature] of FIELDS) {
      if (offset >= to || offset + length <= from) continue;
      this.demand((this.offered & feature) !== 0n, `2.5.1: the field at ${from} is read, its feature is not offered`);
    }
    return this.config.slice(offset, offset + length);
  }

  async maxQueueSize(queue: number): Promise<number> {
    await this.enter('maxQueueSize', `limit ${queue}`);
    return this.queueLimits[queue] ?? 0;
  }

  async setupQueue(queue: number, layout: QueueLayout): Promise<Doorbell> {
    await this.enter('setupQueue', `queue ${queue}`);
    this.demand((this.status & f.VIRTIO_STATUS_FEATURES_OK) !== 0, '3.1.1: a queue is set up before FEATURES_OK');
    this.demand((this.status & f.VIRTIO_STATUS_DRIVER_OK) === 0, '3.1.1: a queue is set up after DRIVER_OK');
    const limit = this.queueLimits[queue] ?? 0;
    this.demand(layout.size <= limit, `2.7: queue ${queue} of ${layout.size}, the device allows ${limit}`);
    const eventIdx = ((this.accepted ?? 0n) & f.VIRTIO_F_EVENT_IDX) !== 0n;
    const direction = queue === RX ? 'receive' : 'transmit';
    const Ring = ((this.accepted ?? 0n) & f.VIRTIO_F_RING_PACKED) !== 0n ? PackedDeviceModel : SplitDeviceModel;
    const ring = new Ring(this.memory as PacketMemory, layout, direction, eventIdx, this.violations);
    this.rings[queue] = ring;
    const hasData = ((this.accepted ?? 0n) & f.VIRTIO_F_NOTIFICATION_DATA) !== 0n;
    return {
      ring: (next) => {
        this.calls.push(`kick ${queue}`);
        const rightNext = !hasData || next === ring.nextPlace();
        this.demand(rightNext, `2.9: the driver goes on at ${ring.nextPlace()}, and says ${next}`);
        const live = this.connected && (this.status & f.VIRTIO_STATUS_DRIVER_OK) !== 0 && this.rings[queue] === ring;
        this.demand(live, '3.1.1: the device is notified before DRIVER_OK');
        ring.notify();
      },
      share: () =>
        hasData
          ? { kind: 'data-register', u32: this.notifyWords, register: queue, value: queue }
          : { kind: 'register', u16: this.notifyRegisters, register: queue, value: queue + 1 },
    };
  }

  async close(): Promise<void> {
    this.calls.push('close');
    await this.before('close');
    this.connected = false;
    this.initialised = false;
    this.status = 0;
    this.rings = [];
  }

  /** The backend hangs up. */
  lose(reason = 'mock: the backend hung up'): void {
    this.connected = false;
    this.events?.onLost(reason);
  }

  /** 2.1.2: an error that only a reset ends; the device reports it by a configuration change. */
  needReset(): void {
    this.status |= f.VIRTIO_STATUS_NEEDS_RESET;
    this.events?.onConfigChange();
  }

  setLink(up: boolean): void {
    this.config[6] = up ? 1 : 0;
    this.events?.onConfigChange();
  }

  setMtu(mtu: number): void {
    this.config[10] = mtu & 0xff;
    this.config[11] = mtu >> 8;
  }

  interrupt(queue: number): void {
    this.events?.onInterrupt(queue);
  }
}
