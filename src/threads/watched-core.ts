/** What the stack of a core does, as the watchdog sees it from the thread of the port. */
import type { SpscRing } from '../../rings/spsc-ring.js';
import { L2, type L2Counters } from '../counters.js';
import type { WatchedThread } from '../link/watchdog.js';
import type { Doorbell } from './shared/doorbell.js';

/**
 * @param thread of the core
 * @param rxQueue of the core
 * @param counters of the core itself
 */
export function watchedCore(
  thread: { readonly isAlive: boolean },
  doorbell: Doorbell,
  rxQueue: SpscRing,
  { values }: L2Counters,
): WatchedThread {
  return {
    get isAlive() {
      return thread.isAlive;
    },
    get isAsleep() {
      return doorbell.isAsleep;
    },
    // Polls are counted 64 at a time. A stack that polls seldom shows its progress by the packets that it takes.
    get progress() {
      return values[L2.loop_polls] + rxQueue.headNow;
    },
    get waiting() {
      return rxQueue.count;
    },
  };
}
