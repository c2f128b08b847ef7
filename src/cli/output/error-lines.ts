/**
 * Errors as text: one line, and the stack traces for `--verbose`. An app may throw anything, not only Error objects.
 */
import { inspect } from 'node:util';
import { messageOf } from '../../../drivers/log/message-of.js';
import { ConfigError, WorkerError } from '../../errors.js';
import { placeOf } from '../../fault-place.js';

/** Returns one line for what was thrown while `app` ran: the app, the message, and the place in the app's code. */
export function faultOf(app: string, thrown: unknown): string {
  const message = messageOf(thrown)
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  if (thrown instanceof WorkerError) return message;
  const named = message.includes(app) ? message : `app ${app}: ${message}`;
  const place = placeOf(thrown);
  return place === null ? named : `${named} (at ${place})`;
}

/** Returns the error of a port that was opened with `app`. If the app's code threw it, its message names the app. */
export function openingFault(app: string, thrown: unknown): unknown {
  return placeOf(thrown) === null ? thrown : new Error(faultOf(app, thrown), { cause: thrown });
}

/** Whether the user's configuration is wrong, which has an exit code of its own. */
export function isUsageFault(thrown: unknown): boolean {
  return thrown instanceof ConfigError;
}

/** How many errors of a chain of causes are shown. The chain may be circular. */
const MAX_CAUSES = 8;

/** Returns the stack traces for `--verbose`: that of the error that was thrown first, and those of its causes. */
export function traceOf(thrown: unknown): string {
  const stacks = new Set<string>();
  // The outermost error is the command's own, and repeats its cause in one line.
  let error = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  for (let i = 0; i < MAX_CAUSES && error !== undefined; i++) {
    const isError = error instanceof Error;
    stacks.add(isError ? ((error as Error).stack ?? messageOf(error)) : inspect(error));
    error = isError ? (error as Error).cause : undefined;
  }
  return [...stacks].join('\ncaused by: ');
}
