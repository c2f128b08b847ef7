/**
 * What drives a core: the contract of a stack, and loading one from a file.
 *
 * ```js
 * // my-stack.js
 * export const layer = 'ip';
 * export default function (core, options) {
 *   return {
 *     poll() {
 *       const count = core.getRxCount();
 *       for (let i = 0; i < count; i++) core.release(core.getBufferRx());
 *       return count;
 *     },
 *   };
 * }
 * ```
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { Layer, StackOptions } from './config.js';
import { AppError } from './errors.js';
import { placeOf, syntaxErrorPlace } from './fault-place.js';
import type { Core } from './link/core.js';
import type { PacketBuffer } from './link/packet-buffer.js';

export type { StackOptions } from './config.js';

/** The stack of one core. */
export interface Stack {
  /** Does what there is to do, without blocking. Returns how many packets it handled; 0 when it found nothing. */
  poll(): number;
  /** For how long {@link poll} need not be called when no packets come, in ms. Without it: for ever. Asked when idle. */
  maxSleepMs?(): number;
  /** Running totals, by name. */
  report?(): Record<string, number>;
  /** The loop has ended. Buffers that the stack holds go with the device. */
  stop?(): void;
}

/**
 * A stack that drives itself, in Node's event loop: it awaits `core.waitForPackets()`, and timers, sockets and ordinary
 * code live beside it.
 */
export interface EventLoopStack {
  /**
   * Runs until the signal aborts; `core.waitForPackets()` returns then. What it rejects with ends its core. Where the core
   * is a thread of its own, one that does not return within two seconds is ended with its thread.
   * @param signal what was given to {@link runStack}; of `tspmd run` and of a port with several cores an AbortSignal:
   * write `run(signal: AbortSignal)` to pass it on to Node's functions
   */
  run(signal: StopSignal): Promise<void>;
  /** Running totals, by name. */
  report?(): Record<string, number>;
}

/** Makes the stack of a core. */
export type StackFactory = (core: Core, options: StackOptions) => Stack | EventLoopStack;

/** A module that is a stack: what a FILE.js exports, and each of our apps. */
export interface StackModule {
  readonly default: StackFactory;
  /** Which layer it works on; `ip` where it doesn't say. */
  readonly layer?: Layer;
}

/** A part of a stack that shares the packets of one core with others. */
export interface PacketHandler {
  /**
   * Looks at a received packet. True when it has taken it: it then owns the buffer, and has released or sent it. False
   * when the packet is not for it: untouched, still the caller's.
   */
  handle(buffer: PacketBuffer): boolean;
  /** Work of its own, such as requests that are due. Returns how many packets it sent or gave up on. */
  poll?(): number;
  /** As {@link Stack.maxSleepMs}. */
  maxSleepMs?(): number;
  /** Running totals, by name. */
  report(): Record<string, number>;
}

/**
 * Loads a stack from a file: JavaScript, or TypeScript where this Node runs it.
 * @throws AppError with one line that names the file and what is wrong with it, and where: `file:line:column`.
 */
export async function loadStack(file: string): Promise<StackModule> {
  const path = resolve(file);
  if (!existsSync(path)) throw new AppError(`stack ${file}: there is no such file`);
  let module: Partial<Record<string, unknown>>;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new AppError(`stack ${file}: ${await whyNotImported(path, error)}`, { cause: error });
  }
  return checkStack(file, module);
}

async function whyNotImported(path: string, error: unknown): Promise<string> {
  if (isTypeScriptUnknown(error)) {
    return `Node ${process.versions.node} cannot run TypeScript; use Node 22.18 or newer, or compile it and name the .js file`;
  }
  const reason = error instanceof Error ? error.message : String(error);
  const isSyntaxError = error instanceof Error && error.name === 'SyntaxError';
  const place = placeOf(error) ?? (isSyntaxError ? await syntaxErrorPlace(path) : null);
  return `cannot be imported: ${reason.split('\n', 1)[0]}${place === null ? '' : ` (at ${place})`}`;
}

/** Whether the file, or one that it imports, is TypeScript, and nothing in this process takes the types off. */
function isTypeScriptUnknown(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' && /"\.[cm]?ts"/.test(message) && !runsTypeScript();
}

/** `process.features.typescript`: from Node 22.10 on, and true by default from 22.18 on. */
function runsTypeScript(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}

function checkStack(file: string, module: Partial<Record<string, unknown>>): StackModule {
  const { default: factory, layer = 'ip' } = module;
  if (factory === undefined) {
    throw new AppError(`stack ${file}: has no default export (want: export default function (core, options))`);
  }
  if (typeof factory !== 'function') {
    throw new AppError(
      `stack ${file}: its default export is of type ${typeof factory}, not a function (core, options)`,
    );
  }
  if (layer !== 'ip' && layer !== 'ethernet') {
    throw new AppError(`stack ${file}: its layer is ${JSON.stringify(layer)}, neither 'ip' nor 'ethernet'`);
  }
  return { default: factory as StackFactory, layer };
}

/**
 * Makes the stack of a core, and checks that it is one.
 * @param name for the error message
 */
export function createStack(
  name: string,
  module: StackModule,
  core: Core,
  options: StackOptions = {},
): Stack | EventLoopStack {
  const stack: unknown = module.default(core, options);
  const made = (typeof stack === 'object' && stack !== null ? stack : {}) as Partial<Stack & EventLoopStack>;
  if (typeof made.poll !== 'function' && typeof made.run !== 'function') {
    throw new AppError(`stack ${name}: its default export returned no object with a poll() or a run() method`);
  }
  return stack as Stack | EventLoopStack;
}
