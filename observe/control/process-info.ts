/** What a process of tspmd says of itself: `tspmd list` shows it. */

/** The commands whose processes can be observed. */
export const PROCESS_KINDS = ['run', 'exec', 'switch'] as const;
export type ProcessKind = (typeof PROCESS_KINDS)[number];

const STATES = ['starting', 'ready'] as const;
const MODES = ['single', '1kb', '2kb', null] as const;

export interface ProcessInfo {
  readonly kind: ProcessKind;
  /** The name of the app, the program or the script, or what `--name` says. */
  readonly name: string;
  /** `starting` until packets can flow: a process waits for a backend, or for an address. */
  readonly state: (typeof STATES)[number];
  /** The devices as people name them: `tap:tap0`, `0000:00:04.0`; for a switch the sockets and interfaces of its ports. */
  readonly devices: readonly string[];
  /** `10.0.0.1/24`; null for a switch, and while there is none. */
  readonly address: string | null;
  /** The thread layout; null for a switch. */
  readonly mode: (typeof MODES)[number];
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

/** The most characters of a text, and the most devices, that a process may have. */
const MAX_TEXT = 256;
const MAX_DEVICES = 256;

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_TEXT;

/** Whether a value that somebody has sent is what it should be, in every field. */
export function isRunningProcess(value: unknown): value is RunningProcess {
  if (typeof value !== 'object' || value === null) return false;
  const about = value as Partial<Record<keyof RunningProcess, unknown>>;
  const { kind, state, mode, pid, uptime, loopDelay = 0, devices } = about;
  return (
    [about.name, about.version].every(isText) &&
    (about.address === null || isText(about.address)) &&
    Array.isArray(devices) &&
    devices.length <= MAX_DEVICES &&
    devices.every(isText) &&
    [pid, uptime, loopDelay].every((number) => typeof number === 'number' && Number.isFinite(number)) &&
    (PROCESS_KINDS as readonly unknown[]).includes(kind) &&
    (STATES as readonly unknown[]).includes(state) &&
    (MODES as readonly unknown[]).includes(mode)
  );
}

/**
 * Whether a word names the process: its process id, its name, or one of its devices, also without `tap:` or
 * `vhost-user:` and without options.
 */
export function isNamed(word: string, { pid, name, devices }: RunningProcess): boolean {
  const names = devices.flatMap((device) => {
    const [plain] = device.split(',');
    return [device, plain, plain.replace(/^(?:tap|vhost-user):/, '')];
  });
  return word === String(pid) || word === name || names.includes(word);
}
