/**
 * `waitForPackets`: sleeps until packets come or a timer is due, with the interrupt of the device.
 *
 * No wake-up is lost: the interrupt is armed first, and then the device tells whether a frame came before. Only if none
 * came does the event loop get its turn. Frames that are not for the stack (ARP, dropped frames) wake the thread, too;
 * it handles them and sleeps again.
 */
import { NextTurn } from '../../drivers/next-turn.js';
import type { StopSignal } from '../../drivers/stop-signal.js';
import { StateError } from '../errors.js';
import type { WakeSource } from './lower-layer.js';

/** What the sleeper needs of its core. */
export interface Sleepable {
  /** Polls, flushes, and returns how many packets wait for the stack. */
  getRxCount(): number;
  /** Does what is due at `now`. */
  tick(now: number): void;
  /** When {@link tick} has something to do next; Infinity when it has not. */
  nextDeadline(): number;
}

/** Polls in a row that found only frames which are not for the stack, before other code gets its turn. */
const MAX_REARMS = 8;
/** How long {@link Sleeper.sleep} may return at once, call after call, before the event loop gets a turn. */
const TURN_MS = 1;
/** Time between two looks at a device without interrupts, in ms: the shortest timer of Node. */
const POLL_ONLY_MS = 1;
/** Longest delay that setTimeout takes. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export class Sleeper {
  private resolve: ((packets: number) => void) | null = null;
  private timer: NodeJS.Timeout | null = null;
  private timerAt = Number.POSITIVE_INFINITY;
  /** The next look at the device, after a turn of the event loop. */
  private readonly nextLook = new NextTurn();
  private keepsAlive = true;
  private until = 0;
  /** From this time on, the event loop must get a turn. */
  private turnDue = 0;
  /** Whether the link was up when the sleep began. */
  private wasUp = false;
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

  /** Whether the device has a link. */
  get isLinkUp(): boolean {
    return this.device.isUp;
  }

  get isAsleep(): boolean {
    return this.resolve !== null;
  }

  /** As {@link Core.waitForPackets}. */
  sleep(timeoutMs: number = Number.POSITIVE_INFINITY, signal?: StopSignal): Promise<number> {
    if (this.resolve !== null) {
      return Promise.reject(new StateError('waitForPackets: another call waits already; a core has one stack'));
    }
    if (this.isClosed) return Promise.reject(new StateError('waitForPackets: the port was stopped'));
    const packets = this.core.getRxCount();
    const now = this.clock();
    const isReady = packets > 0 || !(timeoutMs > 0) || signal?.aborted === true;
    // A settled promise lets no timer, signal or reconnection run, so only for TURN_MS.
    if (isReady && now < this.turnDue) return Promise.resolve(packets);
    this.until = now + timeoutMs;
    this.wasUp = this.device.isUp;
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

  /** Ends the sleep for good, because the device is closed next. */
  close(): void {
    this.isClosed = true;
    this.wake();
  }

  /**
   * To be called when something became due while asleep (a packet was parked, the ring is full): wakes in time for it.
   */
  reschedule(): void {
    if (this.resolve !== null) this.startTimer();
  }

  /** Says whether a sleep keeps the event loop alive. It does at first. */
  keepAlive(on: boolean): void {
    this.keepsAlive = on;
    this.nextLook.keepAlive(on);
    if (on) this.timer?.ref();
    else this.timer?.unref();
  }

  private listenTo(signal: StopSignal | undefined): void {
    if (signal === undefined) return;
    this.signal = signal;
    signal.addEventListener('abort', this.onAbort);
  }

  private arm(): void {
    for (let tries = 0; tries < MAX_REARMS; tries++) {
      const isSafe = this.device.enableRxInterrupt();
      // After the request: another thread may change the state of the link, and from the request on it wakes this one
      // for that.
      if (this.device.isUp !== this.wasUp) {
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

  /** Polls, and sleeps again when there is nothing for the stack. */
  private look(): void {
    const now = this.clock();
    // Not only by the timer: frames that are not for the stack may wake the thread so often that the timer never ends.
    if (now >= this.core.nextDeadline()) this.core.tick(now);
    if (now >= this.until) this.wake();
    else if (!this.pollOnce()) this.arm();
  }

  private afterTurn(act: () => void): void {
    this.nextLook.run(() => {
      this.turned();
      act();
    });
  }

  private turned(): void {
    this.turnDue = this.clock() + TURN_MS;
  }

  /** Polls. Ends the sleep and returns true when there is something for the stack. */
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
    if (!this.keepsAlive) this.timer.unref();
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
    this.nextLook.cancel();
    this.disarm();
    resolve?.(packets);
  }
}
