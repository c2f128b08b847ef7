/** Whatever was thrown, by us or by somebody's stack, as text for people: one line, and a stack if it is asked for. */
import { inspect } from 'node:util';
import { ConfigError, WorkerError } from '../errors.js';
import { placeOf } from '../fault-place.js';

/** What it says: an error's message; anything else as it is. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : inspect(thrown);
  return thrown.message === '' ? thrown.name : thrown.message;
}

/** One line for what was thrown while `app` ran: whose fault it is, and where in its code, if it is not ours. */
export function faultOf(app: string, thrown: unknown): string {
  const message = messageOf(thrown)
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  if (thrown instanceof WorkerError) return message;
  const named = message.includes(app) ? message : `app ${app}: ${message}`;
  const place = placeOf(thrown);
  return place === null ? named : `${named} (at ${place})`;
}

/** What went wrong while a port with `app` was opened: the app's fault where it was thrown in its code. */
export function openingFault(app: string, thrown: unknown): unknown {
  return placeOf(thrown) === null ? thrown : new Error(faultOf(app, thrown), { cause: thrown });
}

/** Whether a command was told what cannot be, as opposed to that it failed. */
export function isUsageFault(thrown: unknown): boolean {
  return thrown instanceof ConfigError;
}

/** Errors of a chain of causes that are shown; a chain may be a ring. */
const MAX_CAUSES = 8;

/** What `--verbose` adds: the stack of what was thrown first, and of what caused that, if it says so. */
export function stackOf(thrown: unknown): string {
  const stacks = new Set<string>();
  // The outermost is ours, and but repeats in one line what its cause tells.
  let error = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  for (let i = 0; i < MAX_CAUSES && error !== undefined; i++) {
    const isError = error instanceof Error;
    stacks.add(isError ? ((error as Error).stack ?? messageOf(error)) : inspect(error));
    error = isError ? (error as Error).cause : undefined;
  }
  return [...stacks].join('\ncaused by: ');
}
