/** A layout in a thread of its own, which runs for a window on request. */
import { parentPort, Worker } from 'node:worker_threads';

/** The answer of a thread to a number of milliseconds. */
export interface LayoutWindow {
  /** CPU time of this process per packet or request. Other processes on the CPU do not count. */
  readonly ns: number;
  /** Why the figure is not valid; empty: it is. */
  readonly fault: string;
}

const NS_PER_MICROSECOND = 1000;

/** The benchmark's end of a thread. */
export class LayoutThread {
  private readonly worker: Worker;
  private readonly failed: Promise<never>;

  /**
   * @param key names the layout
   * @param program of the thread, which calls {@link serveWindows}
   * @param workerData its data
   */
  constructor(
    readonly key: string,
    program: URL,
    workerData: object,
  ) {
    this.worker = new Worker(program, { workerData });
    this.failed = new Promise((_, reject) => this.worker.once('error', reject));
    // The next request reports the error.
    this.failed.catch(() => {});
  }

  async ready(): Promise<void> {
    await Promise.race([this.answer(), this.failed]);
  }

  /** Runs for `milliseconds`. Returns nanoseconds per packet or request. */
  async measure(milliseconds: number): Promise<number> {
    const answer = this.answer();
    this.worker.postMessage(milliseconds);
    const { ns, fault } = (await Promise.race([answer, this.failed])) as LayoutWindow;
    if (fault !== '') throw new Error(`${fault}, so the figures are not valid`);
    return ns;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private answer(): Promise<unknown> {
    return new Promise((resolve) => this.worker.once('message', resolve));
  }
}

/**
 * The thread's end: runs on request, and answers with the CPU time per packet or request.
 * @param run does some work of a few milliseconds at most; returns how many packets or requests it was
 * @param fault says what went wrong since the start; empty: nothing
 */
export function serveWindows(run: () => number, fault: () => string): void {
  parentPort?.on('message', (milliseconds: number) => {
    const before = process.cpuUsage();
    const start = performance.now();
    let done = 0;
    do done += run();
    while (performance.now() - start < milliseconds);
    const { user, system } = process.cpuUsage(before);
    const ns = ((user + system) * NS_PER_MICROSECOND) / done;
    parentPort?.postMessage({ ns, fault: fault() } satisfies LayoutWindow);
  });
  parentPort?.postMessage('ready');
}
