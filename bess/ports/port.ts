/**
 * A port: a device of the switch with a name, the queues that modules own, and counters (BESS: port.h, port.cc).
 *
 * The device behind it moves packets; it is given here as the interface that the switch needs, so that the pipeline
 * knows neither sockets nor descriptors.
 */
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { BessError } from '../errors.js';

/** What is behind a port. */
export interface PortDevice {
  /** The queue pairs, by number. */
  readonly endpoints: readonly PacketEndpoint[];
  /** True while a peer is connected and its first queue pair works. */
  readonly isUp: boolean;
  /** What keeps the port from working, and what to do about it, as a line; null when nothing does. Asked for now and then. */
  readonly problem: string | null;
  /** Called when the peer or queues of it came or went. */
  onChange: (() => void) | null;
  /** Called with a line about what has happened: a peer that came or went, or broke its queues. */
  onNotice: ((line: string, kind: string) => void) | null;
  /** Disconnects the peer and removes what the device has made (sockets). */
  close(): void | Promise<void>;
}

export type Direction = 'inc' | 'out';

/** Running totals of one direction of a port; plain numbers, exact to 2^53. */
export interface PortCounters {
  packets: number;
  /** Of the frames, without virtio-net headers. */
  bytes: number;
  dropped: number;
}

/** The most queues of a direction, and the most packets of a queue, that BESS takes (port.h). */
const MAX_QUEUES = 128;
const MAX_QUEUE_SIZE = 4096;

/** How a script wants a port's queues; 0 is the default, as in BESS. */
export interface QueueConfig {
  readonly incQueues: number;
  readonly outQueues: number;
  readonly incSize: number;
  readonly outSize: number;
}

/** EINVAL where BESS would refuse the numbers. The sizes count no further: a ring is as long as its driver makes it. */
export function checkQueueConfig(config: QueueConfig): void {
  for (const queues of [config.incQueues, config.outQueues]) {
    if (queues > MAX_QUEUES) {
      throw new BessError('EINVAL', `Invalid number of queues: ${queues}; at most ${MAX_QUEUES} each way`);
    }
  }
  for (const size of [config.incSize, config.outSize]) {
    if (size > MAX_QUEUE_SIZE) throw new BessError('EINVAL', `Invalid queue size: ${size}; at most ${MAX_QUEUE_SIZE}`);
  }
}

/** What owns a queue: a module. */
export interface QueueUser {
  readonly name: string;
}

/** Counters of devices that are a packet that the peer sent and that was dropped before the pipeline. */
const INC_DROPS = /^in_(bad|too)/;

export class Port {
  /** Packets and bytes that tasks have taken. */
  incPackets = 0;
  incBytes = 0;
  /** Packets that the peer has taken, and those dropped because it did not. */
  outPackets = 0;
  outDropped = 0;
  /** Of `outPackets`: those that came through a Replicate. */
  replicated = 0;
  private readonly users: Record<Direction, (QueueUser | null)[]>;

  constructor(
    readonly name: string,
    /** The class that a script names: PMDPort. */
    readonly driver: string,
    /** What the port is connected to, for people: `vhost-user /tmp/vm1.sock`. */
    readonly description: string,
    readonly device: PortDevice,
    incQueues: number,
    outQueues: number,
  ) {
    this.users = { inc: new Array(incQueues).fill(null), out: new Array(outQueues).fill(null) };
  }

  /** The totals of both directions. */
  stats(): Record<Direction, PortCounters> {
    const { incPackets, incBytes, outPackets, outDropped } = this;
    return {
      inc: { packets: incPackets, bytes: incBytes, dropped: this.sum((name) => INC_DROPS.test(name)) },
      // How many bytes the peer has taken only the device knows: it may leave out a packet in the middle of a burst.
      out: { packets: outPackets, bytes: this.sum((name) => name === 'out_bytes'), dropped: outDropped },
    };
  }

  /** Of the packets dropped on their way out: those for which no peer was there. */
  get droppedWithoutPeer(): number {
    return this.sum((name) => name === 'out_noDriver');
  }

  /** Of the packets dropped on their way out: those for an interface that was down. */
  get droppedByInterface(): number {
    return this.sum((name) => name === 'out_interfaceDown');
  }

  /** What the device has counted, over all its queues; zeros left out. */
  deviceCounters(): Record<string, number> {
    const counters: Record<string, number> = {};
    for (const endpoint of this.device.endpoints) {
      for (const [name, count] of Object.entries(endpoint.counters())) {
        if (count > 0) counters[name] = (counters[name] ?? 0) + count;
      }
    }
    return counters;
  }

  private sum(wanted: (name: string) => boolean): number {
    return Object.entries(this.deviceCounters()).reduce((sum, [name, count]) => sum + (wanted(name) ? count : 0), 0);
  }

  /** The numbers of all incoming queues. */
  incQueues(): number[] {
    return this.users.inc.map((_, queue) => queue);
  }

  /** The numbers of all outgoing queues. */
  outQueues(): number[] {
    return this.users.out.map((_, queue) => queue);
  }

  /** Makes `user` the owner of queues. EINVAL: no such queue; EBUSY: another module owns it. */
  acquire(user: QueueUser, direction: Direction, queues: readonly number[]): void {
    const users = this.users[direction];
    for (const queue of queues) {
      const has = `port ${this.name} has ${users.length} ${direction === 'inc' ? 'incoming' : 'outgoing'} queue(s)`;
      if (!Number.isInteger(queue) || queue < 0 || queue >= users.length) {
        throw new BessError('EINVAL', `Invalid queue ${queue}: ${has}, counted from 0`);
      }
      const owner = users[queue];
      if (owner && owner !== user) {
        const what = `${direction === 'inc' ? 'incoming' : 'outgoing'} queue ${queue} of port ${this.name}`;
        const advice = direction === 'out' ? '; connect more gates to that module instead' : '';
        throw new BessError('EBUSY', `${what} belongs to module ${owner.name} already${advice}`);
      }
    }
    for (const queue of queues) users[queue] = user;
  }

  /** Gives back all queues that `user` owns. */
  release(user: QueueUser, direction: Direction): void {
    const users = this.users[direction];
    for (let queue = 0; queue < users.length; queue++) if (users[queue] === user) users[queue] = null;
  }
}
