/** A device with the cores that work on it, as the application sees it: {@link SinglePort} or {@link MulticorePort}. */
/// <reference lib="esnext.disposable" preserve="true" />
import type { StopSignal } from '../drivers/stop-signal.js';
import type { ResolvedConfig } from './config.js';
import type { PortCounters } from './counters.js';
import type { CoreError } from './errors.js';
import type { Core } from './link/core.js';
import type { IndirectionTable } from './rss/indirection-table.js';

/** Running totals of a stack, by name: the stack's own. */
export type StackTotals = Readonly<Record<string, number>>;

/** What a port tells of, with the arguments of a listener. */
export interface PortEvents {
  /** The link or the backend has gone (`down`) or come back (`up`); `reason` is one line that tells why. */
  link: (state: 'up' | 'down', reason: string) => void;
  /** A core's stack has failed, and the others took its flows over (`onCoreFailure: 'redistribute'`). */
  coreFailure: (core: number, error: CoreError) => void;
  /** One line about the memory, the network or a stack: an address conflict, a stack that does not poll. */
  warning: (line: string) => void;
}

/** What one thread does, as of now. */
export interface ThreadStatus {
  /** For people: `core 0`, `RxTx worker`. */
  readonly title: string;
  /** False once the thread has ended, as it does when its stack fails. */
  readonly isAlive: boolean;
  /** Whether it sleeps. The time that it does is counted when it wakes. */
  readonly isAsleep: boolean;
  /** What it received, sent and dropped, by name. `held_by_stack` is how many buffers its stack has. */
  readonly counters: PortCounters;
}

/** A ring as of now, in packets. */
export interface RingStatus {
  /** Packets that wait. */
  readonly count: number;
  readonly capacity: number;
}

/** A thread that runs the stack. */
export interface CoreStatus extends ThreadStatus {
  /** Number of the core. */
  readonly index: number;
  /** The rings between the core and the kernel-bypass threads; null with mode `single`, which has none. */
  readonly rings: Readonly<Record<'rx_queue' | 'tx_queue', RingStatus>> | null;
}

/** A kernel-bypass thread: it has the device, and runs no stack. */
export interface WorkerStatus extends ThreadStatus {
  readonly role: 'Rx' | 'Tx' | 'RxTx';
}

/** What all threads of a port do. */
export interface PortStatus {
  readonly cores: readonly CoreStatus[];
  /** None with mode `single`: there the core has the device itself. */
  readonly workers: readonly WorkerStatus[];
}

/** What every port has. */
export interface PortBase {
  readonly config: ResolvedConfig;
  /** As the user named the device. */
  readonly name: string;
  /** Own MAC address: six bytes. */
  readonly mac: Uint8Array;
  /** Which core gets which flows: 128 entries, to be looked at and changed at any time. Of one core, all are 0. */
  readonly indirection: IndirectionTable;

  /** Calls `listener` at each event; see {@link PortEvents}. A warning that no listener takes goes to {@link InitOptions.warn}. */
  on<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;
  /** As {@link on}, for one event. */
  once<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;
  /** Ends what {@link on} or {@link once} began. */
  off<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;

  /** All counters of the layer and the device, by name. */
  counters(): PortCounters;
  /** What each thread does. */
  status(): PortStatus;
  /**
   * Runs the app that was named in the configuration until the signal aborts.
   * @returns the totals of each core's stack, as far as it has any.
   * @throws (rejects) with mode `single` what the stack threw; otherwise CoreError when a stack failed and no other core
   * can take over, WorkerError when a kernel-bypass thread failed; StateError when no app was named.
   */
  run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]>;
  /** Sends what is still to be sent, ends waits, resets the device and gives everything back. A second call waits too. */
  stop(): Promise<void>;
  /** As {@link stop}, for `await using port = await init(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A port with mode `single`: one core, on the thread that called `init`. */
export interface SinglePort extends PortBase {
  readonly mode: 'single';
  /**
   * The core.
   * @param index 0, the default
   * @throws ArgumentError when it is another number.
   */
  core(index?: number): Core;
}

/** A port with mode `1kb` or `2kb`: its cores are threads of their own, which run the app. It has no `core()`. */
export interface MulticorePort extends PortBase {
  readonly mode: '1kb' | '2kb';
}

/** A port of any mode. `if (port.mode === 'single')` tells TypeScript which. */
export type Port = SinglePort | MulticorePort;
