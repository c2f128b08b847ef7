/**
 * Where captures see the packets of a switch (`tspmd capture`): at its ports, and where a packet is dropped. While there is no
 * capture, a burst costs the look at {@link SwitchCapture.isOn}.
 */
import type { PacketBurst } from '../drivers/virtio/device/packet-burst.js';
import type { OpenedCapture } from '../observe/capture/session.js';
import {
  type CaptureSink,
  CaptureSinks,
  type CaptureWish,
  DIRECTION_IN,
  DIRECTION_OUT,
  MAX_INTERFACES,
  NO_REASON,
  whereOf,
} from '../observe/capture/sink.js';
import { RequestError } from '../observe/control/requests.js';
import { TUNNEL_REASONS, type TunnelReason } from '../observe/page/browser/model/switch-drops.js';
import type { Batch } from './modules/batch.js';

/** What the device counters of packets that a peer was not given mean. */
const OUT_DROPS: Readonly<Record<string, string>> = {
  out_noBuffer: "the peer's ring, or the kernel's queue, is full",
  out_noRoom: "longer than the peer's receive buffers",
  out_smallBuffer: "the peer's receive buffer is too small for the header",
  out_tooLong: "longer than the peer's MTU allows",
  out_noDriver: 'no peer is connected, or its ring is stopped',
  out_badOffload: 'its headers do not allow the segmentation that its sender asked for',
  out_interfaceDown: 'the interface is down',
  out_errors: 'the kernel refused it',
};
const OUT_NAMES = Object.keys(OUT_DROPS);
const OTHER_DROP = 'the peer did not take it';

/** How a module drops packets. */
const MODULE_DROPS: Readonly<Record<string, string>> = {
  L2Forward: 'no entry for its destination, or the gate of the entry is not connected',
  SpoofGuard: 'a source address is not that of the VM, or the gate for such packets is not connected',
  Sink: 'a Sink discards all packets',
};
const UNCONNECTED = 'it left by a gate that is not connected';

type Counts = Readonly<Record<string, number>>;

/** A port, as captures see it. */
export interface CapturedPort {
  readonly name: string;
  readonly description: string;
  capture: SwitchCapture;
  /** The number of its interface. */
  number: number;
  /** What its device counts, by name. */
  deviceCounters(): Counts;
}

/** A module, as captures see it. */
export interface CapturedModule {
  readonly name: string;
  readonly className: string;
  /** Names of the reasons for which it drops packets, if it has several. */
  readonly dropReasons: readonly TunnelReason[];
  capture: SwitchCapture;
}

export class SwitchCapture extends CaptureSinks {
  /** The number of the port, or of {@link generated}, whose packets are being forwarded. */
  source = 0;
  private ports: readonly CapturedPort[] = [];
  private modules: readonly CapturedModule[] = [];
  /** The first number of the module's own reasons, and how many there are of all modules. */
  private readonly ownReasons = new Map<CapturedModule, number>();
  private moduleReasons = 0;
  /** What the devices counted when a packet was dropped last: what has grown since is the reason. */
  private readonly counted = new Map<CapturedPort, Counts>();

  /** The number of the packets that Source modules make. */
  get generated(): number {
    return this.ports.length;
  }

  /** To be called before packets flow. */
  attach(ports: readonly CapturedPort[], modules: readonly CapturedModule[]): void {
    this.ports = ports;
    this.modules = modules;
    for (const [number, port] of ports.entries()) {
      port.number = number;
      port.capture = this;
    }
    this.moduleReasons = modules.length;
    for (const module of modules) {
      module.capture = this;
      this.ownReasons.set(module, this.moduleReasons);
      this.moduleReasons += module.dropReasons.length;
    }
  }

