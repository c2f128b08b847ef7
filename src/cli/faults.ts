/** Whatever was thrown, by us or by somebody's stack, as text for people: no stack trace. */
import { inspect } from 'node:util';

/** Where the frames of our own code lie. */
const OURS = new URL('../../', import.meta.url).href;
/** A path, and none of `node:internal/…`. */
const FRAME = /^\s+at (?:async |.*\()?((?:file:\/\/)?\/[^\s()]+:\d+:\d+)\)?$/gm;

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
  const named = message.includes(app) ? message : `app ${app}: ${message}`;
  const place = placeOf(thrown);
  return place === null ? named : `${named} (at ${place})`;
}

function placeOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  for (const [, place = ''] of (thrown.stack ?? '').matchAll(FRAME)) {
    if (!place.startsWith(OURS)) return place;
    // What calls a stack: further out there is none of its code.
    if (/\/(run-loop|stack)\.js:/.test(place)) return null;
  }
  return null;
}
