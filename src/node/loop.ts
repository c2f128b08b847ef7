/**
 * The loop that drives a stack beside a Node program: one poll per turn of the event loop while packets come, so that
 * what the program does in ticks, promises and timers has its turn after each poll; asleep on the device otherwise.
 */
import { NextTurn } from '../../drivers/next-turn.js';
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { Core } from '../link/core.js';
import type { TcpIp } from '../tcpip/index.js';
import type { LinkWatch } from './link-watch.js';
import type { Refs } from './refs.js';

/** How long the loop polls in vain before it sleeps: about what a sleep and a wake-up cost. */
const IDLE_MS = 0.1;

export class Loop {
  private idleSince = 0;
  private isStopped = false;
  private readonly nextTurn = new NextTurn();
  private resolve: () => void = () => {};
  private reject: (error: unknown) => void = () => {};

  constructor(
    private readonly core: Core,
    private readonly stack: TcpIp,
    private readonly refs: Refs,
    private readonly link: LinkWatch,
  ) {}

  /**
   * Runs until the signal aborts.
   * @throws (rejects) what the layer below throws
   */
  run(signal: StopSignal): Promise<void> {
    const stop = (): void => {
      this.isStopped = true;
      this.core.wake();
    };
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    return new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.idleSince = performance.now();
      this.stack.defer = true;
      this.turn();
    }).finally(() => {
      this.stack.defer = false;
      signal.removeEventListener('abort', stop);
      this.link.close();
    });
  }

  private readonly turn = (): void => {
    if (this.isStopped) {
      this.resolve();
      return;
    }
    try {
      if (this.stack.poll() > 0) this.idleSince = performance.now();
      else this.link.look();
      const isIdle = this.core.idle !== 'spin' && performance.now() - this.idleSince >= IDLE_MS;
      // An immediate would not run in a process that waits for a timer, unless it kept the process alive.
      if (isIdle || !this.refs.isReferenced) this.sleep();
      else setImmediate(this.turn);
    } catch (error) {
      this.reject(error);
    }
  };

  private sleep(): void {
    this.link.look();
    const timeoutMs = this.stack.maxSleepMs();
    if (timeoutMs <= 0 && this.refs.isReferenced) {
      setImmediate(this.turn);
      return;
    }
    this.core.waitForPackets({ timeoutMs: Math.max(timeoutMs, 1) }).then(this.woken, this.reject);
  }

  private readonly woken = (): void => {
    this.link.look();
    this.idleSince = performance.now();
    // In a turn of its own: a call of the program has ended the sleep, maybe, and what follows from the call must not
    // come before the program's own ticks and promises.
    if (this.isStopped) this.turn();
    else {
      this.nextTurn.keepAlive(this.refs.isReferenced);
      this.nextTurn.run(this.turn);
    }
  };
}
