/** A device with the cores that work on it, as the application sees it; the same for all thread layouts. */
import type { DeviceCounters, NetDevice } from '../drivers/net-device.js';
import type { ResolvedConfig } from './config.js';
import type { IndirectionTable } from './rss/indirection-table.js';
import { runStack } from './run-loop.js';
import type { SingleCore } from './single-core.js';
import type { EventLoopStack, Stack } from './stack.js';

/** Link state changes: `up` or `down`, and a line that tells why. */
export type LinkListener = (state: 'up' | 'down', reason: string) => void;

/** Running totals of a stack, by name. */
export type StackTotals = Readonly<Record<string, number>>;

/** What one thread does, as of now. */
export interface CoreStatus {
  /** `core 0`; `RxTx worker` or `Rx worker` and `Tx worker` for the threads that have the device. */
  readonly title: string;
  /** Number of the core; -1 for a thread that has the device. */
  readonly index: number;
  /** False once its stack has failed. */
  readonly isAlive: boolean;
  /** Whether it sleeps. The time that it does is counted when it wakes. */
  readonly isAsleep: boolean;
  /** Its counters, by name: what it received, sent and dropped. */
  readonly counters: DeviceCounters;
  /** Packets that wait in its rings, and how many places there are; null for a thread that has none of its own. */
  readonly rings: Readonly<
    Record<'rx_queue' | 'tx_queue', { readonly count: number; readonly capacity: number }>
  > | null;
}

/** What went wrong with a thread that has the device: no stack's fault. */
export class PortFault extends Error {
  override readonly name = 'PortFault';
}

export interface Port {
  readonly config: ResolvedConfig;
  /** As the user named the device. */
  readonly name: string;
  /** Own MAC address: six bytes. */
  readonly mac: Uint8Array;
  /** Which core gets which flows: 128 entries, to be looked at and changed at any time. Of one core, all are 0. */
  readonly indirection: IndirectionTable;
  /** Called when the link or the backend goes or comes back. */
  onLink: LinkListener | null;
  /** Called when a core's stack has failed and the others took its flows over (`onCoreFailure: 'redistribute'`). */
  onCoreFailure: ((core: number, error: Error) => void) | null;
  /**
   * The core of this thread.
   * @throws Error where the cores are threads of their own: there the app has them.
   */
  core(index?: number): SingleCore;
  /** All counters of the layer and the device, by name. */
  counters(): DeviceCounters;
  /** Each core by itself. */
  cores(): readonly CoreStatus[];
  /** The threads that have the device, where it is not the core itself. */
  workers(): readonly CoreStatus[];
  /**
   * Runs the app that was named in the configuration until the signal aborts.
   * @returns the totals of each core's stack, as far as it has any; rejects with what the stack threw, or what went wrong
   * with a thread of the port.
   */
  run(signal: AbortSignal): Promise<readonly (StackTotals | undefined)[]>;
  /** Sends what is still to be sent, ends waits, resets the device and gives everything back. A second call waits too. */
  stop(): Promise<void>;
}

/** The port of Case I: one core, on the thread that called `init`. */
export class SinglePort implements Port {
  onLink: LinkListener | null = null;
  onCoreFailure: ((core: number, error: Error) => void) | null = null;
  private stopping: Promise<void> | null = null;

  /** For {@link init} alone. */
  constructor(
    readonly config: ResolvedConfig,
    private readonly device: NetDevice,
    private readonly only: SingleCore,
    private readonly stack: Stack | EventLoopStack | null,
  ) {
    device.onLink = (state, reason) => {
      if (this.stopping !== null) return;
      if (state === 'up') only.announce();
      this.onLink?.(state, reason);
    };
    device.onAnnounce = () => {
      if (this.stopping === null) only.announce();
    };
  }

  get name(): string {
    return this.device.name;
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  get indirection(): IndirectionTable {
    return this.only.indirection;
  }

  core(index = 0): SingleCore {
    if (index !== 0) throw new RangeError(`core ${index}: this port has 1`);
    return this.only;
  }

  counters(): DeviceCounters {
    return this.only.counters();
  }

  cores(): readonly CoreStatus[] {
    const { only } = this;
    return [
      { title: 'core 0', index: 0, isAlive: true, isAsleep: only.isAsleep, counters: only.counters(), rings: null },
    ];
  }

  workers(): readonly CoreStatus[] {
    return [];
  }

  async run(signal: AbortSignal): Promise<readonly (StackTotals | undefined)[]> {
    if (this.stack === null) throw new Error(`run: no app was named in the configuration of ${this.name}`);
    await runStack(this.only, this.stack, { signal });
    return [this.stack.report?.()];
  }

  stop(): Promise<void> {
    if (this.stopping === null) {
      this.only.close();
      this.stopping = this.device.close().then(() => {
        // What found no room in the ring is lost now, and counted.
        this.only.flush();
      });
    }
    return this.stopping;
  }
}
