/** What a process of tspmd says of itself: `tspmd list` shows it. */

/** The commands whose processes can be observed. */
export const PROCESS_KINDS = ['run', 'exec', 'switch'] as const;
export type ProcessKind = (typeof PROCESS_KINDS)[number];

export interface ProcessInfo {
  readonly kind: ProcessKind;
  /** The name of the app, the program or the script, or what `--name` says. */
  readonly name: string;
  /** `starting` until packets can flow: a process waits for a backend, or for an address. */
  readonly state: 'starting' | 'ready';
  /** The devices as people name them: `tap:tap0`, `0000:00:04.0`; for a switch the sockets and interfaces of its ports. */
  readonly devices: readonly string[];
  /** `10.0.0.1/24`; null for a switch, and while there is none. */
  readonly address: string | null;
  /** The thread layout; null for a switch. */
  readonly mode: 'single' | '1kb' | '2kb' | null;
}

/** What the process adds when it is asked. */
export interface RunningProcess extends ProcessInfo {
  readonly pid: number;
  /** The version of tspmd. */
  readonly version: string;
  /** Time since the start of the process, in seconds. */
  readonly uptime: number;
  /** With the counters: how long the event loop of the main thread took to see the question, in seconds. */
  readonly loopDelay?: number;
}

/** The counters of a process: `port` of `run` and `exec`, `switch` of `switch`; those who send and print them know what they are. */
export interface ProcessStats {
  readonly process: RunningProcess;
  readonly port?: unknown;
  readonly switch?: unknown;
}

/** Whether a word names the process: its process id, its name, or one of its devices, also without `tap:` or `vhost-user:`. */
export function isNamed(word: string, { pid, name, devices }: RunningProcess): boolean {
  const names = devices.flatMap((device) => [device, device.replace(/^(?:tap|vhost-user):/, '')]);
  return word === String(pid) || word === name || names.includes(word);
}
