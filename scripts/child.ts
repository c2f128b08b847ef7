/**
 * A child process of the demo, a benchmark or a test. The caller waits for lines of its output, never for a time, and
 * stops it by its pid.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { searchPath } from './programs.js';

const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5_000;
/** The built `tspmd` command. The path depends on whether this file runs as source (in a test) or compiled. */
const COMMAND = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../dist/bundle/tspmd/main.js' : '../../dist/bundle/tspmd/main.js',
    import.meta.url,
  ),
);

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Child {
  /** Everything that the process has written to stdout and stderr, in the order of arrival. */
  output = '';
  /** Everything that the process has written to stdout. */
  stdout = '';
  /** Resolves when the process has ended and its output was read to the end. */
  readonly exited: Promise<Exit>;
  private exit: Exit | null = null;
  private listeners = new Set<() => void>();

  private constructor(
    private readonly process: ChildProcess,
    private readonly title: string,
  ) {
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        if (stream === process.stdout) this.stdout += text;
        for (const listener of this.listeners) listener();
      });
    }
    this.exited = new Promise((resolve) => {
      process.on('error', (error) => {
        this.output += `${error.message}\n`;
      });
      process.on('close', (code, signal) => {
        this.exit = { code, signal };
        for (const listener of this.listeners) listener();
        resolve(this.exit);
      });
    });
  }

  /**
   * Starts a program. Its standard input stays open until it is stopped, because testpmd ends when its input closes.
   */
  static spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...env, PATH: searchPath(env.PATH) },
    });
    return new Child(child, `${program} ${args.join(' ')}`);
  }

  /** Starts the built command: `tspmd …`. */
  static tspmd(...args: string[]): Child {
    const [program, ...command] = Child.commandLine(...args);
    return Child.spawn(program, command);
  }

  /** Returns the program and the arguments of `tspmd …`, for callers that start it in another way. */
  static commandLine(...args: string[]): [string, ...string[]] {
    return [process.execPath, COMMAND, ...args];
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  get isRunning(): boolean {
    return this.exit === null;
  }

  /**
   * Waits until the output matches `pattern`. Rejects when the process ends first, or does not match in time.
   * @param timeoutMs how long to wait
   * @param from offset in the output at which the search begins. To find the answer to a question, pass the length that
   * the output had before the question.
   * @returns the first match
   */
  waitFor(pattern: RegExp, timeoutMs = READY_TIMEOUT_MS, from = 0): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
        act();
      };
      const fail = (why: string): void =>
        finish(() => reject(new Error(`${this.title}: ${why} before ${pattern}; it wrote:\n${this.output}`)));
      const look = (): void => {
        const match = this.output.slice(from).match(pattern);
        if (match) finish(() => resolve(match));
        else if (this.exit) fail(`ended with ${this.exit.code ?? this.exit.signal}`);
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      this.listeners.add(look);
      look();
    });
  }

  /** Writes to the standard input. */
  write(text: string): void {
    this.process.stdin?.write(text);
  }

  /** Sends a signal to this process only. */
  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /**
   * Sends a signal and waits for the end of the process.
   * @throws Error (rejects) when the process does not end in time; it is killed then
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.exit) return this.exit;
    this.process.kill(signal);
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.process.kill('SIGKILL');
    }, STOP_TIMEOUT_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    if (killed)
      throw new Error(`${this.title}: did not end within ${STOP_TIMEOUT_MS} ms of ${signal}:\n${this.output}`);
    return exit;
  }
}
