/** One thread of a port, as the port sees it: what it reports, how it ends. */
import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Order, Report } from './messages.js';

/** How long a thread may take to end when it is told to, or has said that it does. One that hangs is terminated. */
const END_MS = 2000;

/** An error of a thread, which tells where it was thrown there. */
function failureOf(title: string, message: string, stack: string | undefined): Error {
  const failure = new Error(`${title}: ${message}`);
  if (stack !== undefined) failure.stack = stack;
  return failure;
}

export class Member {
  /** The totals of its stack, once it has ended in good order. */
  totals: Readonly<Record<string, number>> | undefined;
  private readonly worker: Worker;
  /** What went wrong with it after it was told to stop. */
  endError: Error | null = null;
  private failure: Error | null = null;
  private isOrdered = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly exited: Promise<void>;
  /** Whether it has begun: how long a machine takes to start a thread is not the thread's fault. */
  private isOnline = false;
  private hasExited = false;

  /**
   * Starts the thread.
   * @param title for messages: `core 1`, `Rx worker`
   * @param module file of this folder
   * @param onReport called with what it reports
   * @param onEnd called when the thread has ended without being told to, with the reason
   */
  constructor(
    readonly title: string,
    module: string,
    start: object,
    onReport: (report: Report) => void,
    onEnd: (error: Error) => void,
  ) {
    const name = (start as { name?: string }).name ?? title;
    this.worker = new Worker(new URL(`./${module}`, import.meta.url), { workerData: start, name });
    this.worker.once('online', () => {
      this.isOnline = true;
      if (this.isOrdered) this.endInTime();
    });
    this.worker.on('message', (report: Report) => {
      if (report.type === 'failed') {
        this.failWith(failureOf(title, report.message, report.stack));
        this.endInTime();
      } else if (report.type === 'ended') {
        this.totals = report.totals;
      }
      onReport(report);
    });
    this.worker.on('error', (error: unknown) => {
      const isError = error instanceof Error;
      this.failWith(failureOf(title, isError ? error.message : String(error), isError ? error.stack : undefined));
    });
    this.exited = new Promise((resolve) => {
      this.worker.on('exit', (code) => {
        this.hasExited = true;
        clearTimeout(this.timer);
        resolve();
        if (!this.isOrdered) onEnd(this.failure ?? new Error(`${title}: its thread has ended (exit code ${code})`));
      });
    });
  }

  /** True until the thread has ended. */
  get isAlive(): boolean {
    return !this.hasExited;
  }

  order(order: Order, transfer: readonly TransferListItem[] = []): void {
    this.worker.postMessage(order, transfer);
  }

  /** Tells it to stop and waits until it has. */
  async stop(): Promise<void> {
    this.isOrdered = true;
    if (this.hasExited) return;
    this.order({ type: 'stop' });
    if (this.isOnline) this.endInTime();
    await this.exited;
  }

  private failWith(error: Error): void {
    this.failure ??= error;
    if (this.isOrdered) this.endError ??= error;
  }

  private endInTime(): void {
    this.timer ??= setTimeout(() => {
      this.failWith(new Error(`${this.title}: has not ended within ${END_MS / 1000} s; its thread was terminated`));
      void this.worker.terminate();
    }, END_MS);
  }
}
