/**
 * A virtio network device on PCI, as registers that answer: a PciFunction whose BARs are typed arrays with the device
 * behind them. Notes every driver MUST of virtio 1.2, 4.1 that it sees broken, with its clause; {@link SplitDeviceModel}
 * checks the rings. Registers are modelled only by their offsets: nothing is shared with the driver.
 */
import { signalEventfd } from '../../../drivers/libc/index.js';
import type { MemoryViews, PacketMemory } from '../../../drivers/memory/index.js';
import type { ConfigSpace } from '../../../drivers/pci/config-space.js';
import type { PciFunction } from '../../../drivers/pci/pci-function.js';
import { type DeviceModel, MODEL_IOVA_BASE } from '../virtio/device-model.js';
import { PackedDeviceModel } from '../virtio/packed-device-model.js';
import { SplitDeviceModel } from '../virtio/split-device-model.js';
import { type Capability, modernCapabilities, NOTIFY_MULTIPLIER, Piece, pciConfig } from './virtio-pci-config.js';

const NO_VECTOR = 0xffff;
const DRIVER_OK = 4;
const FEATURES_OK = 8;
const NEEDS_RESET = 64;
const NOTIFICATION_DATA = 1n << 38n;

/** Registers of the common configuration: offset -> width in bytes (4.1.4.3). */
const WIDTHS: Readonly<Record<number, number>> = {
  ...{ 0: 4, 4: 4, 8: 4, 12: 4, 16: 2, 18: 2, 20: 1, 21: 1, 22: 2, 24: 2, 26: 2, 28: 2, 30: 2 },
  ...{ 32: 4, 36: 4, 40: 4, 44: 4, 48: 4, 52: 4 },
};
const READ_ONLY = new Set([4, 18, 21, 30]);

interface Queue {
  size: number;
  vector: number;
  enabled: boolean;
  notifyOff: number;
  /** Descriptor, driver and device area, in halves. */
  readonly address: number[];
  ring: DeviceModel | null;
}

