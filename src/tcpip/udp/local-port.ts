/** Choosing a local port (RFC 6056, 3.3.1: at random). */
import type { RandomSource } from '../ip/random.js';

/** The range of Linux (ip_local_port_range). */
const FIRST_CHOSEN_PORT = 32_768;
const LAST_CHOSEN_PORT = 60_999;

/**
 * Chooses a port for which `isUsable` returns true.
 * @returns 0 when there is none
 */
export function choosePort(random: RandomSource, isUsable: (port: number) => boolean): number {
  const ports = LAST_CHOSEN_PORT - FIRST_CHOSEN_PORT + 1;
  const start = (random() >>> 0) % ports;
  for (let i = 0; i < ports; i++) {
    const port = FIRST_CHOSEN_PORT + ((start + i) % ports);
    if (isUsable(port)) return port;
  }
  return 0;
}
