/** A project that `tspmd new` made from the packed tarball, outside of this repository, and the Node that runs it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { temporaryDirectory } from '../resources.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const INSTALL = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
/** For npm, which may have to download, and tsc, on a busy machine. */
const TOOL_MS = 120_000;

export class NewStack {
  /** The project's folder. */
  readonly path: string;
  private readonly directory = temporaryDirectory();
  private readonly running: Child[] = [];

  constructor() {
    this.path = join(this.directory.path, 'my-stack');
  }

  /** Packs this repository as it is built, installs the tarball, and makes the project with it. */
  async create(): Promise<void> {
    const first = join(this.directory.path, 'first');
    mkdirSync(first);
    const packed = await this.npm(process.execPath, ROOT, 'pack', '--ignore-scripts', '--pack-destination', first);
    const tarball = join(first, /^\S+\.tgz$/m.exec(packed.stdout)?.[0] ?? 'none');
    await this.npm(process.execPath, first, ...INSTALL, tarball);
    const made = this.enter(this.start(process.execPath, first, '.bin/tspmd', 'new', this.path, '--tspmd', tarball));
    await done(made);
    await this.npm(process.execPath, this.path, ...INSTALL);
  }

  /** Runs npm in a folder, to its end; scripts find `node` to be the given one. */
  async npm(node: string, folder: string, ...args: string[]): Promise<Child> {
    const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
    return done(this.enter(Child.spawn('npm', ['--prefix', folder, ...args], env)));
  }

  /**
   * Starts a script of the project's package.json, with more arguments, in the project's folder. It runs without npm,
   * so that a signal reaches the program itself.
   */
  script(node: string, name: string, ...args: string[]): Child {
    const { scripts } = JSON.parse(readFileSync(join(this.path, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const [program = '', ...own] = scripts[name]?.split(' ') ?? [];
    return this.enter(this.start(node, this.path, `.bin/${program}`, ...own, ...args));
  }

  /** A path for a socket of the project's switch. */
  socket(number: number): string {
    return join(this.directory.path, `vm${number}.sock`);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.running.reverse().map((child) => child.stop()));
    this.directory.remove();
  }

  private start(node: string, folder: string, bin: string, ...args: string[]): Child {
    // The shell becomes node: it has the same process id.
    const inFolder = ['-c', 'cd "$0" && exec "$@"', folder];
    return Child.spawn('sh', [...inFolder, node, join(folder, 'node_modules', bin), ...args]);
  }

  private enter(child: Child): Child {
    this.running.push(child);
    return child;
  }
}

/** Waits for the end of a program that must succeed. */
async function done(child: Child): Promise<Child> {
  const timer = setTimeout(() => child.signal('SIGKILL'), TOOL_MS);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`it ended with ${code ?? signal}:\n${child.output}`);
  return child;
}
