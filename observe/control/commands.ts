/** The commands of a control socket, and their arguments: what a request has beside its command, checked. */
import { readCapture } from '../capture/request.js';
import type { Args } from '../thread/messages.js';
import { type Request, RequestError } from './requests.js';

/** What may come first in the list of connections. */
export const CONNECTION_SORTS = ['bytes', 'rtt', 'retransmitted', 'unsent', 'state'] as const;
/** The most rows of a list, and how many there are by default. */
const MAX_ROWS = 1000;
const ROWS = 50;

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
  capture: readCapture,
  connections: readConnections,
  flows: (request) => ({ limit: readLimit(request) }),
};

/** All commands. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** Commands that the thread of the observer answers by captures. */
const BY_CAPTURES: readonly string[] = ['capture', 'flows'];

/** The commands of a process whose main thread can be asked these questions. */
export function commandsWith(questions: readonly string[]): string[] {
  const canCapture = questions.includes('openCapture');
  return Object.keys(COMMANDS).filter(
    (command) => command === 'info' || questions.includes(command) || (canCapture && BY_CAPTURES.includes(command)),
  );
}

/**
 * Returns the arguments of a request, all of them, so that equal requests have equal ones.
 * @throws RequestError when there is no such command, or an argument is none of those that it takes
 */
export function readArgs(request: Request): Args {
  const { command } = request;
  if (Object.hasOwn(COMMANDS, command)) return { ...COMMANDS[command](request) };
  const known = Object.keys(COMMANDS).join(', ');
  throw new RequestError(`there is no command '${command.slice(0, 32)}'; there are: ${known}`);
}

function readConnections(request: Request): ConnectionsArgs {
  const { sort = 'bytes' } = request;
  const limit = readLimit(request);
  if (!(CONNECTION_SORTS as readonly unknown[]).includes(sort)) {
    throw new RequestError(`connections: sort is one of ${CONNECTION_SORTS.join(', ')}`);
  }
  return { limit, sort } as ConnectionsArgs;
}

function readLimit({ command, limit = ROWS }: Request): number {
  if (Number.isSafeInteger(limit) && (limit as number) >= 1 && (limit as number) <= MAX_ROWS) return limit as number;
  throw new RequestError(`${command}: limit is a whole number from 1 to ${MAX_ROWS}`);
}
