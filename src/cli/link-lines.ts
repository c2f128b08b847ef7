/** Lines about the link of a port. Its backend decides how often it goes and comes, so they are limited. */
import { LineLimiter } from '../../drivers/log/line-limiter.js';
import { complain } from './output.js';

const LOOK_MS = 1000;

/** Writes the changes of one port's link to stderr, limited per state. It does not keep the process alive. */
export function limitedLinkLines(): (state: 'up' | 'down', reason: string) => void {
  const limiter = new LineLimiter(complain);
  setInterval(() => limiter.tick(), LOOK_MS).unref();
  return (state, reason) => limiter.write(`link ${state}`, `link ${state}: ${reason}`);
}
