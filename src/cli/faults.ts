/** Whatever was thrown, by us or by somebody's stack, as text for people: no stack trace. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { WorkerError } from '../errors.js';
import { runLoop, runStack } from '../run-loop.js';
import { createStack } from '../stack.js';

/** Where the frames of our own code lie. */
const OURS = new URL('../../', import.meta.url).href;
/** A function's name, if it has one, and a path, but none of `node:internal/…`. */
const FRAME = /^\s+at (?:async )?(?:(.*) \()?((?:file:\/\/)?\/[^\s()]+:\d+:\d+)\)?$/gm;
/** What calls a stack: further out there is none of its code. Not known by their file, the bundle has them all in one. */
const CALLERS = new Set([runStack.name, runLoop.name, createStack.name]);

/** What it says: an error's message; anything else as it is. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : inspect(thrown);
  return thrown.message === '' ? thrown.name : thrown.message;
}

/** Files that may be open at once so that Node, which reads many modules at a time, can load every command. */
const ENOUGH_FILES = 1024;

/** What a command's modules are when they are loaded; where descriptors are what they lack, it says so. */
export async function loaded<Module>(modules: Promise<Module>): Promise<Module> {
  // Read first: there is no descriptor left for it when it is needed.
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  try {
    return await modules;
  } catch (error) {
    // Node has other words for it, too: a package that cannot be read "cannot be found".
    if (!(limit < ENOUGH_FILES)) throw error;
    const advice = `raise the limit ('ulimit -n ${ENOUGH_FILES}')`;
    throw new Error(`too few files may be open to load the program, ${limit}: ${advice}`, { cause: error });
  }
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

function placeOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  for (const [, called = '', place = ''] of (thrown.stack ?? '').matchAll(FRAME)) {
    if (!place.startsWith(OURS)) return place;
    if (CALLERS.has(called)) return null;
  }
  return null;
}
