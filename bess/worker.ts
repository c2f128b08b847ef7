/**
 * The worker: polls the tasks in turn, and sleeps when there is nothing to do (BESS: worker.cc, scheduler.h).
 *
 * It shares its thread with Node's event loop, on which the control plane runs (vhost-user messages, signals, the control
 * socket). So a peer's memory never changes while a burst is under way, and the worker gives way about once a
 * millisecond.
 */
import type { Task, WakeSource } from './modules/module.js';

/**
 * `spin`: polls always, as BESS does. `adaptive`: after a while without packets asks the peers for a kick and sleeps.
 */
export type IdlePolicy = 'adaptive' | 'spin';

/** How long the worker keeps the event loop waiting, in ms. */
const SLICE_MS = 1;
/** How long `adaptive` polls without a packet before it sleeps: about what a wake-up costs both sides, in ms. */
const SPIN_MS = 0.1;
/** Rounds over the tasks between two looks at the clock. */
const ROUNDS = 16;
/** How long a port that cannot wake the worker may wait, in ms: the shortest timer of Node. */
const POLL_ONLY_MS = 1;

export class Worker {
  private state: 'stopped' | 'running' | 'asleep' = 'stopped';
  private idleSince = 0;
  private immediate: NodeJS.Immediate | null = null;
  private timer: NodeJS.Timeout | null = null;
  /** The queues behind the tasks. */
  private readonly sources: readonly WakeSource[];

  /** @param onError called once, when a task has thrown; the worker has stopped then */
  constructor(
    private readonly tasks: readonly Task[],
    private readonly policy: IdlePolicy,
    private readonly onError: (error: unknown) => void,
  ) {
    this.sources = tasks.flatMap(({ source }) => source ?? []);
  }

  /** True while it polls; false while it sleeps, and before start and after stop. */
  get isPolling(): boolean {
    return this.state === 'running';
  }

  /** Begins to poll. The queues' onKick is the worker's from now on. */
  start(): void {
    for (const source of this.sources) source.onKick = this.wake;
    this.run();
  }

  /** No task runs any more once this returns. */
  stop(): void {
    if (this.state === 'asleep') this.disarm(this.sources.length);
    this.state = 'stopped';
    for (const source of this.sources) source.onKick = null;
    if (this.immediate) clearImmediate(this.immediate);
    if (this.timer) clearTimeout(this.timer);
  }

  /** Polls again, if it was asleep: a peer has kicked, come or gone. */
  readonly wake = (): void => {
    if (this.state !== 'asleep') return;
    this.disarm(this.sources.length);
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.run();
  };

  private run(): void {
    this.state = 'running';
    this.idleSince = performance.now();
    this.immediate = setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    try {
      if (this.poll()) this.immediate = setImmediate(this.turn);
    } catch (error) {
      this.stop();
      this.onError(error);
    }
  };

  /** Polls for one slice; false when the worker has gone to sleep. */
  private poll(): boolean {
    const tasks = this.tasks;
    let now = performance.now();
    const end = now + SLICE_MS;
    while (now < end) {
      let packets = 0;
      for (let round = 0; round < ROUNDS; round++) {
        for (let i = 0; i < tasks.length; i++) packets += tasks[i].run();
      }
      now = performance.now();
      if (packets > 0) {
        this.idleSince = now;
      } else if (this.policy === 'adaptive' && now - this.idleSince >= SPIN_MS) {
        if (this.sleep()) return false;
        this.idleSince = now;
      }
    }
    return true;
  }

  /** Sleeps until the next kick; false when packets have come while it was arming. */
  private sleep(): boolean {
    for (let i = 0; i < this.sources.length; i++) {
      if (this.sources[i].enableKick()) continue;
      this.disarm(i + 1);
      return false;
    }
    this.state = 'asleep';
    if (this.sources.some(({ pollOnly }) => pollOnly)) this.timer = setTimeout(this.wake, POLL_ONLY_MS);
    return true;
  }

  private disarm(count: number): void {
    for (let i = 0; i < count; i++) this.sources[i].disableKick();
  }
}
