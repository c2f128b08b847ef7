/** The errors of the switch: BessError for a script, with the errno and text of BESS; SwitchError for a program. */

/** The errno names that BESS's modules and ports return. */
export type ErrorCode = 'EBUSY' | 'EEXIST' | 'EINVAL' | 'ENODEV' | 'ENOENT' | 'ENOMEM' | 'ENOTSUP' | 'EPERM' | 'ERANGE';

/** A module, port or worker refused a request. Nothing has changed, unless the method's comment says otherwise. */
export class BessError extends Error {
  override readonly name = 'BessError';

  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** `code` of a {@link SwitchError}. Unlike the message it stays the same in later versions. */
export type SwitchErrorCode =
  /** The signal was aborted before the switch ran. */
  | 'ERR_TSPMD_ABORTED'
  /** An option has an impossible value. */
  | 'ERR_TSPMD_CONFIG'
  /** The script cannot be read, has a mistake, or failed while it ran: a {@link ScriptError}. */
  | 'ERR_TSPMD_SCRIPT'
  /** The switch cannot start, or an error stopped it. */
  | 'ERR_TSPMD_SWITCH';

/** A switch cannot be opened, or an error stopped it. The message is one line. */
export class SwitchError extends Error {
  override readonly name: string = 'SwitchError';

  constructor(
    readonly code: SwitchErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * A script cannot be read, has a mistake, or failed while it ran. The message begins with `file:line:column:` if the
 * place in the script is known.
 */
export class ScriptError extends SwitchError {
  override readonly name = 'ScriptError';
  /** The script's file, or the name that was given with its text. */
  readonly file: string;
  /** Line in the script, from 1; null if the place is not known. */
  readonly line: number | null;
  /** Column in the line, from 1; null if the place is not known. */
  readonly column: number | null;
  /** Name of the errno with which BESS would refuse (`EEXIST`); null if there is none. */
  readonly errno: string | null;

  /** @param place the place in the script, as far as it is known, and what caused the error */
  constructor(
    message: string,
    place: {
      readonly file: string;
      readonly line?: number;
      readonly column?: number;
      readonly errno?: string | undefined;
      readonly cause?: unknown;
    },
  ) {
    super('ERR_TSPMD_SCRIPT', message, 'cause' in place ? { cause: place.cause } : undefined);
    this.file = place.file;
    this.line = place.line ?? null;
    this.column = place.column ?? null;
    this.errno = place.errno ?? null;
  }
}
