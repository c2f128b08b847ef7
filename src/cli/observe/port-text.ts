/** The counters of a port, of its threads and of its stacks as text. */
import type { TcpFigures } from '../../index.js';
import type { CoreStatus, StackTotals, ThreadStatus } from '../../port.js';
import { counterLines } from '../output/counter-lines.js';
import { ringsText } from '../output/rates.js';
import type { PortSnapshot } from './port-snapshot.js';
import { stackMeaningOf } from './stack-meaning.js';
import { tcpText } from './tcp-figures.js';

/**
 * Returns a line for the port, one per counter that is not 0, one per thread when there are several, and what the stack of
 * each core reports.
 */
export function portText({
  device,
  mac,
  address,
  gateway,
  counters,
  cores,
  workers,
  totals,
  tcp,
}: PortSnapshot): string {
  const route = gateway === null ? '' : `, gateway ${gateway}`;
  const threads = [...cores, ...workers];
  return [
    `${address} at ${mac} on ${device}${route}`,
    ...counterLines(counters).map((line) => `  ${line}`),
    ...(threads.length > 1 ? threads.map((thread) => `  ${threadLine(thread)}`) : []),
    ...totals.flatMap((own, core) => stackLines(own ?? {}, tcp[core] ?? null, core)),
  ].join('\n');
}

function threadLine(thread: ThreadStatus & { readonly rings?: CoreStatus['rings'] }): string {
  const { title, isAlive, isAsleep, counters, rings } = thread;
  if (!isAlive) return `${title}: ended`;
  const { loop_busy_ms: busy, loop_idle_ms: idle } = counters;
  const share = busy + idle === 0 ? '' : `, busy ${Math.round((100 * busy) / (busy + idle))} %`;
  return `${title}: ${isAsleep ? 'asleep' : 'awake'}${ringsText(rings ?? null)}${share}`;
}

function stackLines(totals: StackTotals, tcp: TcpFigures | null, core: number): string[] {
  const lines = counterLines(totals, stackMeaningOf);
  if (tcp !== null) lines.unshift(`connections: ${tcpText(tcp)}`);
  return lines.length === 0 ? [] : [`the stack of core ${core}`, ...lines.map((line) => `  ${line}`)];
}
