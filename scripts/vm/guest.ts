/**
 * Guests for tests and benchmarks. `run` returns the result of one command; `start` returns a running command to watch.
 */
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import { DEFAULTS, type Machine } from './machine.js';
import { DEFAULT_TIMEOUT_SECONDS, runInGuest } from './run.js';

/** The built lab. The path depends on whether this file runs as source (in a test) or compiled. */
const LAB = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/scripts/vm/main.js' : 'main.js', import.meta.url),
);

export interface GuestOptions extends Partial<Machine> {
  /** Program and arguments. They run as the guest's root, in the current folder. */
  readonly command: readonly string[];
  /** Time limit in seconds, boot included. */
  readonly timeout?: number;
}

export interface GuestStartOptions extends GuestOptions {
  /** The CPU of the host that the machine runs on. Default: all CPUs that this process may use. */
  readonly cpu?: number | undefined;
}

export interface GuestResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class Collector extends Writable {
  private readonly chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.chunks.push(chunk);
    done();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

export const Guest = {
  /**
   * Runs a command in a guest, with an empty standard input. Rejects when the guest fails or the time is over; the
   * message has the output so far.
   */
  async run({ command, timeout = DEFAULT_TIMEOUT_SECONDS, ...machine }: GuestOptions): Promise<GuestResult> {
    const output = new Collector();
    const errors = new Collector();
    try {
      const streams = { input: Readable.from([]), output, errors };
      const code = await runInGuest({ ...DEFAULTS, ...machine }, command, streams, timeout);
      return { code, stdout: output.text, stderr: errors.text };
    } catch (error) {
      if (error instanceof Error) error.message += `; it wrote:\n${output.text}${errors.text}`;
      throw error;
    }
  },

  /** Starts a command in a guest. The caller can wait for its lines; `stop` ends the machine. */
  start({ command, cpu, timeout = DEFAULT_TIMEOUT_SECONDS, ...options }: GuestStartOptions): Child {
    const { mode, cpus, memory, hugepages, netdevs, kernelDriver, virtualTime, share } = { ...DEFAULTS, ...options };
    const numbers = { cpus, memory, hugepages, timeout };
    const args = [
      ...[LAB, 'run', `--${mode}`],
      ...Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]),
      ...netdevs.flatMap((spec) => ['--netdev', spec]),
      ...(kernelDriver ? ['--kernel-driver'] : []),
      ...(virtualTime ? ['--virtual-time'] : []),
      ...(share === undefined ? [] : ['--share', share]),
      ...['--', ...command],
    ];
    if (cpu === undefined) return Child.spawn(process.execPath, args);
    return Child.spawn('taskset', ['-c', String(cpu), process.execPath, ...args]);
  },
};
