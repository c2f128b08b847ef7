/**
 * The terminal while a program fills it: the other screen, keys one by one, no cursor. It is as it was before when the
 * program ends, for whatever reason, or is suspended (Ctrl-Z, SIGTSTP).
 */
import { writeSync } from 'node:fs';
import { emitKeypressEvents } from 'node:readline';
import { neverWaitForTerminal } from '../output/lines.js';

/** The other screen; lines are cut at its edge; no cursor. */
const ENTER = '\x1b[?1049h\x1b[?7l\x1b[?25l';
const LEAVE = '\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l';
const CLEAR = '\x1b[0m\x1b[2J';
/** Before the text: behind a full line it would clear the last cell. */
const CLEAR_LINE = '\x1b[K';
const at = (row: number): string => `\x1b[${row + 1};1H`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
type EndSignal = (typeof SIGNALS)[number];

/** What readline says of a key. */
interface Key {
  readonly name?: string;
  readonly ctrl?: boolean;
  readonly shift?: boolean;
  readonly sequence?: string;
}

export interface TerminalUser {
  /** A key by its name: `up`, `shift-tab`, `q`, `?`. */
  onKey(name: string): void;
  /** The screen must be drawn anew. */
  onRedraw(): void;
  /** The program is to end: by a key (null) or a signal. */
  onEnd(signal: EndSignal | null): void;
}

/** Whether this process has a terminal that can be filled. */
export function isFullTerminal(): boolean {
  const { TERM } = process.env;
  return process.stdout.isTTY && process.stdin.isTTY && TERM !== 'dumb' && TERM !== undefined && TERM !== '';
}

/** A terminal that does not know its size says 0. */
const orUsual = (value: number | undefined, usual: number): number =>
  value === undefined || value < 1 ? usual : value;

export class Terminal {
  private isEntered = false;
  private drawn: readonly string[] = [];
  private readonly unlisten: (() => void)[] = [];

  constructor(private readonly user: TerminalUser) {}

  get size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = process.stdout;
    return { columns: orUsual(columns, 80), rows: orUsual(rows, 24) };
  }

  /** Takes the terminal until {@link close}. */
  open(): void {
    neverWaitForTerminal();
    emitKeypressEvents(process.stdin);
    const { user } = this;
    this.listen(process.stdin, 'keypress', (_: unknown, key: Key) => this.press(key));
    // The terminal has gone.
    this.listen(process.stdin, 'end', () => user.onEnd('SIGHUP'));
    this.listen(process.stdin, 'error', () => user.onEnd('SIGHUP'));
    this.listen(process.stdout, 'resize', () => this.redraw());
    for (const signal of SIGNALS) this.listen(process, signal, () => user.onEnd(signal));
    this.listen(process, 'SIGTSTP', () => this.suspend());
    this.listen(process, 'SIGCONT', () => this.resume());
    // After an error that nobody handles, its text is for the screen of before.
    this.listen(process, 'uncaughtExceptionMonitor', () => this.leaveNow());
    this.listen(process, 'exit', () => this.leaveNow());
    this.enter();
    process.stdin.resume();
  }

  /** Gives the terminal back. */
  close(): void {
    for (const unlisten of this.unlisten.splice(0)) unlisten();
    this.leave((text) => process.stdout.write(text));
    process.stdin.pause();
  }

  /** Draws lines, from the top; only those that have changed. A terminal that is slow misses some. */
  draw(lines: readonly string[]): void {
    if (!this.isEntered || process.stdout.writableNeedDrain) return;
    const { drawn } = this;
    const changed = lines.map((text, row) => (text === drawn[row] ? '' : `${at(row)}${CLEAR_LINE}${text}`));
    this.drawn = lines;
    const text = changed.join('');
    if (text !== '') process.stdout.write(text);
  }

  private listen(source: NodeJS.EventEmitter, event: string, listener: (...args: never[]) => void): void {
    source.on(event, listener as () => void);
    this.unlisten.push(() => source.off(event, listener as () => void));
  }

  private press({ name, ctrl, shift, sequence }: Key): void {
    if (ctrl) {
      if (name === 'c' || name === 'd') this.user.onEnd(null);
      // The other processes of the job are suspended, too.
      else if (name === 'z') process.kill(0, 'SIGTSTP');
      else if (name === 'l') this.redraw();
    } else if (name === 'q') {
      this.user.onEnd(null);
    } else {
      const key = name ?? sequence ?? '';
      this.user.onKey(shift && key === 'tab' ? 'shift-tab' : key);
    }
  }

  private enter(): void {
    process.stdin.setRawMode(true);
    this.isEntered = true;
    process.stdout.write(ENTER);
    this.redraw();
  }

  private leave(write: (text: string) => void): void {
    if (!this.isEntered) return;
    this.isEntered = false;
    write(LEAVE);
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal has gone.
    }
  }

  private leaveNow(): void {
    this.leave((text) => {
      try {
        writeSync(process.stdout.fd, text);
      } catch {
        // The terminal has gone, or takes nothing.
      }
    });
  }

  private suspend(): void {
    this.leaveNow();
    process.kill(process.pid, 'SIGSTOP');
  }

  private resume(): void {
    // SIGSTOP cannot be noticed: then the shell has changed the terminal behind our back.
    if (this.isEntered) process.stdin.setRawMode(false);
    this.enter();
  }

  private redraw(): void {
    if (!this.isEntered) return;
    process.stdout.write(CLEAR);
    this.drawn = [];
    this.user.onRedraw();
  }
}
