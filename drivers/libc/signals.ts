/** What signals do to this process, apart from Node's handlers, which run only in the event loop of the main thread. */
import { constants } from 'node:os';
import * as c from './constants.js';
import { check } from './errors.js';
import { native } from './ffi/native.js';

export type SignalName = keyof typeof constants.signals;

/** `struct sigaction` of the C library: handler, mask, flags, restorer. All zeros are the default action. */
const ACTION_BYTES = 152;

/** Saved actions of some signals, as bytes. They may lie in shared memory, because every thread can change them. */
export class SignalActions {
  /** Bytes of memory needed for so many signals. */
  static bytes(signals: number): number {
    return signals * ACTION_BYTES;
  }

  constructor(
    private readonly signals: readonly SignalName[],
    private readonly saved: Uint8Array,
  ) {}

  /** Gives the signals their default action, and saves the one that they had. */
  replaceByDefault(): void {
    const defaultAction = new Uint8Array(new ArrayBuffer(ACTION_BYTES));
    this.signals.forEach((signal, i) => {
      sigaction(signal, defaultAction, this.action(i));
    });
  }

  /** Gives the signals the saved action. */
  restore(): void {
    this.signals.forEach((signal, i) => {
      sigaction(signal, this.action(i), null);
    });
  }

  private action(i: number): Uint8Array {
    return this.saved.subarray(i * ACTION_BYTES, (i + 1) * ACTION_BYTES);
  }
}

function sigaction(signal: SignalName, action: Uint8Array, before: Uint8Array | null): void {
  check(native.sigaction(constants.signals[signal], action, before), 'sigaction', signal);
}

/**
 * Makes the kernel end the process by SIGALRM in so many seconds, whatever its threads do then. The next call sets
 * another time; 0 cancels it.
 */
export function endProcessIn(seconds: number): void {
  native.alarm(seconds);
}

/** State of a thread or a process, according to the kernel. */
export interface ThreadState {
  /** Whether it waits in the kernel (states S and D of proc_pid_stat(5)). */
  readonly isWaiting: boolean;
  /** CPU time that it has used so far, in ms. The kernel counts in steps of 10 ms. */
  readonly cpuMs: number;
}

/**
 * Parses the text of /proc/self/task/TID/stat, or of /proc/PID/stat, where the time is that of all threads. `(` and `)`
 * enclose the name, which may contain anything.
 */
export function parseThreadStat(stat: string): ThreadState {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  // utime and stime, fields 14 and 15 of the file; the state is field 3.
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { isWaiting: state === 'S' || state === 'D', cpuMs: ticks * c.MS_PER_TICK };
}
