/** A child process of the demo, a benchmark or a test: its output by line, waited for by line and never by time, stopped by its own pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5_000;
/** The command as it is installed, seen from this file's source (in a test) and from its build. */
const COMMAND = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../dist/bundle/tspmd/main.js' : '../bundle/tspmd/main.js',
    import.meta.url,
  ),
);

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Child {
  /** Everything that the process wrote, both streams in the order of arrival. */
  output = '';
  stdout = '';
  /** Resolves when the process is gone and its output was read to the end. */
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

  /** Starts a program. Its standard input stays open until it is stopped: testpmd ends when it closes. */
  static spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
    const path = `${env.PATH ?? ''}:/usr/sbin:/sbin`;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env, PATH: path } });
    return new Child(child, `${program} ${args.join(' ')}`);
  }

  /** Starts the built command: `tspmd …`. */
  static tspmd(...args: string[]): Child {
    const [program, ...command] = Child.commandLine(...args);
    return Child.spawn(program, command);
  }

  /** Program and arguments of `tspmd …`, for who starts it in another way. */
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
   * The first match of `pattern` in the output, now or later. Rejects when the process ends or time runs out first.
   * @param from where in the output to begin: its length before what is to be answered was asked
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

  /** Asks the process to end and waits; one that does not is killed, and that is an error. */
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
