/**
 * The errors that applications get from the stack. They have the codes of Node's sockets, so that a program which knows
 * `net.Socket` handles them without a change.
 */

/** `code` of a {@link NetError}: the names of POSIX, as Node uses them. */
export type NetErrorCode =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EHOSTUNREACH'
  | 'EINVAL'
  | 'EMSGSIZE'
  | 'ENETUNREACH'
  | 'ENOBUFS'
  | 'ETIMEDOUT';

/** An error of the network, or of a call that the stack cannot do. */
export class NetError extends Error {
  constructor(
    readonly code: NetErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Makes an error.
 * @param message one line: the call or the connection, what was found, and what to do
 * @returns an error whose message begins with the code, as those of Node do
 */
export function netError(code: NetErrorCode, message: string): NetError {
  return new NetError(code, `${code}: ${message}`);
}
