/**
 * Contestants and clients in processes of their own. The benchmark writes requests to the input of such a process, one
 * line of words each; the process answers with one line of JSON each. It ends when its input ends, so that it does not
 * outlive the benchmark.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import type { NetworkNamespace } from '../../scripts/netns.js';
import { INLINING_FLAG } from '../../src/cli/inlining.js';

const ANSWER_MS = 60_000;

/**
 * Answers the requests of the benchmark. The process calls it.
 * @param answer returns the answer to the words of one request
 * @param end called when the input has ended
 */
export function answerRequests(answer: (words: readonly string[]) => unknown, end: () => void = () => {}): void {
  let number = 0;
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      const own = ++number;
      const value = await answer(line.split(' '));
      process.stdout.write(`=${own} ${JSON.stringify(value ?? null)}\n`);
    })
    .on('close', end);
  process.stdout.write('ready\n');
}

/** Such a process, seen from the benchmark. */
export class BenchProcess {
  private asked = 0;

  private constructor(readonly child: Child) {}

  /**
   * Starts a script. Resolves when it is ready.
   * @param script path in the compiled `bench/`, such as `driver/contestant.js`
   * @param setup the script finds it as JSON in `process.argv[2]`
   * @param flags for Node, beside the one that the `tspmd` command sets
   * @param namespace the network namespace in which it runs; default: that of the benchmark
   */
  static async start(
    script: string,
    setup: unknown,
    flags: readonly string[] = [],
    namespace?: NetworkNamespace,
  ): Promise<BenchProcess> {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    const args = [INLINING_FLAG, ...flags, path, JSON.stringify(setup)];
    const child = namespace?.spawn(process.execPath, ...args) ?? Child.spawn(process.execPath, args);
    try {
      await child.waitFor(/^ready$/m, ANSWER_MS);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return new BenchProcess(child);
  }

  /** A process that was started in another way, and is ready. */
  static of(child: Child): BenchProcess {
    return new BenchProcess(child);
  }

  /** Sends one request. Resolves to its answer. */
  async ask<T>(...words: (string | number)[]): Promise<T> {
    const from = this.child.output.length;
    // The pattern includes the end of the line, because a line may arrive in pieces.
    const pattern = new RegExp(`^=${++this.asked} (.*)\\n`, 'm');
    this.child.write(`${words.join(' ')}\n`);
    const [, json] = await this.child.waitFor(pattern, ANSWER_MS, from);
    return JSON.parse(json) as T;
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }
}
