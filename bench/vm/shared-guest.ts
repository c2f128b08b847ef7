/**
 * A guest in which contestants drive the same NIC, one after the other. The host writes commands to the guest's input.
 */
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

export const NIC = nicAddress(0);
const BIND = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));
const BOOT_MS = 60_000;
/**
 * How long a contestant may take to start, in ms. In an emulated guest, with a polling backend on the host, Node needs
 * seconds.
 */
const READY_MS = 30_000;
const STOP_MS = 20_000;

/** A line of input starts a contestant, and the next line ends it. testpmd ends with its input, so that is a FIFO. */
const SCRIPT = `
mkfifo /run/no-input; exec 8<>/run/no-input
export RUNTIME_DIRECTORY=/run
echo bound
turn=0
while read -r command; do
  turn=$((turn + 1))
  echo "begin $turn"
  bash -c "exec $command" <&8 & pid=$!
  read -r _
  kill "$pid"; wait "$pid"
  echo "end $turn with $?"
done`;

export class SharedGuest {
  private readonly guest: Child;
  private turn = 0;

  /** @param timeoutSeconds the machine ends after this time */
  constructor(
    private readonly mode: GuestMode,
    netdev: string,
    timeoutSeconds: number,
  ) {
    const bind = `${BIND} ${NIC}${mode === 'no-iommu' ? ' --no-iommu' : ''}`;
    this.guest = Guest.start({
      mode,
      netdevs: [netdev],
      timeout: timeoutSeconds,
      command: ['bash', '-c', `${bind} || exit${SCRIPT}`],
    });
  }

  /** Resolves when the NIC is bound to vfio-pci. */
  async booted(): Promise<void> {
    await this.guest.waitFor(/^bound$/m, BOOT_MS);
  }

  /** Runs a contestant while `work` runs. Rejects when the contestant does not start, or does not end with status 0. */
  async during<T>({ name, command, ready }: Contestant, work: () => Promise<T>): Promise<T> {
    const turn = ++this.turn;
    this.guest.write(`${command}\n`);
    await this.guest.waitFor(new RegExp(`^begin ${turn}$[\\s\\S]*?${ready.source}`, 'm'), READY_MS);
    const result = await work();
    this.guest.write('\n');
    const [, status] = await this.guest.waitFor(new RegExp(`^end ${turn} with (\\d+)$`, 'm'), STOP_MS);
    if (status !== '0') throw new Error(`${name} ended with ${status} (${this.mode}):\n${this.guest.output}`);
    return result;
  }

  async close(): Promise<void> {
    await this.guest.stop();
  }
}
