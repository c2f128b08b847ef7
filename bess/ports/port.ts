/**
 * A port: a name, a device, the queues that modules own, and counters (BESS: port.h, port.cc).
 *
 * PortDevice is the device as the switch sees it. So the modules depend on neither sockets nor file descriptors.
 */
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { RECEIVED_DROP } from '../../observe/page/browser/model/switch-drops.js';
import { BessError } from '../errors.js';
import { NO_SWITCH_CAPTURE, type SwitchCapture } from '../switch-capture.js';

/** The device behind a port. */
export interface PortDevice {
  /** The queue pairs by number. */
  readonly endpoints: readonly PacketEndpoint[];
  /** True while a peer is connected and its first queue pair works. */
  readonly isUp: boolean;
  /** One line that says why the port does not work and what to do; null: no problem. Read once per second. */
  readonly problem: string | null;
  /** Called when the peer, or some of its queues, came or went. */
  onChange: (() => void) | null;
  /**
   * Called with a line about an event: the peer connected, disconnected, or broke a queue. `kind` names events of one
   * kind, whose lines are limited together.
   */
  onNotice: ((line: string, kind: string) => void) | null;
  /** Disconnects the peer, and removes the socket or interface that the device made. */
  close(): void | Promise<void>;
}

/** From the peer into the switch (`inc`), or from the switch to the peer (`out`). */
export type Direction = 'inc' | 'out';

/** Totals of one direction of a port, exact up to 2^53. */
export interface PortCounters {
  /** Packets that went in this direction. */
  packets: number;
  /** Sum of the lengths of the frames in bytes, without virtio-net headers. */
  bytes: number;
  /** Packets that were dropped. They are not in `packets` and `bytes`. */
  dropped: number;
}

/** The most queues of one direction in BESS (port.h). */
const MAX_QUEUES = 128;
/** The largest queue size in BESS, in packets (port.h). */
const MAX_QUEUE_SIZE = 4096;

/** Numbers and sizes of a port's queues in a script. 0 is the default, as in BESS. */
export interface QueueConfig {
  readonly incQueues: number;
  readonly outQueues: number;
  readonly incSize: number;
  readonly outSize: number;
}

/**
 * Throws EINVAL if BESS would refuse a number or size. The sizes have no other effect: the VM's driver decides how long
 * a ring is.
 */
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

/** The owner of a queue: a module. */
export interface QueueUser {
  readonly name: string;
}

export class Port {
  /** Packets that tasks took from the port. */
  incPackets = 0;
  /** Sum of the lengths of their frames, in bytes. */
  incBytes = 0;
  /** Packets that the peer took. */
  outPackets = 0;
  /** Packets that the peer did not take. They were dropped. */
  outDropped = 0;
  /** The part of `outPackets` that came through a Replicate. */
  replicated = 0;
  /** Where captures see the packets of the port, and its number there. */
  capture: SwitchCapture = NO_SWITCH_CAPTURE;
  number = 0;
  private readonly users: Record<Direction, (QueueUser | null)[]>;

  constructor(
    readonly name: string,
    /** The class that a script names: PMDPort. */
    readonly driver: string,
    /** What the port is connected to, for messages: `vhost-user /tmp/vm1.sock`. */
    readonly description: string,
    readonly device: PortDevice,
    incQueues: number,
    outQueues: number,
  ) {
    this.users = { inc: new Array(incQueues).fill(null), out: new Array(outQueues).fill(null) };
  }

  /** Returns the totals of both directions. */
  stats(): Record<Direction, PortCounters> {
    const { incPackets, incBytes, outPackets, outDropped } = this;
    return {
      inc: { packets: incPackets, bytes: incBytes, dropped: this.sum((name) => RECEIVED_DROP.test(name)) },
      // Only the device counts the bytes that the peer took, because it may drop a packet in the middle of a burst.
      out: { packets: outPackets, bytes: this.sum((name) => name === 'out_bytes'), dropped: outDropped },
    };
  }

  /** The part of `outDropped` that was dropped because no peer was connected. */
  get droppedWithoutPeer(): number {
    return this.sum((name) => name === 'out_noDriver');
  }

  /** The part of `outDropped` that was dropped because the interface was down. */
  get droppedByInterface(): number {
    return this.sum((name) => name === 'out_interfaceDown');
  }

  /** Returns the device's counters, summed over its queues, without zeros. */
  deviceCounters(): Record<string, number> {
    const counters: Record<string, number> = {};
    for (const endpoint of this.device.endpoints) {
      for (const [name, count] of Object.entries(endpoint.counters())) {
        if (count > 0) counters[name] = (counters[name] ?? 0) + count;
      }
    }
    return counters;
  }

  /** Returns the sum of all device counters with a wanted name. */
  private sum(wanted: (name: string) => boolean): number {
    return Object.entries(this.deviceCounters()).reduce((sum, [name, count]) => sum + (wanted(name) ? count : 0), 0);
  }

  /** Returns the numbers of all incoming queues. */
  incQueues(): number[] {
    return this.users.inc.map((_, queue) => queue);
  }

  /** Returns the numbers of all outgoing queues. */
  outQueues(): number[] {
    return this.users.out.map((_, queue) => queue);
  }

  /** Makes `user` the owner of queues. Throws EINVAL if a queue does not exist, and EBUSY if another module owns it. */
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

  /** Frees all queues of a direction that `user` owns. */
  release(user: QueueUser, direction: Direction): void {
    const users = this.users[direction];
    for (let queue = 0; queue < users.length; queue++) if (users[queue] === user) users[queue] = null;
  }
}
