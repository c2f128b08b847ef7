/** `tspmd switch FILE`: runs a script until a signal stops the switch. */
import { basename } from 'node:path';
import { LineWriter } from '../drivers/log/line-writer.js';
import { metricsUrl } from '../observe/metrics/server.js';
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
  const print = options.print ?? ((text: string) => LineWriter.of(process.stdout).text(text));
  const opened = await openSwitch({ ...options, control: true, print });
  const printTable = (): void => print(renderStats(opened.stats()));
  process.on('SIGUSR1', printTable);
  try {
    if (options.metrics !== undefined) {
      print(`metrics: ${metricsUrl(options.metrics, opened.metricsPort)}`);
    }
    print(readyLine(opened));
    await opened.closed;
  } finally {
    process.off('SIGUSR1', printTable);
  }
}

function readyLine({ ports, modules, script }: RunningSwitch): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  return `ready: ${count(ports.length, 'port')}, ${count(modules, 'module')}, ${basename(script)}`;
}
