/**
 * The commands of a section of a page of `docs/`, word for word: each block runs in a shell of its own, as in a new
 * terminal. The machine of these shells has no network interfaces but those that the commands make, and an empty `/run`.
 * `sudo` and `npx tspmd` are there: this project's, and the user that the test is.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { searchPath } from '../../../scripts/programs.js';
import type { Finished } from '../peers/kernel-lab.js';
import { temporaryDirectory } from '../resources.js';

/** Seconds that a block may take. */
const LIMIT_S = 30;
const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

export class PageCommands {
  private readonly directory = temporaryDirectory();
  private readonly children: Child[] = [];
  private readonly env: NodeJS.ProcessEnv;
  /** The process whose mounts and interfaces all others get. */
  private readonly machine: Child;

  private constructor() {
    const bin = join(this.directory.path, 'bin');
    mkdirSync(bin);
    this.addProgram(bin, 'sudo', 'exec "$@"');
    this.addProgram(bin, 'npx', `shift; exec ${Child.commandLine().map(quote).join(' ')} "$@"`);
    this.env = { ...process.env, PATH: `${bin}:${searchPath()}` };
    const start = 'mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && echo made && exec cat';
    this.machine = Child.spawn('unshare', ['--mount', '--net', 'sh', '-c', start], this.env);
  }

  static async start(): Promise<PageCommands> {
    const commands = new PageCommands();
    try {
      await commands.machine.waitFor(/^made$/m);
    } catch (error) {
      await commands.close();
      throw error;
    }
    return commands;
  }

  private addProgram(folder: string, name: string, line: string): void {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${line}\n`);
    chmodSync(path, 0o755);
  }

  /** Starts a block, which {@link close} stops. */
  start(block: string): Child {
    const enter = ['--target', String(this.machine.pid), '--mount', '--net', `--wd=${process.cwd()}`];
    const child = Child.spawn('nsenter', [...enter, 'bash', '-e', '-c', block], this.env);
    this.children.push(child);
    return child;
  }

  /** Runs a block to its end. */
  async run(block: string): Promise<Finished> {
    const child = this.start(`exec timeout -k 2 ${LIMIT_S} bash -e -c ${quote(block)}`);
    const { code } = await child.exited;
    return { code, stdout: child.stdout, output: child.output };
  }

  /** Stops what still runs, as Ctrl-C does. */
  async stopAll(): Promise<void> {
    for (const child of this.children.splice(0).reverse()) await child.stop('SIGINT');
  }

  async close(): Promise<void> {
    await this.stopAll().catch(() => {});
    await this.machine.stop().catch(() => {});
    this.directory.remove();
  }
}

/** The blocks of commands below a heading, up to the next heading. */
export function blocksBelow(page: string, heading: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url)), 'utf8');
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${page} has no section ${heading}`);
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block.trim());
}
