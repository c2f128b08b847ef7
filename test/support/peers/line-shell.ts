/** A bash in another place, a guest or a network namespace, that gets one line after the other from a test. */
import type { Child } from '../../../scripts/child.js';
import type { NetworkNamespace } from '../../../scripts/netns.js';
import { Guest, type GuestOptions } from '../../../scripts/vm/guest.js';
import type { Finished } from './kernel-lab.js';

const BOOT_TIMEOUT_MS = 120_000;

export class LineShell {
  private commands = 0;

  private constructor(private readonly bash: Child) {}

  /** Boots a guest and runs the lines of `setUp` in it; resolves when they are done. */
  static async inGuest(machine: Omit<GuestOptions, 'command'>, setUp: string): Promise<LineShell> {
    const shell = new LineShell(Guest.start({ ...machine, command: ['bash'] }));
    try {
      const { code, output } = await shell.run(`(set -e\n${setUp}\n)`, BOOT_TIMEOUT_MS);
      if (code !== 0) throw new Error(`the guest is not set up: ${output}`);
    } catch (error) {
      await shell.stop();
      throw error;
    }
    return shell;
  }

  static inNamespace(namespace: NetworkNamespace): LineShell {
    return new LineShell(namespace.spawn('bash'));
  }

  /** Runs lines of shell. Rejects when they do not end in time: use timeout(1) for what may hang. */
  async run(lines: string, timeoutMs: number): Promise<Finished> {
    const mark = `done-${this.commands++}`;
    const from = this.bash.stdout.length;
    const at = this.bash.output.length;
    this.bash.write(`${lines}\nprintf '\\n${mark} %s\\n' $?\n`);
    const [, code] = await this.bash.waitFor(new RegExp(`^${mark} (\\d+)$`, 'm'), timeoutMs, at);
    const stdout = this.bash.stdout.slice(from).replace(new RegExp(`\\n${mark} .*\\n`), '');
    return { code: Number(code), stdout, output: this.bash.output.slice(at) };
  }

  async stop(): Promise<void> {
    await this.bash.stop();
  }
}
