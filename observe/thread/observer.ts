/**
 * Lets others look into this process while it runs: `tspmd list`, `tspmd stats`. A thread of its own
 * answers them, so that whoever asks too often, reads too slowly or sends nonsense does not disturb the thread with the
 * packets; and so that a main thread that hangs is seen.
 */
import { unlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { startUnpinned } from '../../drivers/libc/index.js';
import type { EventSink } from '../../drivers/log/events.js';
import { messageOf } from '../../drivers/log/message-of.js';
import { controlFolders, controlPath } from '../control/files.js';
import type { ProcessInfo } from '../control/process-info.js';
import { RequestError } from '../control/requests.js';
import type { Served } from '../http/address.js';
import { type Args, type FromObserver, type ObserverStart, type ToObserver, timeNow } from './messages.js';

/** Paths of the control sockets that this process has: at most one of a kind in a folder, because of their names. */
const open = new Set<string>();

/** What does not work. */
type Problems = Pick<Extract<FromObserver, { readonly type: 'open' }>, 'controlProblem' | 'serveProblem'>;

/** How long the thread may take to end, in ms. Then it is terminated. */
const END_MS = 1000;

/** Answers a question with something structured-cloneable; throws RequestError to refuse it. */
export type Answerer = (args: Args) => unknown;

/** Who answers which question, by the command that asks it. */
export interface Answerers {
  /** Returns the counters of the process. */
  readonly stats: () => object | Promise<object>;
  readonly [what: string]: Answerer;
}

export interface ObserverOptions {
  /** Where control sockets are: the first folder gets that of this process. */
  readonly folders?: readonly string[];
  readonly serve?: Served | null;
  /** Takes one line when there is no control socket, or when the thread fails later. The process works without both. */
  readonly onFault?: EventSink;
}

export class Observer {
  /** The TCP port of the metrics and of the page; 0 when there are none. */
  servedPort = 0;
  /** Removes the socket, because the process ends at once. */
  readonly removeNow = (): void => {
    if (!this.hasSocket) return;
    this.hasSocket = false;
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody else has removed it.
    }
  };
  /** Whether the thread has made the socket: otherwise it is another process's. */
  private hasSocket = false;
  private readonly exited: Promise<unknown>;
  private closing: Promise<void> | null = null;
  /** Captures that the thread has begun and not ended. */
  private readonly captures = new Set<unknown>();

  private constructor(
    private readonly worker: Worker,
    /** The path of the control socket. */
    readonly path: string,
    private readonly answerers: Answerers,
  ) {
    this.exited = new Promise((resolve) => worker.once('exit', resolve));
    // Nobody reads what they copy any more.
    worker.once('exit', () => {
      for (const id of this.captures) void this.answerers.closeCapture?.({ id });
    });
    worker.on('message', (message: FromObserver) => {
      if (message.type === 'ask') void this.answer(message, timeNow());
    });
    // A program may end its process at any time.
    process.on('exit', this.removeNow);
  }

  /**
   * Starts the thread. It does not keep the process alive. Rejects with one line when the metrics cannot be served, or
   * another of this kind in this process answers; nothing is left behind then. Without a control socket the process goes
   * on: `onFault` gets a line.
   * @param answerers each is called at most 50 times per second
   */
  static async start(info: ProcessInfo, answerers: Answerers, options: ObserverOptions = {}): Promise<Observer> {
    const { folders = controlFolders(), serve = null, onFault = () => {} } = options;
    const path = controlPath(folders[0], info.kind, process.pid);
    if (open.has(path)) throw new Error(`control socket ${path}: another ${info.kind} of this process uses it`);
    open.add(path);
    const workerData: ObserverStart = { info, questions: Object.keys(answerers), path, folders, serve };
    const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };
    const file = new URL('./observer-worker.js', import.meta.url);
    // It must not take the CPU of a loop that spins.
    const worker = startUnpinned(() => new Worker(file, { workerData, name: 'tspmd-observer', resourceLimits }));
    const observer = new Observer(worker, path, answerers);
    const { controlProblem, serveProblem } = await observer.opened(onFault, serve);
    worker.unref();
    if (serveProblem !== null) {
      await observer.close();
      throw new Error(serveProblem);
    }
    if (controlProblem === null) return observer;
    const line = `${controlProblem}; tspmd list and tspmd stats do not find this process`;
    onFault(line, { event: 'control-fault', reason: controlProblem });
    // Nobody can ask the thread.
    if (serve === null) await observer.close();
    return observer;
  }

  /** Waits until the thread answers. From then on, `onFault` hears of its end. */
  private async opened(onFault: EventSink, serve: Served | null): Promise<Problems> {
    const { worker } = this;
    let isOpen = false;
    const result = await new Promise<Problems>((resolve) => {
      worker.on('message', (message: FromObserver) => {
        if (message.type !== 'open') return;
        this.servedPort = message.servedPort;
        this.hasSocket = message.controlProblem === null;
        resolve(message);
      });
      worker.on('error', ({ message: reason }) => {
        resolve({ controlProblem: reason, serveProblem: serve === null ? null : reason });
        if (!isOpen) return;
        const line = `tspmd list and tspmd stats do not find this process any more: ${reason}`;
        onFault(line, { event: 'control-fault', reason });
        if (serve === null) return;
        const what = serve.hasPage ? 'metrics and page' : 'metrics';
        onFault(`${what} are not served any more: ${reason}`, { event: 'metrics-fault', reason });
      });
    });
    isOpen = true;
    return result;
  }

  private async answer({ id, what, args }: FromObserver & { type: 'ask' }, seenAt: number): Promise<void> {
    const about = { type: 'answer', id, seenAt } as const;
    if (what === 'openCapture') this.captures.add(args.id);
    else if (what === 'closeCapture') this.captures.delete(args.id);
    try {
      this.tell({ ...about, value: await this.answerers[what](args) });
    } catch (error) {
      // What an app reports may be anything.
      const fault = error instanceof RequestError ? error.message : `it cannot answer '${what}': ${messageOf(error)}`;
      this.tell({ ...about, fault });
    }
  }

  /** Changes what the process says of itself. */
  update(info: ProcessInfo): void {
    this.tell({ type: 'info', info });
  }

  /** Removes the socket and ends the thread. A second call waits for the first. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private tell(message: ToObserver): void {
    this.worker.postMessage(message);
  }

  private async end(): Promise<void> {
    process.off('exit', this.removeNow);
    this.tell({ type: 'close' });
    const timer = setTimeout(() => void this.worker.terminate(), END_MS);
    await this.exited;
    clearTimeout(timer);
    this.removeNow();
    open.delete(this.path);
  }
}
