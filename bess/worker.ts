/**
 * The worker: polls the tasks in turn, and sleeps when there is nothing to do (BESS: worker.cc, scheduler.h).
 *
 * It shares its thread with Node's event loop, on which the control plane runs (vhost-user messages, signals, the
 * control socket). So the memory table of a peer never changes during a burst, and the worker lets the event loop run
 * about once per millisecond.
 */
import { type IdlePolicy, type Polled, pollUntilAborted } from '../drivers/poll-loop.js';
import type { Task, WakeSource } from './modules/module.js';

/** How long a port that cannot wake the worker may wait, in ms: the shortest timer of Node. */
const POLL_ONLY_MS = 1;

export class Worker implements Polled {
  private state: 'stopped' | 'running' | 'asleep' = 'stopped';
  private readonly end = new AbortController();
  /** Ends the sleep, if the worker sleeps. */
  private endSleep: () => void = () => undefined;
  private timer: NodeJS.Timeout | null = null;
  /** Time in which it found something to do, and in which it slept or polled in vain, in ms. */
  busyMs = 0;
  idleMs = 0;
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

  /** Whether it polls: not while it sleeps, nor before `start` and after `stop`. */
  get isPolling(): boolean {
    return this.state === 'running';
  }

  get isAsleep(): boolean {
    return this.state === 'asleep';
  }

  /** Begins to poll at the next turn of the event loop. From now on the worker sets the queues' `onKick`. */
  start(): void {
    for (const source of this.sources) source.onKick = this.wake;
    this.state = 'running';
    setImmediate(() => void this.run());
  }

  /** Stops polling: no task runs after this returns. */
  stop(): void {
    this.wake();
    this.state = 'stopped';
    this.end.abort();
    for (const source of this.sources) source.onKick = null;
  }

  /** Runs each task once. Returns how many packets they moved. */
  poll(): number {
    const { tasks } = this;
    let packets = 0;
    for (let i = 0; i < tasks.length; i++) packets += tasks[i].run();
    return packets;
  }

  /** Makes a sleeping worker poll again, because a peer has kicked, connected or gone. */
  readonly wake = (): void => {
    if (this.state !== 'asleep') return;
    this.disarm(this.sources.length);
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.state = 'running';
    setImmediate(this.endSleep);
  };

  private readonly countTime = (busyMs: number, idleMs: number): void => {
    this.busyMs += busyMs;
    this.idleMs += idleMs;
  };

  private async run(): Promise<void> {
    const sleep = this.policy === 'adaptive' ? () => this.sleep() : undefined;
    try {
      await pollUntilAborted(this, { signal: this.end.signal, sleep, countTime: this.countTime });
    } catch (error) {
      this.stop();
      this.onError(error);
    }
  }

  /** Sleeps until the next kick. Returns null if packets came while kicks were being enabled. */
  private sleep(): Promise<void> | null {
    for (let i = 0; i < this.sources.length; i++) {
      if (this.sources[i].enableKick()) continue;
      this.disarm(i + 1);
      return null;
    }
    this.state = 'asleep';
    if (this.sources.some(({ pollOnly }) => pollOnly)) this.timer = setTimeout(this.wake, POLL_ONLY_MS);
    return new Promise((resolve) => {
      this.endSleep = resolve;
    });
  }

  private disarm(count: number): void {
    for (let i = 0; i < count; i++) this.sources[i].disableKick();
  }
}
