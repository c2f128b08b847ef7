/** The totals of the stacks of an endpoint that runs, as `tspmd stats` shows them. */
import { askStats, findProcesses, hasAnswered } from '../../../observe/control/client.js';
import type { Child } from '../../../scripts/child.js';
import type { PortSnapshot } from '../../../src/cli/observe/port-snapshot.js';

type Totals = Readonly<Record<string, number>>;

/** A busy core may miss the half second that it has for an answer. */
const TRIES = 10;

/** One entry for each core. Asks again when a core has not answered in time. */
export async function coreTotals({ pid }: Child): Promise<Totals[]> {
  for (let tries = 0; tries < TRIES; tries++) {
    const [answer] = await askStats(await findProcesses(String(pid)));
    if (answer === undefined) throw new Error(`process ${pid} is gone`);
    if (!hasAnswered(answer)) throw new Error(answer.problem);
    const totals = (answer.result.port as PortSnapshot).totals as readonly (Totals | null)[];
    const given = totals.filter((own) => own !== null);
    if (given.length === totals.length) return given;
  }
  throw new Error(`not all cores of process ${pid} have answered in ${TRIES} tries`);
}
