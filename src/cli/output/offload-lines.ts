/** The line about the offloads of a port. */
import { offloadNames } from '../../../drivers/offloads.js';
import type { Port } from '../../index.js';

/**
 * Prints which offloads the device does for us; nothing when none are wanted.
 * @param print takes a line
 */
export function showOffloads({ config, offloads }: Port, print: (line: string) => void): void {
  if (config.offloads === 'off') return;
  print(`offloads: ${offloadNames(offloads).join(' ') || 'none; all is done in software'}`);
}
