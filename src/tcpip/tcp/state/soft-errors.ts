/**
 * ICMP errors that a connection only notes (RFC 1122, 4.2.3.9; RFC 5461): they may come from anybody, and the path may
 * recover. They say why a connection has timed out.
 */
import { netError } from '../../errors.js';

/** What a row notes; 0: no error. */
export const SOFT_HOST = 1;
export const SOFT_NETWORK = 2;

/** The error for a connection that has ended, by the error that it noted last; null: it noted none. */
export function softErrorOf(noted: number): Error | null {
  if (noted === SOFT_HOST)
    return netError('EHOSTUNREACH', 'the peer did not answer, and a router says: host unreachable');
  if (noted === SOFT_NETWORK) {
    return netError('ENETUNREACH', 'the peer did not answer, and a router says: network unreachable');
  }
  return null;
}
