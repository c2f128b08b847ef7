/** The data of the threads of a layout, and the shared words that make them run, pause and end. */

import type { RssShare } from '../../src/rss/rss.js';
import type { InterconnectShare } from '../../src/threads/shared/interconnect.js';

export type Role = 'single' | 'rxtx' | 'rx' | 'tx' | 'cores';

/** Indices of words in the control block. */
export const STATE = 0;
export const STALLED = 1;
export const STARTED = 2;
/** Values of STATE. */
export const PAUSED = 0;
export const RUNNING = 1;
export const ENDED = 2;
/** Value of STALLED when no core is stalled. */
export const NO_CORE = -1;
/** Index of the counter of sent packets, on a cache line of its own. The counters of the cores are before it. */
export const SENT = 64;
/** Index of the counter of what went wrong. */
export const WRONG = SENT + 8;
export const COUNTERS = SENT + 16;

/** The data of a thread. */
export interface ThreadStart {
  readonly role: Role;
  readonly cpu: number;
  /** Counts the threads with the same role. */
  readonly core: number;
  readonly cores: number;
  readonly flows: number;
  readonly memory: SharedArrayBuffer;
  readonly interconnect: InterconnectShare;
  readonly rss: RssShare;
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
}
