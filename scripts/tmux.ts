/** A pseudo-terminal, by tmux: for what a program does on a terminal, in tests and pictures. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const TIMEOUT_MS = 20_000;
const LOOK_MS = 50;
/** A shell without settings of its own, whose prompt says that a command has ended. */
const SHELL = ['env', '-u', 'NO_COLOR', 'PS1=$ ', 'bash', '--norc', '--noprofile'] as const;

export class Tmux {
  private constructor(private readonly directory: string) {}

  /** Starts a shell in a terminal of this size. */
  static start(columns: number, rows: number): Tmux {
    const tmux = new Tmux(mkdtempSync(join(tmpdir(), 'tspmd-tmux-')));
    tmux.command('new-session', '-d', '-x', `${columns}`, '-y', `${rows}`, ...SHELL);
    return tmux;
  }

  /** Presses keys by the names of tmux (`Enter`, `Up`, `C-c`); any other word is typed. */
  keys(...keys: string[]): void {
    this.command('send-keys', ...keys);
  }

  /** Types a line and presses enter. */
  type(line: string): void {
    this.command('send-keys', '-l', line);
    this.keys('Enter');
  }

  resize(columns: number, rows: number): void {
    this.command('resize-window', '-x', `${columns}`, '-y', `${rows}`);
  }

  /** Returns what is on the screen; with its SGR codes if that is wanted. */
  screen(withCodes = false): string {
    return this.command('capture-pane', '-p', ...(withCodes ? ['-e'] : []));
  }

  /** Returns a fact about the terminal, such as `#{alternate_on}` or `#{cursor_flag}`. */
  ask(format: string): string {
    return this.command('display-message', '-p', format).trim();
  }

  /** Waits until the screen matches. Rejects with the screen when that takes too long. */
  async waitFor(pattern: RegExp): Promise<string> {
    const until = performance.now() + TIMEOUT_MS;
    for (;;) {
      const screen = this.screen();
      if (pattern.test(screen)) return screen;
      if (performance.now() > until) throw new Error(`${pattern} did not appear on the screen:\n${screen}`);
      await sleep(LOOK_MS);
    }
  }

  /** Ends the terminal and what runs in it. */
  stop(): void {
    spawnSync('tmux', ['-S', this.socket, 'kill-server']);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private get socket(): string {
    return join(this.directory, 'tmux');
  }

  private command(...args: string[]): string {
    const { status, stdout, stderr, error } = spawnSync('tmux', ['-S', this.socket, '-u', '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    if (status !== 0) throw new Error(`tmux ${args[0]}: ${error?.message ?? stderr.trim()}`);
    return stdout;
  }
}
