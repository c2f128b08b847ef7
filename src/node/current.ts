/** The host that the functions of `tspmd/net` and `tspmd/dgram` use unless they are told another. */
import { StateError } from '../errors.js';
import type { NetHost } from './host.js';

let current: NetHost | null = null;

/** Makes `host` the one that is used by default. */
export function setCurrentHost(host: NetHost): void {
  current = host;
}

/** `host` is used by default no longer. */
export function clearCurrentHost(host: NetHost): void {
  if (current === host) current = null;
}

/**
 * Returns the host that is used by default: the one that {@link openHost} has opened last, or that of `tspmd exec`.
 * @throws StateError when there is none
 */
export function currentHost(): NetHost {
  if (current === null) throw new StateError('tspmd/net: no host is open; call openHost first');
  return current;
}
