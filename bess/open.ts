/** A switch as a program holds it: opened with a script, asked for its ports and counters, stopped. */
/// <reference lib="esnext.disposable" preserve="true" />
import type { StopSignal } from '../drivers/stop-signal.js';
import { ControlSocket } from './control.js';
import { SwitchError } from './errors.js';
import type { DeviceFactory } from './ports/pmd-port.js';
import { readScript } from './script/find.js';
import { loadScript } from './script/load.js';
import type { SwitchStats } from './stats.js';
import type { Switch } from './switch.js';

/** How {@link openSwitch} opens a switch. */
export interface OpenSwitchOptions {
  /**
   * The script: a file, the name of one that comes with tspmd (`forward_script.bess`, `forward_n.bess`, `kernel.bess`), or its
   * text with a name, which stands for the file in errors.
   */
  readonly script: string | { readonly name: string; readonly source: string };
  /** What `$NAME` is in the script; the environment has the others. One that the script does not read gives a warning. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What the switch does without packets: sleeps until some come (`adaptive`, the default), or goes on polling (`spin`). */
  readonly idle?: 'adaptive' | 'spin';
  /** Which memory of a VM the switch takes: `any`, the default, or only such as cannot shrink (`sealed`; SECURITY.md). */
  readonly peerMemory?: 'any' | 'sealed';
  /** Answer `tspmd switch --stats`; false by default. One switch of a process can. */
  readonly control?: boolean;
  /** Gets what the script prints, line by line; stdout where nothing is said. */
  readonly print?: (line: string) => void;
  /** Gets what happens to the ports, and what the user should know, line by line; stderr where nothing is said. */
  readonly warn?: (line: string) => void;
  /** Stops the switch when it aborts: an AbortSignal. */
  readonly signal?: StopSignal;
}

/** A port of a running switch, as it was when it was asked for. */
export interface SwitchPort {
  /** The name that the script gave it. */
  readonly name: string;
  readonly kind: 'vhost-user' | 'tap';
  /** The path of the socket, or the name of the interface. */
  readonly address: string;
  /** `up` while a peer is connected and its queues work, or while the interface is up. */
  readonly state: 'up' | 'down';
  /** What keeps the port from working, and what to do about it, as a line; null when nothing does. */
  readonly problem: string | null;
}

/** A switch that runs; {@link openSwitch} makes it. */
export interface RunningSwitch {
  /** The script's file, or the name that was given with its text. */
  readonly script: string;
  /** The ports in the order in which the script made them; empty once the switch has stopped. */
  readonly ports: readonly SwitchPort[];
  /** How many modules the script made; 0 once the switch has stopped. */
  readonly modules: number;
  /**
   * Resolves when the switch has stopped and its sockets are gone. Rejects with a {@link SwitchError} when an error has stopped
   * it; a rejection that nobody awaits is no unhandled one.
   */
  readonly closed: Promise<void>;
  /** A snapshot of all counters; once the switch has stopped, the last one. */
  stats(): SwitchStats;
  /** Stops forwarding, disconnects all peers and removes the sockets. May be called again. */
  stop(): Promise<void>;
  /** The same as {@link RunningSwitch.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

class OpenedSwitch implements RunningSwitch {
  readonly closed: Promise<void>;
  private resolveClosed: () => void = () => undefined;
  private rejectClosed: (error: SwitchError) => void = () => undefined;
  private stopping: Promise<void> | null = null;
  private last: SwitchStats | null = null;
  private control: ControlSocket | null = null;
  private readonly onAbort = (): void => {
    // What goes wrong is told by `closed`.
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
      kind: vdev.driver === 'tap' ? 'tap' : 'vhost-user',
      address: vdev.iface,
      state: port.device.isUp ? 'up' : 'down',
      problem: port.device.problem,
    }));
  }

  get modules(): number {
    return this.bess.graph.all.length;
  }

  async start(answers: boolean): Promise<void> {
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    try {
      await this.bess.start();
      if (answers) this.control = await ControlSocket.open(() => this.stats());
    } catch (error) {
      await this.stop();
      throw switchError(error);
    }
    if (!this.signal?.aborted) return;
    await this.stop();
    throw aborted();
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

  /** @param failure what `closed` is to tell; null: the switch was told to stop */
  private end(failure: SwitchError | null): Promise<void> {
    this.stopping ??= this.close().then(
      () => (failure === null ? this.resolveClosed() : this.rejectClosed(failure)),
      (error: unknown) => {
        const told = failure ?? switchError(error);
        this.rejectClosed(told);
        throw told;
      },
    );
    return this.stopping;
  }

  private async close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.onAbort);
    this.last = this.bess.stats();
    try {
      await this.control?.close();
    } finally {
      await this.bess.stop();
    }
  }
}

/** As {@link openSwitch}, with devices of the caller's choice: what the tests use. */
export async function openSwitchOn(options: OpenSwitchOptions, devices?: DeviceFactory): Promise<RunningSwitch> {
  const { script, variables = {}, idle = 'adaptive', peerMemory = 'any', control = false, signal } = options;
  checkChoice('idle', idle, ['adaptive', 'spin']);
  checkChoice('peerMemory', peerMemory, ['any', 'sealed']);
  if (typeof script !== 'string' && typeof script?.source !== 'string') {
    throw new SwitchError('ERR_TSPMD_CONFIG', 'script: a file, or { name, source }, is missing');
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
  await opened.start(control);
  return opened;
}

/**
 * Runs a `.bess` script: makes its ports, and forwards until it is stopped. The ports listen when this resolves.
 *
 * @returns the switch, which is the caller's to stop
 * @throws ScriptError for a script that is wrong, or whose ports cannot be made, with its place; {@link SwitchError} for what
 *   else is in the way. Nothing is left behind then.
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

function checkChoice(option: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new SwitchError('ERR_TSPMD_CONFIG', `${option}: '${value}' is none of ${choices.join(', ')}`);
}

function aborted(): SwitchError {
  return new SwitchError('ERR_TSPMD_ABORTED', 'the switch was told to stop before it ran');
}

function switchError(error: unknown): SwitchError {
  if (error instanceof SwitchError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new SwitchError('ERR_TSPMD_SWITCH', message, { cause: error });
}
