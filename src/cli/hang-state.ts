/** What the main thread and the one that watches it share; structured-cloneable. */
import type { SignalName } from '../../drivers/libc/index.js';

export interface HangState {
  readonly signals: readonly SignalName[];
  /** The words of {@link HangWord}. */
  readonly words: SharedArrayBuffer;
  /** The actions that the signals had. */
  readonly saved: SharedArrayBuffer;
}

/** Index of each word. */
export const HangWord = {
  /** Counted up by the main thread's event loop. */
  beats: 0,
  /** Number of the signal that told the process to end; 0 until then. */
  told: 1,
  /** 1 while the signals have their default action. */
  isReplaced: 2,
  /** Nobody changes it: the watching thread waits on it. */
  never: 3,
} as const;