  /** Begins a capture. @throws RequestError when there is no such port */
  begin(wish: CaptureWish): OpenedCapture {
    const { ports, modules } = this;
    const names = ports.map(({ name }) => name);
    if (wish.port !== null && !names.includes(wish.port)) {
      throw new RequestError(`port: this switch has no port '${wish.port}'; it has ${names.join(', ') || 'none'}`);
    }
    if (ports.length >= MAX_INTERFACES)
      throw new RequestError(`a switch of ${MAX_INTERFACES} ports or more has no captures`);
    for (const port of ports) this.counted.set(port, port.deviceCounters());
    const rings = this.open(wish);
    const interfaces = ports.map(({ name, description }) => ({ name, description }));
    if (modules.some(({ className }) => className === 'Source'))
      interfaces.push({ name: 'generated', description: 'packets that Source modules make' });
    const droppedBy = ({ name, className }: CapturedModule, why: string): string =>
      `dropped by ${name} (${className}): ${why}`;
    const ofModules = [
      ...modules.map((module) => droppedBy(module, MODULE_DROPS[module.className] ?? UNCONNECTED)),
      ...modules.flatMap((module) => module.dropReasons.map((name) => droppedBy(module, TUNNEL_REASONS[name]))),
    ];
    const atPorts = [...OUT_NAMES.map((name) => `${name}: ${OUT_DROPS[name]}`), OTHER_DROP];
    return { rings, interfaces, reasons: [...ofModules, ...atPorts] };
  }

  /** A burst came from the peer of a port. */
  came({ number, name }: CapturedPort, burst: PacketBurst): void {
    for (const sink of this.all) {
      if (!isOf(sink, name) || !sink.takesBurst(DIRECTION_IN)) continue;
      for (let i = 0; i < burst.count; i++) copy(sink, burst, i, whereOf(DIRECTION_IN, number), NO_REASON);
      sink.publish();
    }
  }

  /**
   * A batch was given to the peer of a port.
   * @param refused bit i: the peer was not given packet i of the batch
   */
  left(port: CapturedPort, { burst, indices, count }: Batch, refused: number): void {
    const where = whereOf(DIRECTION_OUT, port.number);
    for (const sink of this.all) {
      if (!isOf(sink, port.name) || !sink.takesBurst(DIRECTION_OUT)) continue;
      for (let i = 0; i < count; i++) if ((refused & (1 << i)) === 0) copy(sink, burst, indices[i], where, NO_REASON);
      sink.publish();
    }
    if (refused === 0 || !this.wantsDrops) return;
    const reason = this.whyRefused(port);
    for (const sink of this.all) {
      if (!isOf(sink, port.name) || !sink.takesDrop(DIRECTION_OUT)) continue;
      for (let i = 0; i < count; i++) if ((refused & (1 << i)) !== 0) copy(sink, burst, indices[i], where, reason);
      sink.publish();
    }
  }

  /**
   * A module drops a batch. It came in by the port whose packets are being forwarded.
   * @param own the number of one of the module's own reasons; -1: the usual one
   */
  droppedBy(module: CapturedModule, { burst, indices, count }: Batch, own = -1): void {
    const { source } = this;
    const name = source < this.ports.length ? this.ports[source].name : '';
    const reason = own < 0 ? this.modules.indexOf(module) : (this.ownReasons.get(module) ?? 0) + own;
    for (const sink of this.all) {
      if (!isOf(sink, name) || !sink.takesDrop(DIRECTION_IN)) continue;
      for (let i = 0; i < count; i++) copy(sink, burst, indices[i], whereOf(DIRECTION_IN, source), reason);
      sink.publish();
    }
  }

  /** The reason for which packets to a port were dropped last. One, when there were several in one burst. */
  private whyRefused(port: CapturedPort): number {
    const before = this.counted.get(port) ?? {};
    const now = port.deviceCounters();
    this.counted.set(port, now);
    const grown = OUT_NAMES.findIndex((name) => (now[name] ?? 0) > (before[name] ?? 0));
    return this.moduleReasons + (grown < 0 ? OUT_NAMES.length : grown);
  }
}

const isOf = (sink: CaptureSink, port: string): boolean => sink.port === null || sink.port === port;

function copy(sink: CaptureSink, burst: PacketBurst, packet: number, where: number, reason: number): void {
  const { memory, segmentOffset, segmentLength } = burst;
  const first = burst.firstSegment[packet];
  const at = segmentOffset[first];
  if (!sink.begin(memory.u8, at, segmentLength[first], burst.length[packet], where, reason)) return;
  for (let s = first; s < burst.firstSegment[packet + 1]; s++) sink.add(memory, segmentOffset[s], segmentLength[s]);
}

/** For ports and modules that are in no switch yet, and for tests. */
export const NO_SWITCH_CAPTURE = new SwitchCapture();
