/**
 * A network in virtual time: hosts with the real layer and the real stack, joined by links. Everything that happens
 * follows from the seed.
 */
import { frameCapacity } from '../../../../rings/buffer-pool.js';
import { type Core, init, type TspmdConfig } from '../../../../src/index.js';
import type { Stack } from '../../../../src/stack.js';
import { neighbourMac } from '../../../../src/testing/fake-port.js';
import { formatIpv4, formatMac, parseIpv4 } from '../../../../src/wire/address.js';
import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';
import { Random } from '../../../fuzz/random.js';
import { EventQueue, type EventTarget } from './event-queue.js';
import { FramePool } from './frame-pool.js';
import { Host } from './host.js';
import { Hub } from './hub.js';
import { Path, type PathOptions, type Wires } from './path.js';
import { SimDevice } from './sim-device.js';

export interface SimulationOptions {
  readonly seed: number;
  /** Longest IP packet of all devices, in bytes. Default 1500. */
  readonly mtu?: number;
  /** Most hosts. All know each other's MAC address. Default 8. */
  readonly maxHosts?: number;
  /** Steps (frames that arrive, polls, calls of the test) after which a run fails. Default 200 million. */
  readonly maxSteps?: number;
}

export interface HostOptions extends Pick<TspmdConfig, 'layer' | 'gateway'> {
  /** Packet buffers. Default 1024. */
  readonly buffers?: number;
  /** Places in the receive ring. Default 1024, at most half of the buffers. */
  readonly rxRing?: number;
  /** How long a poll takes, in ms. Default 0.005. */
  readonly pollMs?: number;
  /** What the device does for packets to send: OFFLOAD_ bits. Default: none, nor does it merge what it receives. */
  readonly offloads?: number;
  /** Makes the stack. */
  readonly stack?: (core: Core) => Stack;
}

/** A link: one path for each direction. */
export interface Link {
  readonly there: Path;
  readonly back: Path;
}

const MIN_SHIFT = 11;
const FIRST_ADDRESS = parseIpv4('10.0.0.1');
const PREFIX_LENGTH = 16;

