/** The message of anything that was thrown. */
import { inspect } from 'node:util';

/** Returns the message of an error, or its name if the message is empty; for any other value, the value as text. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : inspect(thrown);
  return thrown.message === '' ? thrown.name : thrown.message;
}
