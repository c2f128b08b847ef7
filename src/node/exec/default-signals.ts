/**
 * The default action of a signal for a program that drives a device: the process dies of the signal, as ever, but the
 * device is given back before. A program that handles the signal itself sees nothing of this.
 */

import type { EventEmitter } from 'node:events';

/** The signals that end a process, and that programs handle. */
export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** How long the end may take, in ms. */
const END_MS = 2000;

/** What is done at once before the process dies of a signal. */
const lastActs: (() => void)[] = [];

/** Has `act` called when the process dies of a signal that the program does not handle. */
export function beforeDeath(act: () => void): void {
  lastActs.push(act);
}

/**
 * Calls `end` when a signal comes for which the program has no listener, and then ends the process by that signal.
 * @param end may take up to two seconds; the process dies also when it rejects
 */
export function onDefaultSignal(end: (signal: NodeJS.Signals) => Promise<void>): void {
  const events: EventEmitter = process;
  for (const signal of END_SIGNALS) {
    const die = (): void => {
      events.off('newListener', yieldTo).off('removeListener', takeBack).off(signal, act);
      for (const last of lastActs) last();
      process.kill(process.pid, signal);
    };
    const act = (): void => {
      setTimeout(die, END_MS);
      void end(signal).then(die, die);
    };
    const isOurs = (event: string | symbol, listener: unknown): boolean => event !== signal || listener === act;
    const yieldTo = (event: string | symbol, listener: unknown): void => {
      if (!isOurs(event, listener)) process.off(signal, act);
    };
    const takeBack = (event: string | symbol, listener: unknown): void => {
      if (!isOurs(event, listener) && process.listenerCount(signal) === 0) process.once(signal, act);
    };
    process.once(signal, act);
    // First, because Node itself then begins to wait for a signal that has its first listener.
    events.prependListener('newListener', yieldTo);
    events.on('removeListener', takeBack);
  }
}
