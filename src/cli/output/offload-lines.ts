/** The line about the offloads of a port. */

import type { EventSink } from '../../../drivers/log/events.js';
import { offloadNames } from '../../../drivers/offloads.js';
import type { Port } from '../../index.js';

/**
 * Prints which offloads the device does for us; nothing when none are wanted.
 * @param tell takes a line, with its event
 */
export function showOffloads({ config, offloads }: Port, tell: EventSink): void {
  if (config.offloads === 'off') return;
  const names = offloadNames(offloads);
  tell(`offloads: ${names.join(' ') || 'none; all is done in software'}`, { event: 'offloads', offloads: names });
}
