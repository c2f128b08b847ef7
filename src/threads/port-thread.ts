/** One thread of a port, as the port sees it: it starts, gets orders, reports, and ends. */
import { type TransferListItem, Worker } from 'node:worker_threads';
import { CoreError, DeviceError, type TspmdError, WorkerError } from '../errors.js';
import {
  type CoreAnswers,
  type CoreQuestion,
  copyThrown,
  type Order,
  type Report,
  type ThrownCopy,
} from './messages.js';

/** How long a thread may take to end after it was told to, or after it failed, in ms. Then it is terminated. */
const END_MS = 2000;
/** How long a thread that is terminated may take to end, in ms. */
const TERMINATE_MS = 500;

/** Which thread of the port it is. */
export interface ThreadKind {
  /** For messages: `core 1`, `Rx worker`. */
  readonly title: string;
  /** Number of the core; undefined for a kernel-bypass thread. */
  readonly core: number | undefined;
  /** A file of this folder. */
  readonly module: string;
}

/** The error of a thread as the port throws it. Its stack says where the thread threw it. */
function failureOf({ title, core }: ThreadKind, { message, stack, name, code }: ThrownCopy): TspmdError {
  const cause = Object.assign(new Error(message), { name }, code === undefined ? {} : { code });
  const text = `${title}: ${message}`;
  const failure =
    core !== undefined
      ? new CoreError(text, core, { cause })
      : // Users need not know which thread opens the device.
        code === 'ERR_TSPMD_DEVICE'
        ? new DeviceError(message, { cause })
        : new WorkerError(text, { cause });
  if (stack !== undefined) cause.stack = failure.stack = stack;
  return failure;
}

/** The error of a thread that has ended without a report: it has no place in the code. */
const ended = (code: number): ThrownCopy => ({
  ...copyThrown(new Error(`its thread has ended (exit code ${code})`)),
  stack: undefined,
});

export class PortThread {
  /** The totals of its stack, once the thread has ended in good order. */
  totals: Readonly<Record<string, number>> | undefined;
  /** What went wrong with the thread after it was told to stop. */
  endError: TspmdError | null = null;
  /** The exit code of a program that has ended its thread; null while it has not. */
  exitCode: number | null = null;
  private readonly worker: Worker;
  private failure: TspmdError | null = null;
  private lastQuestion = 0;
  /**
   * Whether the thread runs yet. The time that the machine takes to start a thread does not count as the time to end.
   */
  private isOnline = false;
  private isToldToStop = false;
  private hasExited = false;
  private readonly exited: Promise<void>;
  /** Resolves {@link exited}: the thread hangs in the kernel, and cannot even be terminated. */
  private giveUp: () => void = () => {};
  private timer: NodeJS.Timeout | undefined;

  /**
   * Starts the thread.
   * @param onReport called with each report of the thread
   * @param onEnd called when the thread has ended without being told to, with the reason; null when its program is over
   */
  constructor(
    private readonly kind: ThreadKind,
    start: object,
    onReport: (report: Report) => void,
    onEnd: (error: TspmdError | null) => void,
  ) {
    const name = (start as { name?: string }).name ?? kind.title;
    this.worker = new Worker(new URL(`./${kind.module}`, import.meta.url), { workerData: start, name });
    this.worker.once('online', () => {
      this.isOnline = true;
      if (this.isToldToStop) this.endInTime();
    });
    this.worker.on('message', (report: Report) => {
      if (report.type === 'failed') {
        this.failWith(report.thrown);
        this.endInTime();
      } else if (report.type === 'ended') {
        this.totals = report.totals;
      } else if (report.type === 'over') {
        this.totals = report.totals;
        this.exitCode = report.exitCode;
      }
      onReport(report);
    });
    this.worker.on('error', (error: unknown) => this.failWith(copyThrown(error)));
    this.exited = new Promise((resolve) => {
      this.giveUp = resolve;
      this.worker.on('exit', (code) => {
        this.hasExited = true;
        clearTimeout(this.timer);
        resolve();
        if (this.isToldToStop) return;
        const isOver = this.exitCode !== null && this.failure === null;
        onEnd(isOver ? null : (this.failure ?? failureOf(this.kind, ended(code))));
      });
    });
  }

  get title(): string {
    return this.kind.title;
  }

  /** True until the thread has ended. */
  get isAlive(): boolean {
    return !this.hasExited;
  }

  order(order: Order, transfer: readonly TransferListItem[] = []): void {
    this.worker.postMessage(order, transfer);
  }

  /** Asks a core, and waits for its answer, but not longer than `ms`; null: it has not answered. */
  async ask<Q extends CoreQuestion>(question: Q, ms: number): Promise<CoreAnswers[Q['what']] | null> {
    const id = ++this.lastQuestion;
    const isAnswer = (report: Report): boolean => report.type === 'answer' && report.id === id;
    const report = await this.obeyed({ type: 'ask', id, question }, isAnswer, ms);
    return report?.type === 'answer' ? (report.answer as CoreAnswers[Q['what']]) : null;
  }

  /** Gives an order, and waits until the thread has reported what was asked for or has ended, but not longer than `ms`. */
  async obeyed(order: Order, isAnswer: (report: Report) => boolean, ms: number): Promise<Report | null> {
    if (this.hasExited) return null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ms, null);
    });
    let look = (_: Report): void => {};
    const answered = new Promise<Report>((resolve) => {
      look = (report) => {
        if (isAnswer(report)) resolve(report);
      };
    });
    this.worker.on('message', look);
    this.order(order);
    const report = await Promise.race([answered, this.exited.then(() => null), late]);
    this.worker.off('message', look);
    clearTimeout(timer);
    return report;
  }

  /** Tells the thread to stop and waits until it has ended. */
  async stop(): Promise<void> {
    this.isToldToStop = true;
    if (this.hasExited) return;
    this.order({ type: 'stop' });
    if (this.isOnline) this.endInTime();
    await this.exited;
  }

  private failWith(thrown: ThrownCopy): void {
    const failure = failureOf(this.kind, thrown);
    this.failure ??= failure;
    if (this.isToldToStop) this.endError ??= failure;
  }

  private endInTime(): void {
    this.timer ??= setTimeout(() => {
      const message = `has not ended within ${END_MS / 1000} s; its thread was terminated`;
      this.failWith(copyThrown(new Error(message)));
      void this.worker.terminate();
      this.timer = setTimeout(this.giveUp, TERMINATE_MS);
    }, END_MS);
  }
}
