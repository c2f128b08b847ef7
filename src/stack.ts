/**
 * The contract between a core and its stack, and loading a stack from a file.
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
import { messageOf } from '../drivers/log/message-of.js';
import type { OffloadPolicy } from '../drivers/offloads.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { Layer, StackOptions } from './config.js';
import { AppError } from './errors.js';
import { placeOf, syntaxErrorPlace } from './fault-place.js';
import type { Core } from './link/core.js';
import type { PacketBuffer } from './link/packet-buffer.js';

export type { StackOptions } from './config.js';

/**
 * The stack of one core, which the core polls. A stack may have a method {@link EventLoopStack.run} as well, for
 * programs that have a core of their own: a core that has the choice calls `poll`.
 */
export interface Stack {
  /** Does what there is to do, without blocking. Returns how many packets it handled; 0 when it found nothing. */
  poll(): number;
  /**
   * As {@link poll}, for a call that follows one of `poll` at once, so that timers may wait for the next `poll`. A loop
   * that spins calls `poll` every ten microseconds or so then. Default: `poll`.
   */
  pollAgain?(): number;
  /**
   * How long {@link poll} need not be called while no packets come, in ms. Default: for ever. Called before the core
   * sleeps.
   */
  maxSleepMs?(): number;
  /** Totals until now, by name. */
  report?(): Record<string, number>;
  /** Called after the loop has ended. The stack need not release its buffers. */
  stop?(): void;
}

/**
 * A stack that drives itself, in Node's event loop: it awaits `core.waitForPackets()`, and timers, sockets and ordinary
 * code run beside it. A core calls `run` only if the stack has no {@link Stack.poll}.
 */
export interface EventLoopStack {
  /**
   * Runs until the signal aborts; `core.waitForPackets()` returns then. When it rejects, its core ends. With `1kb` and
   * `2kb`, a stack that does not return within two seconds is ended with its thread.
   * @param signal the signal of {@link runStack}. `tspmd run` and a port with `1kb` or `2kb` give an AbortSignal: write
   * `run(signal: AbortSignal)` to pass it on to Node's functions
   */
  run(signal: StopSignal): Promise<void>;
  /**
   * Whether the stack is a program that may end its thread itself, by `process.exit()` or when it has nothing left to
   * do. With `1kb` and `2kb` that is no failure then: see {@link PortEvents.coreEnd}. Default false.
   */
  readonly mayEnd?: boolean;
  /** Totals until now, by name. */
  report?(): Record<string, number>;
}

/** Makes the stack of a core. */
export type StackFactory = (core: Core, options: StackOptions) => Stack | EventLoopStack;

/** What the module of a stack exports: a FILE.js of a user, or a sample app. */
export interface StackModule {
  readonly default: StackFactory;
  /** The layer that the stack works on. Default `ip`. */
  readonly layer?: Layer;
  /** Whether the device shall do checksums and segmentation. Default `off`. A configuration that says something else wins. */
  readonly offloads?: OffloadPolicy;
}

/** A part of a stack that shares the packets of one core with other parts. */
export interface PacketHandler {
  /**
   * Looks at a received packet.
   * @returns true when it took the packet: it then owns the buffer, and has released or sent it. False when the packet
   * is not for this part: the packet is unchanged, and the caller keeps the buffer.
   */
  handle(buffer: PacketBuffer): boolean;
  /** Does work of its own, such as requests that are due. Returns how many packets it sent or gave up on. */
  poll?(): number;
  /** As {@link Stack.maxSleepMs}. */
  maxSleepMs?(): number;
  /** Totals until now, by name. */
  report(): Record<string, number>;
}

/**
 * Returns what a stack reports while it runs, for those who look into it: only what is a number. A stack whose `report`
 * throws reports nothing, and goes on.
 */
export function liveTotals(stack: Pick<Stack, 'report'> | null): Record<string, number> | undefined {
  try {
    const all = Object.entries(stack?.report?.() ?? {});
    return Object.fromEntries(all.filter(([, value]) => Number.isFinite(value)));
  } catch {
    return undefined;
  }
}

/**
 * Loads a stack from a file: JavaScript, or TypeScript where this Node runs it.
 * @throws AppError with one line that names the file, what is wrong with it, and the place `file:line:column`.
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
  const reason = messageOf(error);
  const isSyntaxError = error instanceof Error && error.name === 'SyntaxError';
  const place = placeOf(error) ?? (isSyntaxError ? await syntaxErrorPlace(path) : null);
  return `cannot be imported: ${reason.split('\n', 1)[0]}${place === null ? '' : ` (at ${place})`}`;
}

/** Whether the file, or a file that it imports, is TypeScript, and this Node does not strip the types. */
function isTypeScriptUnknown(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' && /"\.[cm]?ts"/.test(message) && !runsTypeScript();
}

/** `process.features.typescript` exists from Node 22.10 on, and is true by default from 22.18 on. */
function runsTypeScript(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}

function checkStack(file: string, module: Partial<Record<string, unknown>>): StackModule {
  const { default: factory, layer = 'ip', offloads = 'off' } = module;
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
  if (offloads !== 'off' && offloads !== 'auto') {
    throw new AppError(`stack ${file}: its offloads are ${JSON.stringify(offloads)}, neither 'auto' nor 'off'`);
  }
  return { default: factory as StackFactory, layer, offloads };
}

/**
 * Makes the stack of a core.
 * @param name of the stack, for the error message
 * @throws AppError when the module does not return a stack
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
