/** The memory that the main thread and the watching thread share. It can be sent to a worker. */
import type { SignalName } from '../../../drivers/libc/index.js';
import type { LogForm } from '../../../drivers/log/event-log.js';
import type { ServiceEnvironment } from '../service/environment.js';

export interface HangState {
  readonly signals: readonly SignalName[];
  readonly log: LogForm;
  /** The service manager that wants signs of life; null: none does. */
  readonly service: ServiceEnvironment | null;
  /** The words of {@link HangWord}. */
  readonly words: SharedArrayBuffer;
  /** The signal actions that Node has set. */
  readonly saved: SharedArrayBuffer;
}

/** The index of each word. */
export const HangWord = {
  /** Number of beats. The event loop of the main thread counts them. */
  beats: 0,
  /** Number of the signal that told the process to end; 0 before. */
  told: 1,
  /** 1 while the signals have their default action. */
  isReplaced: 2,
  /** Never changes: the watching thread sleeps on it. */
  never: 3,
} as const;
