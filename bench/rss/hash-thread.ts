/** Our contestant in `bench -- rss`, the thread of hashing.worker.ts. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Tuples, WorkName } from './hashing.js';

const WORKER = new URL('./hashing.worker.js', import.meta.url);

export class HashThread {
  private constructor(
    private readonly worker: Worker,
    /** The tuples that it hashes (only with `toeplitz`), and the XOR of all hashes. */
    readonly tuples: Tuples & { readonly all: number },
  ) {}

  static async start(name: WorkName): Promise<HashThread> {
    const worker = new Worker(WORKER, { workerData: name });
    const [tuples] = await once(worker, 'message');
    return new HashThread(worker, tuples);
  }

  /** Hashes for about `ms`. Returns nanoseconds per tuple. */
  async measure(ms: number): Promise<number> {
    const answer = once(this.worker, 'message');
    this.worker.postMessage(ms);
    const [ns] = await answer;
    return ns;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}
