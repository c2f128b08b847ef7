/**
 * Notices a stack that does not poll (does not call getRxCount) for a second although packets wait for it. It looks a few
 * times a second at numbers that are there anyway: nothing is counted per packet for it.
 */
import type { WarningSink } from './warnings.js';

/** How long a stack may leave its packets where they are, in ms. */
export const QUIET_MS = 1000;
/** How often somebody looks, in ms. */
const LOOK_MS = 250;

/** Somebody who looks at a stack now and then. */
export interface Watch {
  /** @param now milliseconds, monotonic */
  look(now: number): void;
}

/** Looks every 250 ms, until the function that is returned is called. Keeps no process alive. */
export function watchEvery(watches: readonly Watch[]): () => void {
  const timer = setInterval(() => {
    const now = performance.now();
    for (const watch of watches) watch.look(now);
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A core in a thread of its own, as far as another thread can see. */
export interface WatchedThread {
  /** False once its thread has ended. */
  readonly isAlive: boolean;
  readonly isAsleep: boolean;
  /** A number that changes when the stack polls. */
  readonly progress: number;
  /** How many packets wait in its `rx_queue`. */
  readonly waiting: number;
}

/** Watches a core from another thread: one line when it has stopped polling, and one when it goes on. */
export class ThreadWatch implements Watch {
  private progress = Number.NaN;
  private since = 0;
  private isQuiet = false;
  private lastLook = 0;

  constructor(
    private readonly title: string,
    private readonly core: WatchedThread,
    private readonly warn: WarningSink,
  ) {}

  look(now: number): void {
    const { progress, waiting, isAlive, isAsleep } = this.core;
    const isMoving = progress !== this.progress;
    this.progress = progress;
    // Nobody has looked for long: the core may have slept until just now.
    const isLate = now - this.lastLook >= QUIET_MS;
    this.lastLook = now;
    if (isMoving || !isAlive) {
      if (this.isQuiet && isAlive)
        this.warn(`${this.title}: the stack polls again, after ${seconds(now - this.since)}`);
      this.isQuiet = false;
    }
    if (this.isQuiet) return;
    if (isMoving || isLate || !isAlive || isAsleep || waiting === 0) {
      this.since = now;
    } else if (now - this.since >= QUIET_MS) {
      this.isQuiet = true;
      this.warn(
        `${this.title}: the stack has not polled for ${seconds(now - this.since)}, and ${waiting} packets wait for it`,
      );
    }
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
 * Watches a core on its own thread. While the stack blocks this thread nobody can look: that it did is told afterwards,
 * when the packets that waited meanwhile have had the time to come.
 */
export class OwnThreadWatch implements Watch {
  private polls = Number.NaN;
  private since = 0;
  private isQuiet = false;
  private lastLook = Number.NaN;
  private delivered = 0;
  /** For how long the thread was blocked, until that is told. */
  private blockedMs = 0;

  constructor(
    private readonly title: string,
    private readonly core: WatchedCore,
    private readonly warn: WarningSink,
  ) {}

  look(now: number): void {
    const { core } = this;
    const gap = now - this.lastLook;
    this.lastLook = now;
    if (gap >= QUIET_MS + LOOK_MS) {
      // Whether packets waited shows at the next look.
      this.blockedMs = gap - LOOK_MS;
      this.since = now;
      this.polls = core.polls;
      return;
    }
    const had = core.delivered > this.delivered;
    this.delivered = core.delivered;
    if (this.blockedMs > 0) this.tellBlocked(had);
    else this.lookAtPolls(now);
  }

  private tellBlocked(had: boolean): void {
    if (had || this.core.hasPackets) {
      this.warn(`${this.title}: the stack did not poll for ${seconds(this.blockedMs)}: its thread was blocked`);
    }
    this.blockedMs = 0;
  }

  private lookAtPolls(now: number): void {
    const { polls, isAsleep } = this.core;
    const isMoving = polls !== this.polls;
    this.polls = polls;
    if (this.isQuiet) {
      if (!isMoving) return;
      this.isQuiet = false;
      this.warn(`${this.title}: the stack polls again, after ${seconds(now - this.since)}`);
    }
    if (isMoving || isAsleep || !this.core.hasPackets) {
      this.since = now;
    } else if (now - this.since >= QUIET_MS) {
      this.isQuiet = true;
      this.warn(`${this.title}: the stack has not polled for ${seconds(now - this.since)}, and packets wait for it`);
    }
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
