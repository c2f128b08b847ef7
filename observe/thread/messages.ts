/** The messages between the main thread of an observed process and the thread that answers for it. */
import type { ProcessInfo, ProcessStats } from '../control/process-info.js';
import type { Served } from '../http/address.js';
import type { Family } from '../metrics/family.js';

/** A time in ms that means the same in all threads. */
export const timeNow = (): number => performance.timeOrigin + performance.now();

/** The arguments of a question, which were checked. */
export type Args = Readonly<Record<string, unknown>>;

/** What the thread is started with. */
export interface ObserverStart {
  readonly info: ProcessInfo;
  /** What the main thread can be asked. */
  readonly questions: readonly string[];
  /** Where the control socket is made. */
  readonly path: string;
  /** Folders from which the sockets of killed processes are removed. */
  readonly folders: readonly string[];
  readonly serve: Served | null;
}

/** Makes metrics. The thread loads it by the name of its file. */
export interface MetricsModule {
  familiesOf(stats: ProcessStats): Family[];
}

/** From the main thread. */
export type ToObserver =
  | { readonly type: 'info'; readonly info: ProcessInfo }
  /**
   * The answer to the question `id`: `value`, or `fault`, which says why there is none; `seenAt`: when the event loop of
   * the main thread saw the question ({@link timeNow}).
   */
  | ({ readonly type: 'answer'; readonly id: number; readonly seenAt: number } & (
      | { readonly value: unknown }
      | { readonly fault: string }
    ))
  | { readonly type: 'close' };

/** From the thread. */
export type FromObserver =
  /**
   * The thread answers. `controlProblem`: why it has no control socket; `serveProblem`: why it does not serve the metrics and
   * the page that were asked for. `servedPort` is 0 when it serves nothing.
   */
  | {
      readonly type: 'open';
      readonly controlProblem: string | null;
      readonly serveProblem: string | null;
      readonly servedPort: number;
    }
  /** Asks `what`, one of `questions`. */
  | { readonly type: 'ask'; readonly id: number; readonly what: string; readonly args: Args };
