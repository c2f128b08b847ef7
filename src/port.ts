/** A device with the cores that work on it, as the application sees it: {@link SinglePort} or {@link MulticorePort}. */
/// <reference lib="esnext.disposable" preserve="true" />
import type { StopSignal } from '../drivers/stop-signal.js';
import type { ResolvedConfig } from './config.js';
import type { PortCounters } from './counters.js';
import type { CoreError } from './errors.js';
import type { Core } from './link/core.js';
import type { Lease } from './link/dhcp/lease.js';
import type { ConnectionList, ConnectionQuery, TcpFigures } from './link/published.js';
import type { IndirectionTable } from './rss/indirection-table.js';

/** The totals that a stack reports, by name. */
export type StackTotals = Readonly<Record<string, number>>;

/** Our address on the link, as it is now. */
export interface PortAddress {
  /** `10.0.0.1`; `0.0.0.0` while there is none. */
  readonly address: string;
  readonly prefixLength: number;
  /** The router for addresses that are not on the link; null when there is none. */
  readonly gateway: string | null;
}

/** The events of a port, with the arguments of a listener. */
export interface PortEvents {
  /** The link or the backend has gone (`down`) or come back (`up`); `reason` tells why, in one line. */
  link: (state: 'up' | 'down', reason: string) => void;
  /**
   * Our address has changed, by {@link PortBase.setAddress} or by DHCP; `reason` tells why, in one line. The cores have
   * it already.
   */
  address: (address: PortAddress, reason: string) => void;
  /** With `ip: 'dhcp'`: a lease has come, was renewed, or is gone (null); `reason` tells why, in one line. */
  lease: (lease: Lease | null, reason: string) => void;
  /** The stack of a core has failed, and the other cores took its flows over (`onCoreFailure: 'redistribute'`). */
  coreFailure: (core: number, error: CoreError) => void;
  /**
   * With `1kb` and `2kb`: the program of a core has ended its thread with this exit code ({@link EventLoopStack.mayEnd}).
   * The other cores have taken its flows over; when there is none, {@link PortBase.run} resolves.
   */
  coreEnd: (core: number, exitCode: number) => void;
  /** One line about the memory, the network or a stack: an address conflict, a stack that does not poll. */
  warning: (line: string) => void;
}

/** What one thread does at this moment. */
export interface ThreadStatus {
  /** For people: `core 0`, `RxTx worker`. */
  readonly title: string;
  /** False once the thread has ended, as it does when its stack fails. */
  readonly isAlive: boolean;
  /** Whether the thread sleeps. The time of a sleep is counted when the thread wakes. */
  readonly isAsleep: boolean;
  /** What the thread received, sent and dropped, by name. `held_by_stack` is how many buffers its stack has. */
  readonly counters: PortCounters;
}

/** A ring at this moment, in packets. */
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

/** A kernel-bypass thread: it polls the device, and runs no stack. */
export interface WorkerStatus extends ThreadStatus {
  readonly role: 'Rx' | 'Tx' | 'RxTx';
}

/** What all threads of a port do. */
export interface PortStatus {
  readonly cores: readonly CoreStatus[];
  /** The kernel-bypass threads; none with mode `single`, where the core polls the device itself. */
  readonly workers: readonly WorkerStatus[];
}

/** What every port has. */
export interface PortBase {
  readonly config: ResolvedConfig;
  /** The device, as the configuration names it. */
  readonly name: string;
  /**
   * What the device does for packets to send, as of now: OFFLOAD_ bits; 0 with `offloads: 'off'`. The layer does the rest in
   * software.
   */
  readonly offloads: number;
  /** Our MAC address: six bytes. */
  readonly mac: Uint8Array;
  /** Our address. The event `address` tells when it changes. */
  readonly address: PortAddress;
  /** The lease that our address comes from; null unless it comes from a DHCP server (`ip: 'dhcp'`). */
  readonly lease: Lease | null;
  /** Which core gets which flows: 128 entries, which can be read and changed at any time. With one core, all are 0. */
  readonly indirection: IndirectionTable;

  /**
   * Calls `listener` at each event; see {@link PortEvents}. Without a listener, a warning goes to
   * {@link InitOptions.warn}.
   */
  on<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;
  /** As {@link on}, but for one event only. */
  once<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;
  /** Removes a listener of {@link on} or {@link once}. */
  off<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this;

  /**
   * Gives the port another address, and announces it. TCP connections of the old address end with ECONNRESET; listeners
   * stay.
   * @param ip the address and the length of its prefix: `10.0.0.5/24`
   * @param options `gateway`: the router for addresses that are not on the link. Default: none
   * @returns resolves when the port has the address
   * @throws (rejects) ArgumentError when an address is wrong; StateError when the port was stopped, its layer is
   * `ethernet`, or its addresses come from DHCP
   */
  setAddress(ip: string, options?: { readonly gateway?: string }): Promise<void>;

  /** All counters of the layer and of the device, by name. */
  counters(): PortCounters;
  /** What each thread does. */
  status(): PortStatus;
  /**
   * The totals of the stack of each core until now; undefined for one that reports none, that has ended, or whose thread
   * does not answer within half a second.
   */
  totals(): Promise<readonly (StackTotals | undefined)[]>;
  /**
   * What the TCP of each core does, if its stack is one of `tspmd/tcpip`; null for another one, and where {@link totals}
   * gives undefined.
   */
  tcp(): Promise<readonly (TcpFigures | null)[]>;
  /**
   * The TCP connections of all cores that come first in an order, and how many there are. It looks at all of them, 8192 in
   * each turn of the event loop. A core that does not answer within half a second is left out.
   * @throws (rejects) ArgumentError when `limit` is no whole number from 1 on, or `sort` is no order
   */
  connections(query: ConnectionQuery): Promise<ConnectionList>;
  /**
   * Runs the app of the configuration until the signal aborts.
   * @returns the totals of the stack of each core; undefined for a stack that reports none
   * @throws (rejects) with mode `single` what the stack threw, or StateError when the configuration names no app. With
   * `1kb` and `2kb` CoreError when a stack failed and no other core can take its flows over, WorkerError when a
   * kernel-bypass thread failed.
   */
  run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]>;
  /**
   * Sends what is still to be sent, ends waits, resets the device and gives everything back. A second call waits for
   * the first.
   */
  stop(): Promise<void>;
  /** The same as {@link stop}, for `await using port = await init(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A port with mode `single`: one core, on the thread that called `init`. */
export interface SinglePort extends PortBase {
  readonly mode: 'single';
  /**
   * Returns the core.
   * @param index 0, the default
   * @throws ArgumentError for another number.
   */
  core(index?: number): Core;
  /**
   * Switches the offloads of received packets off, or on again, while the port runs: with `false` the device computes and
   * checks nothing for us and merges no segments, as `ethtool -K rx off` does elsewhere. Packets that the device has
   * already may still be of the other kind. It stays so when the device is restarted.
   * @returns resolves when the device has done it, or will do it when it is back
   * @throws (rejects) DeviceError when the device cannot: it was opened without offloads, or has no command for it.
   * StateError when the port was stopped
   */
  setReceiveOffloads(on: boolean): Promise<void>;
}

/** A port with mode `1kb` or `2kb`: its cores are threads that run the app. It has no `core()`. */
export interface MulticorePort extends PortBase {
  readonly mode: '1kb' | '2kb';
}

/** A port of any mode. `if (port.mode === 'single')` tells TypeScript which one it is. */
export type Port = SinglePort | MulticorePort;
