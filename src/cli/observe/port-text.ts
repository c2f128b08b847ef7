/** The counters of a port and of its threads as text. */
import type { CoreStatus, ThreadStatus } from '../../port.js';
import { counterLines } from '../output/counter-lines.js';
import type { PortSnapshot } from './port-snapshot.js';

/** Returns a line for the port, one per counter that is not 0, and one per thread when there are several. */
export function portText({ device, mac, address, gateway, counters, cores, workers }: PortSnapshot): string {
  const route = gateway === null ? '' : `, gateway ${gateway}`;
  const threads = [...cores, ...workers];
  return [
    `${address} at ${mac} on ${device}${route}`,
    ...counterLines(counters).map((line) => `  ${line}`),
    ...(threads.length > 1 ? threads.map((thread) => `  ${threadLine(thread)}`) : []),
  ].join('\n');
}

function threadLine(thread: ThreadStatus & { readonly rings?: CoreStatus['rings'] }): string {
  const { title, isAlive, isAsleep, counters, rings } = thread;
  if (!isAlive) return `${title}: ended`;
  const queues = Object.entries(rings ?? {}).map(([name, { count, capacity }]) => `, ${name} ${count}/${capacity}`);
  const { loop_busy_ms: busy, loop_idle_ms: idle } = counters;
  const share = busy + idle === 0 ? '' : `, busy ${Math.round((100 * busy) / (busy + idle))} %`;
  return `${title}: ${isAsleep ? 'asleep' : 'awake'}${queues.join('')}${share}`;
}
