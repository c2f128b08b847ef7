/** The port that `listen(0)` finds. */

/** The range of Linux (ip_local_port_range). */
const FIRST_FREE_PORT = 32_768;
/** How many ports there are to try. */
export const FREE_PORTS = 60_999 - FIRST_FREE_PORT + 1;
/** Steps through all free ports, because it has no divisor in common with their number. */
const STEP = 7919;
let calls = 0;

/** Returns another port per call. In the threads of one process the same calls give the same ports, as with `cluster`. */
export function nextFreePort(): number {
  return FIRST_FREE_PORT + ((process.pid + STEP * calls++) % FREE_PORTS);
}
