/** Lines about the link of a port. They are limited, because the backend decides how often the link changes. */
import { LineLimiter } from '../../../drivers/log/line-limiter.js';
import { warn } from './lines.js';

const LOOK_MS = 1000;

/**
 * Returns a listener that writes the changes of one port's link to stderr, limited per state. It keeps no process
 * alive.
 */
export function limitedLinkLines(): (state: 'up' | 'down', reason: string) => void {
  const limiter = new LineLimiter(warn);
  setInterval(() => limiter.tick(), LOOK_MS).unref();
  return (state, reason) => limiter.write(`link ${state}`, `link ${state}: ${reason}`);
}
