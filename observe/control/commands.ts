/** The commands of a control socket, and their arguments: what a request has beside its command, checked. */
import { type Request, RequestError } from './requests.js';

/** What may come first in the list of connections. */
export const CONNECTION_SORTS = ['bytes', 'rtt', 'retransmitted', 'unsent', 'state'] as const;
/** The most connections in a list, and how many there are by default. */
export const MAX_CONNECTIONS = 1000;
const CONNECTIONS = 50;

/** The arguments of `connections`. */
export interface ConnectionsArgs {
  readonly limit: number;
  readonly sort: (typeof CONNECTION_SORTS)[number];
}

type ReadArgs = (request: Request) => object;

/** By command. Not every kind of process has each of them. */
const COMMANDS: Readonly<Record<string, ReadArgs>> = {
  info: () => ({}),
  stats: () => ({}),
  connections: readConnections,
};

/**
 * Returns the arguments of a request, all of them, so that equal requests have equal ones.
 * @throws RequestError when there is no such command, or an argument is none of those that it takes
 */
export function readArgs(request: Request): Readonly<Record<string, unknown>> {
  const { command } = request;
  if (Object.hasOwn(COMMANDS, command)) return { ...COMMANDS[command](request) };
  const known = Object.keys(COMMANDS).join(', ');
  throw new RequestError(`there is no command '${command.slice(0, 32)}'; there are: ${known}`);
}

function readConnections(request: Request): ConnectionsArgs {
  const { limit = CONNECTIONS, sort = 'bytes' } = request as Partial<Record<keyof ConnectionsArgs, unknown>>;
  if (!(Number.isInteger(limit) && (limit as number) >= 1 && (limit as number) <= MAX_CONNECTIONS)) {
    throw new RequestError(`connections: limit is a whole number from 1 to ${MAX_CONNECTIONS}`);
  }
  if (!(CONNECTION_SORTS as readonly unknown[]).includes(sort)) {
    throw new RequestError(`connections: sort is one of ${CONNECTION_SORTS.join(', ')}`);
  }
  return { limit, sort } as ConnectionsArgs;
}
