/** What the live page is told every second: the answers to the commands that the control socket has, too. */
import { messageOf } from '../../drivers/log/message-of.js';
import type { RunningProcess } from '../control/process-info.js';
import type { Request } from '../control/requests.js';
import type { ViewerCounts } from './viewers.js';

/** Rows of the tables of flows and of connections. */
const ROWS = 20;

/** An answer, or one line that says why there is none. */
export type Told = { readonly result: unknown } | { readonly problem: string };

export interface News {
  readonly process: RunningProcess;
  readonly stats: Told;
  readonly flows: Told;
  readonly connections: Told;
  readonly viewers: ViewerCounts;
}

/** @param answer as that of the control socket */
export async function gather(
  process: () => RunningProcess,
  answer: (request: Request) => Promise<unknown>,
  viewers: () => ViewerCounts,
): Promise<News> {
  const told = (request: Request & Readonly<Record<string, unknown>>): Promise<Told> =>
    answer(request).then(
      (result) => ({ result }),
      (error: unknown) => ({ problem: messageOf(error) }),
    );
  const [stats, flows, connections] = await Promise.all([
    told({ command: 'stats' }),
    told({ command: 'flows', limit: ROWS }),
    told({ command: 'connections', limit: ROWS }),
  ]);
  return { process: process(), stats, flows, connections, viewers: viewers() };
}
