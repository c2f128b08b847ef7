/** One thread of a port, as the port sees it: what it reports, how it ends. */
import { type TransferListItem, Worker } from 'node:worker_threads';
import { CoreError, DeviceError, type TspmdError, WorkerError } from '../errors.js';
import { type Order, type Report, type ThrownElsewhere, thrownElsewhere } from './messages.js';

/** How long a thread may take to end when it is told to, or has said that it does. One that hangs is terminated. */
const END_MS = 2000;
/** How long a thread that is terminated may take to end, in ms. */
const TERMINATE_MS = 500;

/** Which thread of the port it is. */
export interface MemberKind {
  /** For messages: `core 1`, `Rx worker`. */
  readonly title: string;
  /** Number of the core; undefined for a kernel-bypass thread. */
  readonly core: number | undefined;
  /** File of this folder. */
  readonly module: string;
}

/** The error of a thread, as the thread that has the port throws it: it tells where it was thrown there. */
function failureOf({ title, core }: MemberKind, { message, stack, name, code }: ThrownElsewhere): TspmdError {
  const cause = Object.assign(new Error(message), { name }, code === undefined ? {} : { code });
  const text = `${title}: ${message}`;
  const failure =
    core !== undefined
      ? new CoreError(text, core, { cause })
      : // Which thread opens the device is no matter of the user's.
        code === 'ERR_TSPMD_DEVICE'
        ? new DeviceError(message, { cause })
        : new WorkerError(text, { cause });
  if (stack !== undefined) cause.stack = failure.stack = stack;
  return failure;
}

/** Why a thread ended that has said nothing: it has no place in the code. */
const ended = (code: number): ThrownElsewhere => ({
  ...thrownElsewhere(new Error(`its thread has ended (exit code ${code})`)),
  stack: undefined,
});

export class Member {
  /** The totals of its stack, once it has ended in good order. */
  totals: Readonly<Record<string, number>> | undefined;
  private readonly worker: Worker;
  /** What went wrong with it after it was told to stop. */
  endError: TspmdError | null = null;
  private failure: TspmdError | null = null;
  private isOrdered = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly exited: Promise<void>;
  /** The thread hangs in the kernel, and cannot even be terminated: nobody waits for it any more. */
  private giveUp: () => void = () => {};
  /** Whether it has begun: how long a machine takes to start a thread is not the thread's fault. */
  private isOnline = false;
  private hasExited = false;

  /**
   * Starts the thread.
   * @param onReport called with what it reports
   * @param onEnd called when the thread has ended without being told to, with the reason
   */
  constructor(
    private readonly kind: MemberKind,
    start: object,
    onReport: (report: Report) => void,
    onEnd: (error: TspmdError) => void,
  ) {
    const name = (start as { name?: string }).name ?? kind.title;
    this.worker = new Worker(new URL(`./${kind.module}`, import.meta.url), { workerData: start, name });
    this.worker.once('online', () => {
      this.isOnline = true;
      if (this.isOrdered) this.endInTime();
    });
    this.worker.on('message', (report: Report) => {
      if (report.type === 'failed') {
        this.failWith(report.thrown);
        this.endInTime();
      } else if (report.type === 'ended') {
        this.totals = report.totals;
      }
      onReport(report);
    });
    this.worker.on('error', (error: unknown) => this.failWith(thrownElsewhere(error)));
    this.exited = new Promise((resolve) => {
      this.giveUp = resolve;
      this.worker.on('exit', (code) => {
        this.hasExited = true;
        clearTimeout(this.timer);
        resolve();
        if (!this.isOrdered) onEnd(this.failure ?? failureOf(this.kind, ended(code)));
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

  /** Tells it to stop and waits until it has. */
  async stop(): Promise<void> {
    this.isOrdered = true;
    if (this.hasExited) return;
    this.order({ type: 'stop' });
    if (this.isOnline) this.endInTime();
    await this.exited;
  }

  private failWith(thrown: ThrownElsewhere): void {
    const failure = failureOf(this.kind, thrown);
    this.failure ??= failure;
    if (this.isOrdered) this.endError ??= failure;
  }

  private endInTime(): void {
    this.timer ??= setTimeout(() => {
      const message = `has not ended within ${END_MS / 1000} s; its thread was terminated`;
      this.failWith(thrownElsewhere(new Error(message)));
      void this.worker.terminate();
      this.timer = setTimeout(this.giveUp, TERMINATE_MS);
    }, END_MS);
  }
}
