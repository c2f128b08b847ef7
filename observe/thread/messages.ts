/** The messages between the main thread of an observed process and the thread that answers for it. */
import type { ProcessInfo } from '../control/process-info.js';

/** What the thread is started with. */
export interface ObserverStart {
  readonly info: ProcessInfo;
  /** Where the control socket is made. */
  readonly path: string;
  /** Folders from which the sockets of killed processes are removed. */
  readonly folders: readonly string[];
}

/** From the main thread. */
export type ToObserver =
  | { readonly type: 'info'; readonly info: ProcessInfo }
  /** The answer to `snapshot`. */
  | { readonly type: 'snapshot'; readonly value: object }
  | { readonly type: 'close' };

/** From the thread. */
export type FromObserver =
  /** The control socket exists; with `problem` it could not be made. */
  { readonly type: 'open'; readonly problem: string | null } | { readonly type: 'snapshot' };
