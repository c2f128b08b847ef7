/** errno as an `Error`: which call failed, on what, and why. */
import { getSystemErrorMap } from 'node:util';
import { native } from './ffi/native.js';

/** A system call that failed. `code` is the name of the errno (`ENOENT`), `target` what the call was applied to. */
export class SystemError extends Error {
  override readonly name = 'SystemError';

  constructor(
    readonly syscall: string,
    readonly target: string,
    readonly errno: number,
    readonly code: string,
    reason: string,
  ) {
    super(`${syscall} ${target}: ${reason} (${code})`);
  }
}

/**
 * Makes the error of the call that has just failed. Call it before any other foreign call, which would overwrite errno.
 */
export function systemError(syscall: string, target: string, errno: number = native.errno()): SystemError {
  const [code, reason] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return new SystemError(syscall, target, errno, code, reason);
}

/** Returns the result, or throws what errno says when it is negative. */
export function check(result: number, syscall: string, target: string): number {
  if (result < 0) throw systemError(syscall, target);
  return result;
}
