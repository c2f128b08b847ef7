/** A guest in which the contestants drive the same NIC, one after the other, as the host tells it over its input. */
import { fileURLToPath } from 'node:url';
import type { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';

export type GuestMode = 'iommu' | 'no-iommu';

export interface Contestant {
  readonly name: string;
  /** For the guest's shell; ends in good order at SIGTERM. */
  readonly command: string;
  /** What it prints when frames can flow. */
  readonly ready: RegExp;
}

export const NIC = nicAddress(0);
const BIND = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));
const BOOT_MS = 60_000;
/** Emulated, and beside a backend that polls, Node needs seconds to start. */
const READY_MS = 30_000;
const STOP_MS = 20_000;

/** A line of input starts a contestant, the next ends it. Contestants have an input that never ends, for testpmd. */
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

export class Arena {
  private readonly guest: Child;
  private turn = 0;

  /** @param timeoutSeconds after which the machine ends, whatever happens */
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

  /** Runs a contestant for as long as `work` takes; rejects when it does not start or does not end in good order. */
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
