/**
 * Contestants of ours as processes of their own, told what to do over their input: a line of words each, answered by a
 * line of JSON. They end when their input does, so that none outlives the benchmark.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import type { NetworkNamespace } from '../../scripts/netns.js';

const ANSWER_MS = 60_000;

/** In the contestant: answers lines with what `answer` returns for their words. Calls `end` when there are no more. */
export function serve(answer: (words: readonly string[]) => unknown, end: () => void = () => {}): void {
  let number = 0;
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      const mine = ++number;
      const value = await answer(line.split(' '));
      process.stdout.write(`=${mine} ${JSON.stringify(value ?? null)}\n`);
    })
    .on('close', end);
  process.stdout.write('ready\n');
}

/** In the benchmark: such a process. */
export class Served {
  private asked = 0;

  private constructor(readonly child: Child) {}

  /**
   * Starts a script; resolves when it is ready.
   * @param script from bench/'s build on: `driver/contestant.js`
   * @param setup what the script finds in `process.argv[2]`, as JSON
   * @param flags for Node
   * @param namespace whose network it is to have; default: ours
   */
  static async start(
    script: string,
    setup: unknown,
    flags: readonly string[] = [],
    namespace?: NetworkNamespace,
  ): Promise<Served> {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    const args = [...flags, path, JSON.stringify(setup)];
    const child = namespace?.spawn(process.execPath, ...args) ?? Child.spawn(process.execPath, args);
    try {
      await child.waitFor(/^ready$/m, ANSWER_MS);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return new Served(child);
  }

  async ask<T>(...words: (string | number)[]): Promise<T> {
    const from = this.child.output.length;
    // To the end of the line: it may arrive in pieces.
    const pattern = new RegExp(`^=${++this.asked} (.*)\\n`, 'm');
    this.child.write(`${words.join(' ')}\n`);
    const [, json] = await this.child.waitFor(pattern, ANSWER_MS, from);
    return JSON.parse(json) as T;
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }
}
