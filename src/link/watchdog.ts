/**
 * Warns of a stack that does not poll (does not call getRxCount) for a second although packets wait for it. It looks a
 * few times per second at numbers that exist anyway: nothing is counted per packet for it.
 */
import type { WarningSink } from './warnings.js';

/** How long a stack may leave its packets waiting, in ms. */
export const QUIET_MS = 1000;
/** Time between two looks, in ms. */
const LOOK_MS = 250;

/** A watch over one core. */
export interface Watch {
  /** @param now milliseconds, monotonic */
  look(now: number): void;
}

/** Lets each watch look every 250 ms, until the function that is returned is called. Keeps no process alive. */
export function watchEvery(watches: readonly Watch[]): () => void {
  const timer = setInterval(() => {
    const now = performance.now();
    for (const watch of watches) watch.look(now);
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Tells when a stack has stopped polling, and when it polls again: one line each. */
class PollWatch {
  private progress = Number.NaN;
  /** Since when the stack has not polled, in ms. */
  private since = 0;
  private isQuiet = false;

  constructor(
    private readonly title: string,
    private readonly warn: WarningSink,
  ) {}

  /**
   * @param progress a number that changes when the stack polls
   * @param packetsWaiting asked when the stack has not polled: what waits for it, such as `5 packets`; null when it
   * need not poll
   */
  look(now: number, progress: number, packetsWaiting: () => string | null): void {
    const isMoving = progress !== this.progress;
    this.progress = progress;
    if (this.isQuiet) {
      if (!isMoving) return;
      this.isQuiet = false;
      this.warn(`${this.title}: the stack polls again, after ${seconds(now - this.since)}`);
    }
    const packets = isMoving ? null : packetsWaiting();
    if (packets === null) {
      this.since = now;
    } else if (now - this.since >= QUIET_MS) {
      this.isQuiet = true;
      this.warn(`${this.title}: the stack has not polled for ${seconds(now - this.since)}, and ${packets} wait for it`);
    }
  }

  /** The stack counts as having polled at `now`. */
  reset(now: number, progress: number): void {
    this.since = now;
    this.progress = progress;
  }
}

/** A core in a thread of its own, as far as another thread can see it. */
export interface WatchedThread {
  /** False once its thread has ended. */
  readonly isAlive: boolean;
  readonly isAsleep: boolean;
  /** A number that changes when the stack polls. */
  readonly progress: number;
  /** How many packets wait in its `rx_queue`. */
  readonly waiting: number;
}

/** Watches a core from another thread. */
export class ThreadWatch implements Watch {
  private readonly polls: PollWatch;
  private lastLook = 0;

  constructor(
    title: string,
    private readonly core: WatchedThread,
    warn: WarningSink,
  ) {
    this.polls = new PollWatch(title, warn);
  }

  look(now: number): void {
    const { core } = this;
    if (!core.isAlive) return;
    // This thread has not looked for long: the core may have slept until a moment ago.
    const isLate = now - this.lastLook >= QUIET_MS;
    this.lastLook = now;
    this.polls.look(now, core.progress, () => {
      const { waiting } = core;
      return isLate || core.isAsleep || waiting === 0 ? null : `${waiting} packets`;
    });
  }
}

/** A core on the thread that looks. */
export interface WatchedCore {
  readonly isAsleep: boolean;
  /** How often the stack has polled. */
  readonly polls: number;
  readonly hasPackets: boolean;
  /** Packets that were received for the stack until now. */
  readonly delivered: number;
}

/**
 * Watches a core on its own thread. While the stack blocks the thread, no look is possible: the warning comes
 * afterwards, when the packets that waited meanwhile have had the time to arrive.
 */
export class OwnThreadWatch implements Watch {
  private readonly polls: PollWatch;
  private lastLook = Number.NaN;
  private delivered = 0;
  /** How long the thread was blocked, until the warning was given. */
  private blockedMs = 0;

  constructor(
    private readonly title: string,
    private readonly core: WatchedCore,
    private readonly warn: WarningSink,
  ) {
    this.polls = new PollWatch(title, warn);
  }

  look(now: number): void {
    const { core } = this;
    const gap = now - this.lastLook;
    this.lastLook = now;
    if (gap >= QUIET_MS + LOOK_MS) {
      // The next look shows whether packets waited.
      this.blockedMs = gap - LOOK_MS;
      this.polls.reset(now, core.polls);
      return;
    }
    const hasReceived = core.delivered > this.delivered;
    this.delivered = core.delivered;
    if (this.blockedMs > 0) this.warnBlocked(hasReceived || core.hasPackets);
    else this.polls.look(now, core.polls, () => (core.isAsleep || !core.hasPackets ? null : 'packets'));
  }

  private warnBlocked(hadPackets: boolean): void {
    if (hadPackets) {
      this.warn(`${this.title}: the stack did not poll for ${seconds(this.blockedMs)}: its thread was blocked`);
    }
    this.blockedMs = 0;
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
