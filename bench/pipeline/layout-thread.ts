/** A layout in its thread, which runs for a window on request. */
import { Worker } from 'node:worker_threads';
import { benchCpus } from '../common/cpus.js';
import type { LayoutStart, LayoutWindow } from './layout.worker.js';
import type { Mode } from './layouts.js';

const WORKER = new URL('./layout.worker.js', import.meta.url);

export class LayoutThread {
  private readonly worker: Worker;
  private readonly failed: Promise<never>;

  /** @param key mode, cores and flows */
  constructor(readonly key: string) {
    const [mode, cores, flows] = key.split('/');
    const start: LayoutStart = {
      mode: mode as Mode,
      ...{ cores: Number(cores), flows: Number(flows), cpu: benchCpus().contestant },
    };
    this.worker = new Worker(WORKER, { workerData: start });
    this.failed = new Promise((_, reject) => this.worker.once('error', reject));
    // The next request reports the error.
    this.failed.catch(() => {});
  }

  async ready(): Promise<void> {
    await Promise.race([this.answer(), this.failed]);
  }

  /** Runs for `milliseconds`. Returns nanoseconds per packet. */
  async measure(milliseconds: number): Promise<number> {
    const answer = this.answer();
    this.worker.postMessage(milliseconds);
    const { nsPerPacket, lost } = (await Promise.race([answer, this.failed])) as LayoutWindow;
    if (lost !== 0) throw new Error(`${lost} packets were dropped, so the figures are not valid`);
    return nsPerPacket;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private answer(): Promise<unknown> {
    return new Promise((resolve) => this.worker.once('message', resolve));
  }
}
