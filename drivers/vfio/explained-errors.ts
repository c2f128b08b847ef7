/** Errnos of VFIO say little. This adds what they mean at each step and what to do, in one line. */
import { SystemError } from '../libc/index.js';

/**
 * Runs one step of opening a function. If it fails, the error becomes `name: reason (CODE)`, with the reason given for
 * that errno, or with the kernel's message when none is given.
 */
export function explained<T>(name: string, reasons: Readonly<Record<string, string>>, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const reason = reasons[error.code];
    throw new Error(reason === undefined ? `${name}: ${error.message}` : `${name}: ${reason} (${error.code})`);
  }
}
