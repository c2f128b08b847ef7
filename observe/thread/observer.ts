/**
 * Lets others look into this process while it runs: `tspmd list`, `tspmd stats`. A thread of its own (`tspmd-observer`)
 * answers them, so that whoever asks too often, reads too slowly or sends nonsense does not disturb the thread with the
 * packets; and so that a main thread that hangs is seen.
 */
import { unlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { controlFolders, controlPath } from '../control/files.js';
import type { ProcessInfo } from '../control/process-info.js';
import { type FromObserver, type MetricsStart, type ObserverStart, type ToObserver, timeNow } from './messages.js';

/** Paths of the control sockets that this process has: at most one of a kind in a folder, because of their names. */
const open = new Set<string>();

/** How long the thread may take to end, in ms. Then it is terminated. */
const END_MS = 1000;

/** Returns the counters of the process, as a structured-cloneable object; must not reject. */
export type Snapshot = () => object | Promise<object>;

export interface ObserverOptions {
  /** Where control sockets are: the first folder gets that of this process. */
  readonly folders?: readonly string[];
  readonly metrics?: MetricsStart | null;
}

export class Observer {
  /** The TCP port of the metrics; 0 when there are none. */
  metricsPort = 0;
  /** Removes the socket, because the process ends at once. */
  readonly removeNow = (): void => {
    try {
      unlinkSync(this.path);
    } catch {
      // The thread has removed it, or it was never made.
    }
  };
  private readonly exited: Promise<unknown>;
  private closing: Promise<void> | null = null;

  private constructor(
    private readonly worker: Worker,
    /** The path of the control socket. */
    readonly path: string,
    snapshot: Snapshot,
  ) {
    this.exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', async (message: FromObserver) => {
      const seenAt = timeNow();
      if (message.type === 'snapshot') this.tell({ type: 'snapshot', value: await snapshot(), seenAt });
    });
    // A program may end its process at any time.
    process.on('exit', this.removeNow);
  }

  /**
   * Starts the thread. It does not keep the process alive. Rejects with one line when the control socket cannot be made;
   * nothing is left behind then.
   * @param snapshot returns the counters of the process; called at most 50 times per second
   */
  static async start(info: ProcessInfo, snapshot: Snapshot, options: ObserverOptions = {}): Promise<Observer> {
    const { folders = controlFolders(), metrics = null } = options;
    const path = controlPath(folders[0], info.kind, process.pid);
    if (open.has(path)) throw new Error(`control socket ${path}: another ${info.kind} of this process uses it`);
    open.add(path);
    const start: ObserverStart = { info, path, folders, metrics };
    const worker = new Worker(new URL('./observer-worker.js', import.meta.url), {
      workerData: start,
      name: 'tspmd-observer',
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
    });
    const observer = new Observer(worker, path, snapshot);
    const problem = await new Promise<string | null>((resolve) => {
      worker.on('message', (message: FromObserver) => {
        if (message.type !== 'open') return;
        observer.metricsPort = message.metricsPort;
        resolve(message.problem);
      });
      worker.on('error', (error) => resolve(error.message));
    });
    worker.unref();
    if (problem === null) return observer;
    await observer.close();
    throw new Error(problem);
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
