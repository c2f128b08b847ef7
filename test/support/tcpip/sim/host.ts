/** A station of a simulation: a device, the real core on it, and a stack that is polled when there is something to do. */
import type { SinglePort } from '../../../../src/index.js';
import type { Core } from '../../../../src/link/core.js';
import type { SingleCore } from '../../../../src/link/single-core.js';
import type { Stack } from '../../../../src/stack.js';
import { formatIpv4 } from '../../../../src/wire/address.js';
import type { SimDevice } from './sim-device.js';

/** A stack in its initial state has no timers, and a stack that sleeps for ever has none, either. */
const NEVER = Number.POSITIVE_INFINITY;
/** A TCP/IP stack without timers is polled after so long, because its clock wraps: nothing else happens then. */
const IDLE_MS = 2 ** 30;

/** How long a stack need not be polled while no packets come, in ms; Infinity when nothing is left to happen. */
export function sleepMs(stack: Stack | null): number {
  const ms = stack?.maxSleepMs?.() ?? NEVER;
  return ms >= IDLE_MS ? NEVER : ms;
}

export class Host {
  readonly core: Core;
  /** Its IPv4 address. */
  readonly address: string;
  /** What is polled. A host without a stack leaves its packets where they are. */
  stack: Stack | null = null;
  /** When the next poll is due, in ms; Infinity for none. */
  dueAt = NEVER;
  /** Polls until now. */
  polls = 0;
  private readonly single: SingleCore;
  private polledAt = Number.NEGATIVE_INFINITY;

  /**
   * @param clock the time of the simulation in ms
   * @param pollMs how long a poll takes: packets that arrive meanwhile are handled together
   */
  constructor(
    readonly port: SinglePort,
    readonly device: SimDevice,
    /** Warnings of the port. */
    readonly warnings: readonly string[],
    private readonly clock: () => number,
    private readonly pollMs: number,
  ) {
    this.single = port.core(0) as SingleCore;
    this.core = this.single;
    this.address = formatIpv4(this.core.address);
    device.onArrival = () => this.wake();
    device.onHeld = (roomAt) => this.pollAt(roomAt);
  }

  /** Buffers that the stack owns: neither released nor sent. */
  get held(): number {
    return this.port.counters().held_by_stack;
  }

  /** Whether the host does nothing until a frame arrives or the test calls its stack. */
  get isIdle(): boolean {
    return this.dueAt === NEVER;
  }

  /** Polls as soon as the last poll has ended: to be called after the test has called the stack. */
  wake(): void {
    this.pollAt(this.clock());
  }

  /** Does what is due. */
  poll(): void {
    const { stack, single } = this;
    const now = this.clock();
    this.dueAt = NEVER;
    if (stack === null) return;
    this.polls++;
    this.polledAt = now;
    const handled = stack.poll();
    single.flush();
    if (now >= single.nextDeadline()) single.tick(now);
    if (handled > 0 || this.device.waiting > 0) this.pollAt(now);
    else this.pollAt(Math.min(now + sleepMs(stack), single.nextDeadline()));
  }

  private pollAt(time: number): void {
    this.dueAt = Math.min(this.dueAt, Math.max(time, this.polledAt + this.pollMs));
  }
}
