/** The counters of a running switch, as `tspmd stats` gets them. */
import type { SwitchStats } from '../../../bess/stats.js';
import { askStats, findProcesses, hasAnswered } from '../../../observe/control/client.js';

/** Asks the switch with this process id on its control socket. */
export async function fetchSwitchStats(pid: number): Promise<SwitchStats> {
  const found = (await findProcesses(String(pid))).filter(hasAnswered);
  const [answer] = await askStats(found);
  if (answer === undefined || !hasAnswered(answer)) throw new Error(answer?.problem ?? `switch ${pid} has ended`);
  return answer.result.switch as SwitchStats;
}

/** Reads what `tspmd stats PID --json` has printed about a switch. */
export function parseSwitchStats(stdout: string): SwitchStats {
  return (JSON.parse(stdout) as { readonly switch: SwitchStats }).switch;
}
