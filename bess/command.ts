/** What `tspmd switch FILE` does: run a script's switch until told to stop. */
import { basename } from 'node:path';
import { LineWriter } from '../drivers/log/line-writer.js';
import { type OpenSwitchOptions, openSwitch, type RunningSwitch } from './open.js';
import { renderStats } from './stats.js';

/**
 * Runs a switch until the signal of the options aborts; then its sockets are gone. Prints one line that begins with `ready`
 * when all ports listen, and a table of the counters at each SIGUSR1. Answers `tspmd switch --stats`.
 *
 * Throws what is wrong with the script, or what has stopped the switch, as one line.
 */
export async function runSwitch(options: OpenSwitchOptions): Promise<void> {
  const print = options.print ?? ((text: string) => LineWriter.of(process.stdout).text(text));
  const opened = await openSwitch({ ...options, control: true, print });
  const printTable = (): void => print(renderStats(opened.stats()));
  process.on('SIGUSR1', printTable);
  try {
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
