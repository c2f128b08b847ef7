/** What the threads of a layout are given, and how they are told to run, to pause and to end. */

import type { RssShare } from '../../src/rss/rss.js';
import type { InterconnectShare } from '../../src/threads/shared/interconnect.js';

export type Role = 'single' | 'rxtx' | 'rx' | 'tx' | 'cores';

/** Words of the control block. */
export const STATE = 0;
export const STALLED = 1;
export const STARTED = 2;
/** Values of STATE. */
export const PAUSED = 0;
export const RUNNING = 1;
export const ENDED = 2;
/** Of STALLED: no core. */
export const NO_CORE = -1;
/** Counters: a core's packets each, and on a line of its own what the device has sent. */
export const SENT = 64;
export const COUNTERS = SENT + 16;

/** What the thread is given. */
export interface ThreadStart {
  readonly role: Role;
  readonly cpu: number;
  readonly cores: number;
  readonly flows: number;
  readonly memory: SharedArrayBuffer;
  readonly interconnect: InterconnectShare;
  readonly rss: RssShare;
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
}