export class Simulation implements Wires {
  /** Virtual time in ms. */
  now = 0;
  readonly seed: number;
  readonly random: Random;
  readonly events = new EventQueue();
  readonly frames: FramePool;
  readonly hosts: Host[] = [];
  readonly paths: Path[] = [];
  watch: Wires['watch'] = null;
  private readonly mtu: number;
  private readonly shift: number;
  private readonly maxHosts: number;
  private readonly maxSteps: number;
  private steps = 0;
  private readonly calls: (() => void)[] = [];
  private readonly caller: number;

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.random = new Random(options.seed);
    this.mtu = options.mtu ?? 1500;
    this.maxHosts = options.maxHosts ?? 8;
    this.maxSteps = options.maxSteps ?? 200_000_000;
    let shift = MIN_SHIFT;
    while (frameCapacity(shift) < this.mtu + ETH_HEADER_BYTES) shift++;
    this.shift = shift;
    this.frames = new FramePool(frameCapacity(shift));
    const caller: EventTarget = { happen: (data) => this.call(data) };
    this.caller = this.events.register(caller);
  }

  /** Frames that have arrived somewhere until now. */
  get arrived(): number {
    return this.paths.reduce((sum, { counters }) => sum + counters.arrived, 0);
  }

  /** Adds a host: 10.0.0.1 is the first one, 10.0.0.2 the second. */
  async host(options: HostOptions = {}): Promise<Host> {
    const { buffers = 1024, rxRing = Math.min(1024, buffers >>> 1), pollMs = 0.005, stack, ...others } = options;
    const { offloads = 0, ...config } = others;
    if (this.hosts.length === this.maxHosts) throw new RangeError(`simulation: more than ${this.maxHosts} hosts`);
    const address = FIRST_ADDRESS + this.hosts.length;
    const warnings: string[] = [];
    const made: { device?: SimDevice } = {};
    const port = await init(
      {
        ...config,
        ip: `${formatIpv4(address)}/${PREFIX_LENGTH}`,
        neighbours: this.neighbours(address),
        device: 'vhost-user:sim',
      },
      {
        clock: () => this.now,
        warn: (line) => warnings.push(line),
        openDevice: async () => {
          const mac = neighbourMac(address);
          made.device = new SimDevice(this, { mac, mtu: this.mtu, shift: this.shift, buffers, rxRing, offloads });
          return made.device;
        },
      },
    );
    const host = new Host(port, made.device!, warnings, () => this.now, pollMs);
    if (stack !== undefined) host.stack = stack(host.core);
    this.hosts.push(host);
    return host;
  }

  /** Adds a switch. */
  hub(): Hub {
    return new Hub(this.frames);
  }

  /** Joins two hosts, a host and a hub, or two hubs. */
  link(from: Host | Hub, to: Host | Hub, there: PathOptions = {}, back: PathOptions = there): Link {
    const near = this.place(from);
    const far = this.place(to);
    const link = {
      there: new Path(`${nameOf(from)}-${nameOf(to)}`, this, far.endpoint, there),
      back: new Path(`${nameOf(to)}-${nameOf(from)}`, this, near.endpoint, back),
    };
    link.there.reverse = link.back;
    link.back.reverse = link.there;
    near.setPath(link.there);
    far.setPath(link.back);
    this.paths.push(link.there, link.back);
    return link;
  }

  /** Calls a function of the test at a time in ms, or now if that has passed. All hosts are polled after it. */
  at(time: number, call: () => void): void {
    this.events.add(Math.max(time, this.now), this.caller, this.calls.push(call) - 1);
  }

  /** As {@link at}, `ms` from now. */
  after(ms: number, call: () => void): void {
    this.at(this.now + ms, call);
  }

  /** Polls all hosts: to be called after the test has called a stack outside of {@link at}. */
  wake(): void {
    for (const host of this.hosts) host.wake();
  }

  /** Lets `ms` of virtual time pass. */
  run(ms: number): void {
    const end = this.now + ms;
    while (this.step(end)) {}
    this.now = end;
  }

  /**
   * Lets time pass until `isDone` returns true. It is asked after each poll.
   * @returns whether it did within `limitMs`
   */
  runUntil(isDone: () => boolean, limitMs: number): boolean {
    const end = this.now + limitMs;
    let polls = -1;
    do {
      const now = this.polls();
      if (now !== polls && isDone()) return true;
      polls = now;
    } while (this.step(end));
    this.now = end;
    return isDone();
  }

  /**
   * Lets time pass until nothing is left to happen: no frame is on a wire, no timer is armed.
   * @returns whether that was within `limitMs`
   */
  runUntilIdle(limitMs: number): boolean {
    const end = this.now + limitMs;
    while (this.step(end)) {}
    return this.isIdle;
  }

  /** Whether nothing will happen any more by itself. */
  get isIdle(): boolean {
    return this.events.size === 0 && this.hosts.every((host) => host.isIdle);
  }

  /** Stops the ports. */
  async stop(): Promise<void> {
    for (const { port } of this.hosts) await port.stop();
  }

  /**
   * Advances to the next event and lets it happen.
   * @returns false when there is none until `end`
   */
  private step(end: number): boolean {
    const { events, hosts } = this;
    let time = events.nextTime;
    let next: Host | null = null;
    for (let i = 0; i < hosts.length; i++) {
      const host = hosts[i]!;
      // At the same time, frames arrive before hosts are polled.
      if (host.dueAt < time) {
        time = host.dueAt;
        next = host;
      }
    }
    if (time > end || time === Number.POSITIVE_INFINITY) return false;
    if (++this.steps > this.maxSteps) {
      throw new Error(`simulation of seed ${this.seed}: ${this.maxSteps} steps until ${this.now.toFixed(3)} ms`);
    }
    if (time > this.now) this.now = time;
    if (next === null) events.takeNext();
    else next.poll();
    return true;
  }

  private polls(): number {
    let polls = 0;
    for (let i = 0; i < this.hosts.length; i++) polls += this.hosts[i]!.polls;
    return polls;
  }

  private call(index: number): void {
    const call = this.calls[index]!;
    call();
    this.wake();
  }

  private neighbours(own: number): Record<string, string> {
    const others: Record<string, string> = {};
    for (let i = 0; i < this.maxHosts; i++) {
      const ip = FIRST_ADDRESS + i;
      if (ip !== own) others[formatIpv4(ip)] = formatMac(neighbourMac(ip));
    }
    return others;
  }

  private place(of: Host | Hub): { endpoint: ConstructorParameters<typeof Path>[2]; setPath(path: Path): void } {
    if (of instanceof Hub) {
      const place = of.plug();
      return { endpoint: place, setPath: (path) => place.setPath(path) };
    }
    if (of.device.path !== null) throw new Error(`simulation: host ${of.address} has a link already`);
    return {
      endpoint: of.device,
      setPath: (path) => {
        of.device.path = path;
      },
    };
  }
}

const nameOf = (of: Host | Hub): string => (of instanceof Hub ? 'hub' : of.address);
