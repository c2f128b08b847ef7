/** The commands of a control socket, and their arguments: what a request has beside its command, checked. */
import { type Request, RequestError } from './requests.js';

type ReadArgs = (request: Request) => Readonly<Record<string, unknown>>;

/** By command. Not every kind of process has each of them. */
const COMMANDS: Readonly<Record<string, ReadArgs>> = {
  info: () => ({}),
  stats: () => ({}),
};

/**
 * Returns the arguments of a request, all of them, so that equal requests have equal ones.
 * @throws RequestError when there is no such command, or an argument is none of those that it takes
 */
export function readArgs(request: Request): Readonly<Record<string, unknown>> {
  const { command } = request;
  if (Object.hasOwn(COMMANDS, command)) return COMMANDS[command](request);
  const known = Object.keys(COMMANDS).join(', ');
  throw new RequestError(`there is no command '${command.slice(0, 32)}'; there are: ${known}`);
}
