/** The switch for programs: {@link openSwitch} runs a script, and returns an object to observe and stop its switch. */
/// <reference lib="esnext.disposable" preserve="true" />
import { basename } from 'node:path';
import { tellErr } from '../drivers/log/event-log.js';
import { messageOf } from '../drivers/log/message-of.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { CaptureWish } from '../observe/capture/sink.js';
import { servedBy } from '../observe/http/address.js';
import { Observer } from '../observe/thread/observer.js';
import { SwitchError } from './errors.js';
import { type DeviceFactory, kindOf } from './ports/pmd-port.js';
import { readScript } from './script/find.js';
import { loadScript } from './script/load.js';
import type { SwitchStats } from './stats.js';
import type { Switch } from './switch.js';

/** Options of {@link openSwitch}. */
export interface OpenSwitchOptions {
  /**
   * The script: a file, the name of a script that comes with tspmd (`forward_script.bess`, `forward_n.bess`,
   * `kernel.bess`), or its text with a name that errors show instead of a file.
   */
  readonly script: string | { readonly name: string; readonly source: string };
  /**
   * Values of `$NAME` in the script, before the environment. A variable that the script does not read gives a warning.
   */
  readonly variables?: Readonly<Record<string, string>>;
  /** What the switch does without packets: sleep until packets come (`adaptive`, the default), or poll on (`spin`). */
  readonly idle?: 'adaptive' | 'spin';
  /**
   * Which memory of a VM the switch accepts: `any` (the default), or only memory that cannot shrink (`sealed`;
   * SECURITY.md).
   */
  readonly peerMemory?: 'any' | 'sealed';
  /**
   * Whether the switch answers `tspmd list` and `tspmd stats`; false by default. Only one switch of a process can. When its
   * socket cannot be made, the switch runs without, and `warn` gets a line.
   */
  readonly control?: boolean;
  /** The name by which `tspmd stats` finds it; by default that of the script, without `.bess`. */
  readonly name?: string;
  /** Where the switch serves metrics for Prometheus, with `control`: an address of this machine, and a TCP port. */
  readonly metrics?: { readonly host: string; readonly port: number };
  /**
   * Whether the switch serves a live page, with `control`: at the address of `metrics`, otherwise for this machine only, at
   * a port that is free.
   */
  readonly page?: boolean;
  /** Called with each line that the script prints; by default stdout gets it. */
  readonly print?: (line: string) => void;
  /** Called with each line about an event at a port, and with each warning; by default stderr gets it. */
  readonly warn?: (line: string) => void;
  /** An AbortSignal. The switch stops when it aborts. */
  readonly signal?: StopSignal;
}

/** The state of a port of a running switch, at the time of the request. */
export interface SwitchPort {
  /** The name of the port in the script. */
  readonly name: string;
  /** The kind of device behind the port. */
  readonly kind: 'vhost-user' | 'tap' | 'af_packet';
  /** The path of the socket, or the name of the interface. */
  readonly address: string;
  /** `up` while a peer is connected and its queues work; for an interface, while it is up. */
  readonly state: 'up' | 'down';
  /** One line that says why the port does not work and what to do; null while the port has no problem. */
  readonly problem: string | null;
}

/** A running switch, from {@link openSwitch}. */
export interface RunningSwitch {
  /** The script's file, or the name that was given with its text. */
  readonly script: string;
  /** The ports in the order in which the script made them. Empty when the switch has stopped. */
  readonly ports: readonly SwitchPort[];
  /** The TCP port of its metrics and its page; 0 when it serves none. */
  readonly metricsPort: number;
  /** Number of modules that the script made. 0 when the switch has stopped. */
  readonly modules: number;
  /**
   * Resolves when the switch has stopped and its sockets are removed. Rejects with a {@link SwitchError} if an error
   * stopped it. The program need not handle this rejection.
   */
  readonly closed: Promise<void>;
  /** Takes a snapshot of all counters. When the switch has stopped, returns the last one. */
  stats(): SwitchStats;
  /** Stops forwarding, disconnects all peers and removes the sockets. Later calls return the same promise. */
  stop(): Promise<void>;
  /** The same as {@link RunningSwitch.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The name of a switch without one of its own. */
const nameOf = (script: string): string => basename(script).replace(/\.bess$/, '');

class OpenedSwitch implements RunningSwitch {
  readonly closed: Promise<void>;
  private resolveClosed: () => void = () => undefined;
  private rejectClosed: (error: SwitchError) => void = () => undefined;
  private stopping: Promise<void> | null = null;
  private last: SwitchStats | null = null;
  private observing: Promise<Observer> | null = null;
  private observer: Observer | null = null;
  private readonly onAbort = (): void => {
    // `closed` reports the error.
    this.stop().catch(() => undefined);
  };

  constructor(
    private readonly bess: Switch,
    readonly script: string,
    private readonly signal: StopSignal | undefined,
  ) {
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    this.closed.catch(() => undefined);
    bess.onError = (error) => {
      this.end(switchError(error)).catch(() => undefined);
    };
  }

