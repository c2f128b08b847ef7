/** The commands of a control socket, and their arguments: what a request has beside its command, checked. */
import { readCapture } from '../capture/request.js';
import type { Args } from '../thread/messages.js';
import { type Request, RequestError } from './requests.js';

type ReadArgs = (request: Request) => object;

/** The most rows of a list. */
const MAX_LIMIT = 1000;

function readLimit(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_LIMIT) return value as number;
  throw new RequestError(`limit: a whole number from 1 to ${MAX_LIMIT} was expected`);
}

/** By command. Not every kind of process has each of them. */
const COMMANDS: Readonly<Record<string, ReadArgs>> = {
  info: () => ({}),
  stats: () => ({}),
  capture: readCapture,
  flows: ({ limit = 50 }) => ({ limit: readLimit(limit) }),
};

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
  if (Object.hasOwn(COMMANDS, command)) return COMMANDS[command](request) as Args;
  const known = Object.keys(COMMANDS).join(', ');
  throw new RequestError(`there is no command '${command.slice(0, 32)}'; there are: ${known}`);
}
