/** VFIO's errnos say little; what they mean at each step, in a line that says what to do. */
import { SystemError } from '../libc/index.js';

/**
 * Runs a step of opening a function. What fails becomes `name: reason (CODE)`, with the reason for that errno where there
 * is one, and what the kernel says otherwise.
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
