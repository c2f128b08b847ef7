/** `tspmd switch FILE`: runs a script until a signal stops the switch. */
import { basename } from 'node:path';
import { CountersSignal } from '../drivers/log/counters-signal.js';
import { tellOut } from '../drivers/log/event-log.js';
import type { EventSink } from '../drivers/log/events.js';
import { tellServed } from '../observe/http/address.js';
import { type OpenSwitchOptions, openSwitch, type RunningSwitch } from './open-switch.js';
import { renderStats } from './stats.js';

/**
 * Runs a switch until the signal in the options aborts. Prints a line that begins with `ready` when all ports listen,
 * and a table of the counters at each SIGUSR1. Answers `tspmd list` and `tspmd stats`. Its sockets are removed when this
 * returns.
 *
 * Rejects with a SwitchError of one line if the script is wrong, or if an error stops the switch.
 */
export async function runSwitch(options: OpenSwitchOptions): Promise<void> {
  const tell: EventSink = options.print ?? tellOut;
  const signal = new CountersSignal();
  try {
    const opened = await openSwitch({ ...options, control: true });
    signal.print = () => {
      const counters = opened.stats();
      tell(renderStats(counters), { event: 'counters', counters });
    };
    tellServed(options, opened.metricsPort, tell);
    tellReady(opened, tell);
    await opened.closed;
  } finally {
    signal.close();
  }
}

function tellReady({ ports: { length: ports }, modules, script }: RunningSwitch, tell: EventSink): void {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const line = `ready: ${count(ports, 'port')}, ${count(modules, 'module')}, ${basename(script)}`;
  tell(line, { event: 'ready', kind: 'switch', ports, modules, script });
}
