/** The commands of a page, typed as they are into terminals whose network is a namespace. */
import { Child, type Exit } from '../../../scripts/child.js';
import type { NetworkNamespace } from '../../../scripts/netns.js';
import { shellEnvironment } from './installed-package.js';

/** The lines of the first block of commands of a page, or of the section with this heading. */
export function firstCommands(page: string, heading?: string): string[] {
  const text = heading === undefined ? page : (page.split(`\n## ${heading}\n`)[1] ?? '');
  return /```sh\n([\s\S]*?)\n```/.exec(text)?.[1]?.split('\n') ?? [];
}

/** How long a command may take that ends by itself, or after Ctrl-C. */
const LIMIT_MS = 10_000;
/** Root needs no `sudo`, and not every machine has it. */
const SUDO = 'sudo() { env "$@"; }';

export class Terminal {
  private constructor(private readonly shell: Child) {}

  /** Opens a terminal in a folder, and types lines. */
  static type(namespace: NetworkNamespace, folder: string, lines: readonly string[]): Terminal {
    // The shell has a process group of its own, as the foreground of a terminal has.
    const shell = ['setsid', 'bash', '-c', `set -e; cd "$0"; ${SUDO}\n${lines.join('\n')}`, folder];
    return new Terminal(Child.spawn('ip', ['netns', 'exec', namespace.name, ...shell], shellEnvironment()));
  }

  /** Resolves with the exit code and what was printed to stdout. */
  async done(): Promise<{ code: number | null; stdout: string }> {
    const { code } = await this.end();
    return { code, stdout: this.shell.stdout };
  }

  /** Types Ctrl-C, and waits for the end. */
  async interrupt(): Promise<void> {
    if (!this.shell.isRunning) return;
    this.kill('SIGINT');
    await this.end();
  }

  /** Waits for the end. What does not end in time is killed. */
  private async end(): Promise<Exit> {
    const timer = setTimeout(() => this.kill('SIGKILL'), LIMIT_MS);
    const exit = await this.shell.exited;
    clearTimeout(timer);
    return exit;
  }

  private kill(signal: NodeJS.Signals): void {
    process.kill(-this.shell.pid, signal);
  }
}
