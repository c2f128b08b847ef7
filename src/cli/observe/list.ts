/** `tspmd list`: the processes of tspmd that run on this machine. */
import Table from 'cli-table3';
import { hasAnswered, listProcesses, problemsOf } from '../../../observe/control/client.js';
import type { RunningProcess } from '../../../observe/control/process-info.js';
import { timeText } from '../../../observe/page/browser/model/format.js';
import { print, warn } from '../output/lines.js';

/** Prints a table, or one line of JSON per process. A process that gives no answer has a line on stderr. */
export async function list(options: { json?: boolean }): Promise<void> {
  const answers = await listProcesses();
  const processes = answers.filter(hasAnswered).map(({ result, owner }) => ({ ...result, user: owner }));
  if (options.json) for (const row of processes) process.stdout.write(`${JSON.stringify(row)}\n`);
  else if (processes.length > 0) print(tableOf(processes));
  else if (answers.length === 0) print('no process of tspmd is running');
  for (const line of problemsOf(answers)) warn(line);
}

function tableOf(processes: readonly (RunningProcess & { readonly user: number })[]): string {
  const table = new Table({
    head: ['pid', 'command', 'name', 'devices', 'address', 'mode', 'state', 'up', 'user'],
    style: { head: [], border: [], compact: true },
  });
  for (const { pid, kind, name, devices, address, mode, state, uptime, user } of processes)
    table.push([pid, kind, name, devices.join('\n'), address ?? '', mode ?? '', state, timeText(uptime), user]);
  return table.toString();
}