export class VirtioPciModel implements PciFunction {
  readonly name = '0000:00:10.0';
  readonly violations: string[] = [];
  interruptVectors = 3;
  canReset = false;
  /** Where the model's BAR ends; null: it cannot be mapped. */
  barBytes: number | null = 0x4000;
  offered = 0n;
  accepted = 0n;
  status = 0;
  generation = 0;
  /** mac, status (link up), max_virtqueue_pairs, mtu 1500, speed 10000, duplex full. */
  readonly netConfig = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 0x05, 0x10, 0x27, 0, 0, 1);
  queueLimits = [256, 256, 64];
  queues: Queue[] = [];
  /** The address of the memory behind the IOMMU; null: there is no IOMMU. */
  iova: number | null = MODEL_IOVA_BASE;
  /** Reads of the status after a reset until it reads 0; Infinity: it never does. */
  resetReads = 0;
  /** Vectors that the device has room for. */
  roomForVectors = Number.POSITIVE_INFINITY;
  /** Runs before each read of the device configuration. */
  beforeConfigRead: () => void = () => {};
  /** Answers a command of the control queue with an ack byte, or null for none. */
  onCommand: (command: Uint8Array) => number | null = () => 0;
  readonly commands: number[][] = [];
  readonly log: string[] = [];
  /** Where the driver said in each notification that it goes on; 0 without NOTIFICATION_DATA. */
  readonly nextPlaces: number[] = [];
  configVector = NO_VECTOR;
  closed = false;

  private readonly bytes: Uint8Array;
  private fds: readonly number[] = [];
  private memory: PacketMemory | null = null;
  private deviceSelect = 0;
  private driverSelect = 0;
  private queueSelect = 0;
  private zeroAfter = 0;

  constructor(capabilities: readonly Capability[] = modernCapabilities(), deviceId = 0x1041) {
    this.bytes = pciConfig(capabilities, deviceId);
  }

  private demand(condition: boolean, clause: string): void {
    if (!condition) this.violations.push(clause);
  }

  readonly config: ConfigSpace = {
    read: () => this.bytes.slice(),
    write16: (offset, value) => {
      this.log.push(`config ${offset.toString(16)} = ${value}`);
      this.bytes[offset] = value & 0xff;
      this.bytes[offset + 1] = value >> 8;
    },
  };

  get isBusMaster(): boolean {
    return (this.bytes[4]! & 4) !== 0;
  }

  canMap(bar: number, offset: number, length: number): boolean {
    return bar === 4 && this.barBytes !== null && offset + length <= this.barBytes;
  }

  mapBar(bar: number): MemoryViews {
    if (bar !== 4) throw new Error(`the model has no BAR ${bar}`);
    return {
      u8: this.registers(1, new Uint8Array(0)),
      u16: this.registers(2, new Uint16Array(0)),
      u32: this.registers(4, new Uint32Array(0)),
    };
  }

  /** A typed array whose elements are registers: each load and store of an element is an access of that width. */
  private registers<T extends Uint8Array | Uint16Array | Uint32Array>(width: number, like: T): T {
    return new Proxy(like, {
      get: (_, key) => this.read(Number(key) * width, width),
      set: (_, key, value) => {
        this.write(Number(key) * width, width, value as number);
        return true;
      },
    });
  }

  setInterrupts(eventfds: readonly number[]): void {
    this.fds = [...eventfds];
  }

  mapMemory(memory: PacketMemory): number | null {
    this.memory = memory;
    return this.iova;
  }

  reset(): void {
    this.log.push('function reset');
    this.resetReads = 0;
    this.toReset();
  }

  close(): void {
    this.closed = true;
    this.demand(this.status === 0 || this.resetReads > 0, '3.3.1: the device runs on when its driver leaves');
  }

  private toReset(): void {
    this.status = 0;
    this.accepted = 0n;
    this.configVector = NO_VECTOR;
    this.zeroAfter = this.resetReads;
    this.queues = this.queueLimits.map((size, index) => ({
      size,
      vector: NO_VECTOR,
      enabled: false,
      notifyOff: index,
      address: [0, 0, 0, 0, 0, 0],
      ring: null,
    }));
  }

  private get queue(): Queue | undefined {
    return this.queues[this.queueSelect];
  }

  private read(at: number, width: number): number {
    if (at >= Piece.device && at < Piece.notify) return this.readNetConfig(at - Piece.device, width);
    this.demand(WIDTHS[at] === width, `4.1.3.1: ${width} bytes are read at ${at}`);
    const { queue } = this;
    switch (at) {
      case 4:
        return Number((this.offered >> BigInt(32 * this.deviceSelect)) & 0xffff_ffffn);
      case 16:
        return this.configVector;
      case 18:
        return this.queueLimits.length;
      case 20:
        if (this.zeroAfter-- > 0) return 0x0f;
        return this.status;
      case 21:
        return this.generation;
      case 24:
        return queue?.size ?? 0;
      case 26:
        return queue?.vector ?? NO_VECTOR;
      case 28:
        return queue?.enabled ? 1 : 0;
      case 30:
        return queue?.notifyOff ?? 0;
      default:
        return 0;
    }
  }

  private readNetConfig(at: number, width: number): number {
    this.beforeConfigRead();
    // 4.1.3.1: accesses have the width of the field. Address and duplex are bytes, the speed 32 bits, all else 16 bits.
    const right = at < 6 || at === 16 ? 1 : at === 12 ? 4 : 2;
    this.demand(width === right && at % width === 0, `4.1.3.1: ${width} bytes are read of config ${at}`);
    return Buffer.from(this.netConfig).readUIntLE(at, width);
  }

  private write(at: number, width: number, value: number): void {
    if (at >= Piece.notify) {
      this.notify(at - Piece.notify, width, value);
      return;
    }
    this.demand(WIDTHS[at] === width, `4.1.3.1: ${width} bytes are written at ${at}`);
    this.demand(!READ_ONLY.has(at), `4.1.4.3: register ${at} is not the driver's to write`);
    if (at === 0) this.deviceSelect = value;
    else if (at === 8) this.driverSelect = value;
    else if (at === 12) this.acceptWord(value);
    else if (at === 16) this.configVector = this.vector(value);
    else if (at === 20) this.setStatus(value);
    else if (at === 22) this.queueSelect = value;
    else this.writeQueue(at, value);
  }

  private acceptWord(value: number): void {
    this.demand((this.status & FEATURES_OK) === 0, '3.1.1: features are accepted after FEATURES_OK');
    const shift = BigInt(32 * this.driverSelect);
    this.accepted = (this.accepted & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift);
    this.demand((this.accepted & ~this.offered) === 0n, '2.2.1: a feature is accepted that was not offered');
  }

  private vector(value: number): number {
    if (value === NO_VECTOR) return value;
    this.demand(value < this.fds.length, `4.1.5.1.2: vector ${value} is mapped, ${this.fds.length} are on`);
    return value < this.roomForVectors ? value : NO_VECTOR;
  }

  private setStatus(value: number): void {
    this.log.push(`status ${value}`);
    if (value === 0) {
      this.toReset();
      return;
    }
    this.demand(this.zeroAfter <= 0, '4.1.4.3.2: the device is set up before its reset is done');
    if ((value & DRIVER_OK) !== 0) this.demand(this.isBusMaster, '4.1: the device runs and may not use the bus');
    this.status = value;
  }

  private writeQueue(at: number, value: number): void {
    const { queue } = this;
    if (queue === undefined) {
      this.violations.push(`4.1.5.1.3: register ${at} of queue ${this.queueSelect} is written, there is none`);
      return;
    }
    this.demand(
      !queue.enabled,
      `4.1.4.3.2: register ${at} of queue ${this.queueSelect} is written after it was enabled`,
    );
    if (at === 24) {
      this.demand(value > 0 && (value & (value - 1)) === 0, `4.1.4.3.2: queue size ${value} is no power of two`);
      this.demand(value <= queue.size, `4.1.5.1.3: queue size ${value}, the device allows ${queue.size}`);
      queue.size = value;
    } else if (at === 26) {
      queue.vector = this.vector(value);
    } else if (at === 28) {
      this.demand(value === 1, `4.1.4.3.2: ${value} is written to queue_enable`);
      queue.enabled = true;
      this.open(queue);
    } else if (at >= 32) {
      queue.address[(at - 32) / 4] = value;
    }
  }

  private open(queue: Queue): void {
    const [descriptors, driver, device] = [0, 2, 4].map(
      (half) => queue.address[half]! + queue.address[half + 1]! * 2 ** 32 - MODEL_IOVA_BASE,
    ) as [number, number, number];
    const direction = (['receive', 'transmit', 'control'] as const)[this.queueSelect]!;
    const eventIdx = (this.accepted & (1n << 29n)) !== 0n;
    const layout = { size: queue.size, descriptors, driver, device };
    const Ring = (this.accepted & (1n << 34n)) !== 0n ? PackedDeviceModel : SplitDeviceModel;
    queue.ring = new Ring(this.memory!, layout, direction, eventIdx, this.violations);
  }

  private notify(at: number, width: number, value: number): void {
    const index = value & 0xffff;
    const next = value >>> 16;
    const queue = this.queues[index];
    const hasData = (this.accepted & NOTIFICATION_DATA) !== 0n;
    this.demand(width === (hasData ? 4 : 2), `4.1.5.2: a notification of ${width} bytes`);
    this.demand(at === (queue?.notifyOff ?? -1) * NOTIFY_MULTIPLIER, `4.1.4.4: queue ${index} is notified at ${at}`);
    this.demand((this.status & DRIVER_OK) !== 0, '3.1.1: the device is notified before DRIVER_OK');
    this.demand(queue?.enabled === true, `4.1.5.2: queue ${index} is notified, and not enabled`);
    const expected = hasData ? queue?.ring?.nextPlace() : 0;
    this.demand(next === expected, `2.9: queue ${index} goes on at ${next}, its ring at ${expected}`);
    this.nextPlaces.push(next);
    queue?.ring?.notify();
    if (index === 2) this.serveControl();
  }

  private serveControl(): void {
    const ring = this.queues[2]!.ring!;
    const chains = ring.takeAll();
    ring.setNotify(true);
    for (const chain of chains) {
      const [command, ack] = chain.segments;
      const bytes = this.memory!.u8.slice(command!.offset, command!.offset + command!.length);
      this.commands.push([...bytes]);
      this.demand(chain.segments.length === 2 && ack!.writable && ack!.length === 1, '5.1.6.5: a command without ack');
      const answer = this.onCommand(bytes);
      if (answer === null) continue;
      this.memory!.u8[ack!.offset] = answer;
      ring.use(chain, 1);
    }
  }

  get rx(): DeviceModel {
    return this.queues[0]!.ring!;
  }

  get tx(): DeviceModel {
    return this.queues[1]!.ring!;
  }

  /** Raises the interrupt of a queue, or of the configuration, if it has a vector. */
  interrupt(queue: number | 'config'): void {
    const vector = queue === 'config' ? this.configVector : this.queues[queue]!.vector;
    if (vector !== NO_VECTOR) signalEventfd(this.fds[vector]!);
  }

  /** Bits of the network status: 1 link up, 2 announce. */
  setNetStatus(status: number): void {
    this.netConfig[6] = status;
    this.generation = (this.generation + 1) & 0xff;
    this.interrupt('config');
  }

  needReset(): void {
    this.status |= NEEDS_RESET;
    this.interrupt('config');
  }
}
