/**
 * A guest in which contestants drive the same NIC, one after the other. The host writes commands to the guest's input.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';

export type GuestMode = 'iommu' | 'no-iommu';

export interface Contestant {
  readonly name: string;
  /** A command for the guest's shell. It must end with status 0 at SIGTERM. */
  readonly command: string;
  /** Matches its output when frames can flow. */
  readonly ready: RegExp;
}

export interface SharedGuestOptions {
  readonly mode: GuestMode;
  /** The `--netdev` of the NIC. */
  readonly netdev: string;
  /** The machine ends after this time. */
  readonly timeoutSeconds: number;
  /** A command for the guest's shell that runs once, before all contestants. Default: it binds the NIC to vfio-pci. */
  readonly prepare?: string;
  /** Whether the guest's kernel has a driver for the NIC. Default: it has none. */
  readonly kernelDriver?: boolean;
  /** The host's CPU that the machine runs on. Default: all CPUs of the benchmark. */
  readonly cpu?: number;
}

export const NIC = nicAddress(0);
export const BIND = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));
const BOOT_MS = 60_000;
/**
 * How long a contestant may take to start, in ms. In an emulated guest, with a polling backend on the host, Node needs
 * seconds.
 */
const READY_MS = 60_000;
const STOP_MS = 20_000;
const ANSWER_MS = 20_000;

/** Asks for the first line of /proc/stat. The shell answers, not the contestant. */
const STAT = 'stat';

/**
 * A line of input starts a contestant. The next lines are for it, and an empty line ends it. testpmd ends with its input,
 * so that is a FIFO which never ends.
 */
const SCRIPT = `
mkfifo /run/input; exec 8<>/run/input
export RUNTIME_DIRECTORY=/run
echo bound
turn=0
while read -r command; do
  turn=$((turn + 1))
  echo "begin $turn"
  bash -c "exec $command" <&8 & pid=$!
  while read -r line && [ -n "$line" ]; do
    if [ "$line" = ${STAT} ]; then read -r line </proc/stat; echo "stat $line"; else echo "$line" >&8; fi
  done
  kill "$pid"; wait "$pid"
  echo "end $turn with $?"
done`;

export class SharedGuest {
  private readonly guest: Child;
  private readonly mode: GuestMode;
  private turn = 0;

  constructor({ mode, netdev, timeoutSeconds, prepare, kernelDriver = false, cpu }: SharedGuestOptions) {
    this.mode = mode;
    const bind = `${BIND} ${NIC}${mode === 'no-iommu' ? ' --no-iommu' : ''}`;
    this.guest = Guest.start({
      ...{ mode, netdevs: [netdev], kernelDriver, cpu },
      timeout: timeoutSeconds,
      command: ['bash', '-c', `${prepare ?? bind} || exit${SCRIPT}`],
    });
  }

  /** The process that is the machine. */
  get machinePid(): number {
    const { pid } = this.guest;
    const [machine] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    if (!machine) throw new Error('the machine has ended');
    return Number(machine);
  }

  get isRunning(): boolean {
    return this.guest.isRunning;
  }

  /** What the guest has written until now. */
  get output(): string {
    return this.guest.output;
  }

  /** Resolves when the contestants can begin. */
  async booted(): Promise<void> {
    await this.guest.waitFor(/^bound$/m, BOOT_MS);
  }

  /** Runs a contestant while `work` runs. Rejects when the contestant does not start, or does not end with status 0. */
  async during<T>(contestant: Contestant, work: () => Promise<T>): Promise<T> {
    await this.begin(contestant);
    const result = await work();
    this.guest.write('\n');
    const [, status] = await this.guest.waitFor(new RegExp(`^end ${this.turn} with (\\d+)$`, 'm'), STOP_MS);
    if (status !== '0')
      throw new Error(`${contestant.name} ended with ${status} (${this.mode}):\n${this.guest.output}`);
    return result;
  }

  /** Starts a contestant. Resolves when frames can flow. */
  async begin({ command, ready }: Contestant): Promise<void> {
    const turn = ++this.turn;
    this.guest.write(`${command}\n`);
    await this.guest.waitFor(new RegExp(`^begin ${turn}$[\\s\\S]*?${ready.source}`, 'm'), READY_MS);
  }

  /** Sends a line to the contestant that runs, which answers with `=`, a number, and JSON: `answerRequests`. */
  async ask<T>(line: string): Promise<T> {
    return JSON.parse(await this.answer(line, /^=\d+ (.*)\r?\n/m)) as T;
  }

  /** Returns the line `cpu` of the guest's /proc/stat. Only while a contestant runs. */
  stat(): Promise<string> {
    return this.answer(STAT, /^stat (.*)\r?\n/m);
  }

  async close(): Promise<void> {
    await this.guest.stop();
  }

  private async answer(line: string, pattern: RegExp): Promise<string> {
    const from = this.guest.output.length;
    this.guest.write(`${line}\n`);
    const [, answer] = await this.guest.waitFor(pattern, ANSWER_MS, from);
    return answer;
  }
}
