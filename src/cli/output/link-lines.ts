/** Lines about the link of a port. They are limited, because the backend decides how often the link changes. */
import { tellErr } from '../../../drivers/log/event-log.js';
import { LineLimiter, type Suppressed } from '../../../drivers/log/line-limiter.js';

const LOOK_MS = 1000;

/**
 * Returns a listener that writes the changes of one port's link to stderr, limited per state. It keeps no process
 * alive.
 */
export function limitedLinkLines(): (state: 'up' | 'down', reason: string) => void {
  const limiter = new LineLimiter((line, suppressed) => {
    tellErr(line, { event: 'suppressed', ...(suppressed as Suppressed) });
  });
  setInterval(() => limiter.tick(), LOOK_MS).unref();
  return (state, reason) => {
    if (!limiter.isDue(`link ${state}`)) return;
    tellErr(`link ${state}: ${reason}`, { event: 'link', level: state === 'up' ? 'info' : 'warning', state, reason });
  };
}
