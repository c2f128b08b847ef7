/**
 * Sleeping until packets come: the handshake with the device's interrupt, and the timers that must not be slept through.
 *
 * No wake-up is lost: the interrupt is armed first, and the device then says whether a frame came before it was; only if
 * not does the event loop get its turn. Frames that are not for the stack (ARP, what the filter drops) wake us, are dealt
 * with, and we sleep on.
 */
import type { StopSignal } from '../../drivers/stop-signal.js';
import { StateError } from '../errors.js';
import type { WakeSource } from './lower-layer.js';

/** What the sleeper needs of its core. */
export interface Sleepable {
  /** Polls, flushes, and returns how many packets wait for the stack. */
  getRxCount(): number;
  /** Does what is due at `now`. */
  tick(now: number): void;
  /** When tick must be called next; Infinity when it need not. */
  nextDeadline(): number;
}

/** Polls in a row that found only frames not meant for the stack, before other code gets its turn. */
const MAX_REARMS = 8;
/** How long {@link Sleeper.sleep} may go on answering at once, until the event loop gets a turn. */
const TURN_MS = 1;
/** How long a device without interrupts is left alone, in ms: the shortest timer of Node. */
const POLL_ONLY_MS = 1;
/** Longest delay that setTimeout takes. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export class Sleeper {
  private resolve: ((packets: number) => void) | null = null;
  private timer: NodeJS.Timeout | null = null;
  private timerAt = Number.POSITIVE_INFINITY;
  /** The next look at the device, after a turn of the event loop. */
  private nextLook: NodeJS.Immediate | null = null;
  private until = 0;
  /** From then on the event loop is due a turn. */
  private turnDue = 0;
  private linkWas = false;
  private armed = false;
  private isClosed = false;
  private signal: StopSignal | null = null;
  private readonly onAbort = (): void => this.wake();

  /** @param clock milliseconds, monotonic */
  constructor(
    private readonly device: WakeSource,
    private readonly core: Sleepable,
    private readonly clock: () => number,
  ) {
    device.onWake = () => this.woken();
  }

  get isAsleep(): boolean {
    return this.resolve !== null;
  }

  /** As {@link Core.waitForPackets}. */
  sleep(timeoutMs: number = Number.POSITIVE_INFINITY, signal?: StopSignal): Promise<number> {
    if (this.resolve !== null) {
      return Promise.reject(new StateError('waitForPackets: somebody waits already; a core has one stack'));
    }
    if (this.isClosed) return Promise.reject(new StateError('waitForPackets: the port was stopped'));
    const packets = this.core.getRxCount();
    const now = this.clock();
    const isReady = packets > 0 || !(timeoutMs > 0) || signal?.aborted === true;
    // A promise that is settled already lets no timer, signal or reconnection run: not for ever.
    if (isReady && now < this.turnDue) return Promise.resolve(packets);
    this.until = now + timeoutMs;
    this.linkWas = this.device.isUp;
    return new Promise((resolve) => {
      this.resolve = resolve;
      this.listenTo(signal);
      if (isReady) this.afterTurn(() => this.wake());
      else this.arm();
    });
  }

  /** Ends the sleep. */
  wake(): void {
    if (this.resolve !== null) this.finish(this.core.getRxCount());
  }

  /** Ends the sleep, for good: nobody sleeps any more on a device that is going away. */
  close(): void {
    this.isClosed = true;
    this.wake();
  }

  /** Something has become due while asleep (a packet was parked, the ring is full): wake in time for it. */
  reschedule(): void {
    if (this.resolve !== null) this.startTimer();
  }

  private listenTo(signal: StopSignal | undefined): void {
    if (signal === undefined) return;
    this.signal = signal;
    signal.addEventListener('abort', this.onAbort);
  }

  private arm(): void {
    for (let tries = 0; tries < MAX_REARMS; tries++) {
      const isSafe = this.device.enableRxInterrupt();
      // After the request: the link's state may be another thread's, who from now on wakes us when it changes it.
      if (this.device.isUp !== this.linkWas) {
        this.finish(this.core.getRxCount());
        return;
      }
      if (isSafe) {
        this.armed = true;
        this.startTimer();
        return;
      }
      if (this.pollOnce()) return;
    }
    this.afterTurn(() => this.look());
  }

  /** Polls; sleeps on where there is nothing for the stack, and nothing is due. */
  private look(): void {
    const now = this.clock();
    // Here and not by timer alone: frames that are not for the stack may wake us so often that none ever ends.
    if (now >= this.core.nextDeadline()) this.core.tick(now);
    if (now >= this.until) this.wake();
    else if (!this.pollOnce()) this.arm();
  }

  private afterTurn(act: () => void): void {
    this.cancelLook();
    this.nextLook = setImmediate(() => {
      this.nextLook = null;
      this.turned();
      act();
    });
  }

  private cancelLook(): void {
    if (this.nextLook !== null) clearImmediate(this.nextLook);
    this.nextLook = null;
  }

  private turned(): void {
    this.turnDue = this.clock() + TURN_MS;
  }

  /** Polls; ends the sleep and returns true when there is something for the stack. */
  private pollOnce(): boolean {
    const packets = this.core.getRxCount();
    if (packets === 0) return false;
    this.finish(packets);
    return true;
  }

  private woken(): void {
    if (!this.armed) return;
    this.disarm();
    this.turned();
    this.look();
  }

  private expired(): void {
    this.timer = null;
    this.disarm();
    this.turned();
    this.look();
  }

  private startTimer(): void {
    let at = Math.min(this.until, this.core.nextDeadline());
    if (this.device.pollOnly) at = Math.min(at, this.clock() + POLL_ONLY_MS);
    if (this.timer !== null && at === this.timerAt) return;
    this.stopTimer();
    if (at === Number.POSITIVE_INFINITY) return;
    this.timerAt = at;
    const delay = Math.min(Math.max(Math.ceil(at - this.clock()), 1), MAX_DELAY_MS);
    this.timer = setTimeout(() => this.expired(), delay);
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private disarm(): void {
    this.stopTimer();
    this.armed = false;
    this.device.disableRxInterrupt();
  }

  private finish(packets: number): void {
    const resolve = this.resolve;
    this.resolve = null;
    this.signal?.removeEventListener('abort', this.onAbort);
    this.signal = null;
    this.cancelLook();
    this.disarm();
    resolve?.(packets);
  }
}