  get ports(): SwitchPort[] {
    return this.bess.ports.attached.map(({ port, vdev }) => ({
      name: port.name,
      kind: kindOf(vdev),
      address: vdev.iface,
      state: port.device.isUp ? 'up' : 'down',
      problem: port.device.problem,
    }));
  }

  get metricsPort(): number {
    return this.observer?.servedPort ?? 0;
  }

  get modules(): number {
    return this.bess.graph.all.length;
  }

  /** Starts the switch. Rejects with a SwitchError if it cannot start; it is stopped then. */
  async start(options: OpenSwitchOptions): Promise<void> {
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    try {
      await this.bess.start();
      if (options.control) {
        this.observing = this.observe(options);
        this.observer = await this.observing;
      }
    } catch (error) {
      await this.stop();
      throw switchError(error);
    }
    if (!this.signal?.aborted) return;
    await this.stop();
    throw aborted();
  }

  private observe({ name = nameOf(this.script), metrics, page, warn }: OpenSwitchOptions): Promise<Observer> {
    const devices = this.ports.map(({ address }) => address);
    const info = { kind: 'switch', name, state: 'ready', devices, address: null, mode: null } as const;
    const module = new URL('./switch-metrics.js', import.meta.url).href;
    return Observer.start(
      info,
      {
        stats: () => ({ switch: this.stats() }),
        openCapture: (wish) => this.bess.capture.begin(wish as unknown as CaptureWish),
        closeCapture: ({ id }) => this.bess.capture.close(id as number),
      },
      {
        serve: servedBy({ metrics, page }, module),
        onFault: warn ?? tellErr,
      },
    );
  }

  stats(): SwitchStats {
    return this.last ?? this.bess.stats();
  }

  stop(): Promise<void> {
    return this.end(null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Stops the switch. Later calls return the promise of the first one.
   * @param failure the error with which `closed` rejects; null: the program stopped the switch
   */
  private end(failure: SwitchError | null): Promise<void> {
    this.stopping ??= this.close().then(
      () => (failure === null ? this.resolveClosed() : this.rejectClosed(failure)),
      (error: unknown) => {
        const reason = failure ?? switchError(error);
        this.rejectClosed(reason);
        throw reason;
      },
    );
    return this.stopping;
  }

  private async close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.onAbort);
    const unobserved = this.observing?.then(
      (observer) => observer.close(),
      () => undefined,
    );
    this.last = this.bess.stats();
    try {
      await this.bess.stop();
    } finally {
      await unobserved;
    }
  }
}

/** As {@link openSwitch}, with a choice of devices, for tests. */
export async function openSwitchOn(options: OpenSwitchOptions, devices?: DeviceFactory): Promise<RunningSwitch> {
  const { script, variables = {}, idle = 'adaptive', peerMemory = 'any', signal } = options;
  checkChoice('idle', idle, ['adaptive', 'spin']);
  checkChoice('peerMemory', peerMemory, ['any', 'sealed']);
  if (typeof script !== 'string' && typeof script?.source !== 'string') {
    throw new SwitchError('ERR_TSPMD_CONFIG', 'script: expected a file name or { name, source }');
  }
  if (signal?.aborted) throw aborted();
  const text = typeof script === 'string' ? readScript(script) : script;
  const bess = await loadScript(text, variables, {
    idle,
    peerFiles: peerMemory,
    ...(options.print === undefined ? {} : { print: options.print }),
    ...(options.warn === undefined ? {} : { log: options.warn }),
    ...(devices === undefined ? {} : { devices }),
  });
  const opened = new OpenedSwitch(bess, text.name, signal);
  await opened.start(options);
  return opened;
}

/**
 * Runs a `.bess` script: makes its ports, and forwards packets until it is stopped. The ports listen when the promise
 * resolves.
 *
 * @returns the switch. The caller owns it, and stops it with `stop()` or the signal.
 * @throws (rejects) {@link ScriptError}, with the place in the script, if the script has a mistake or a port cannot be
 * made;
 *   {@link SwitchError} if anything else fails. No socket, device or process is left behind.
 *
 * ```ts
 * import { openSwitch } from 'tspmd/switch';
 *
 * const sw = await openSwitch({ script: 'forward_script.bess', variables: { VM1_SOCKET: '/run/vm1.sock' } });
 * process.once('SIGINT', () => sw.stop());
 * for (const { name, kind, address, state } of sw.ports) console.log(name, kind, address, state);
 * await sw.closed; // resolves after stop(), rejects when the switch fails
 * console.log(sw.stats().summary);
 * ```
 */
export function openSwitch(options: OpenSwitchOptions): Promise<RunningSwitch> {
  return openSwitchOn(options);
}

/** Throws if an option's value is not one of its choices. */
function checkChoice(option: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new SwitchError('ERR_TSPMD_CONFIG', `${option}: '${value}' is none of ${choices.join(', ')}`);
}

function aborted(): SwitchError {
  return new SwitchError('ERR_TSPMD_ABORTED', 'the signal was aborted before the switch ran');
}

/** Makes a SwitchError of anything that was thrown. */
function switchError(error: unknown): SwitchError {
  if (error instanceof SwitchError) return error;
  const message = messageOf(error);
  return new SwitchError('ERR_TSPMD_SWITCH', message, { cause: error });
}
