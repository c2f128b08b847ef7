/** The totals of the stacks of an endpoint that runs, as `tspmd stats` shows them. */
import { askStats, findProcesses, hasAnswered } from '../../../observe/control/client.js';
import type { Child } from '../../../scripts/child.js';
import type { PortSnapshot } from '../../../src/cli/observe/port-snapshot.js';

/** One entry for each core. */
export async function coreTotals({ pid }: Child): Promise<Readonly<Record<string, number>>[]> {
  const [answer] = await askStats(await findProcesses(String(pid)));
  if (answer === undefined) throw new Error(`process ${pid} is gone`);
  if (!hasAnswered(answer)) throw new Error(answer.problem);
  return (answer.result.port as PortSnapshot).totals.map((totals) => totals as Record<string, number>);
}
