/** What goes wrong: what a script is told (the errno and text of BESS), and what the program that opens a switch is told. */

/** The errno names that BESS's modules and ports answer with. */
export type ErrorCode = 'EBUSY' | 'EEXIST' | 'EINVAL' | 'ENODEV' | 'ENOENT' | 'ENOMEM' | 'ENOTSUP' | 'EPERM' | 'ERANGE';

/** A request that was refused. Nothing has changed, except where the method says so. */
export class BessError extends Error {
  override readonly name = 'BessError';

  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** `code` of a {@link SwitchError}; stays the same when the message changes. */
export type SwitchErrorCode =
  /** The signal was aborted before the switch ran. */
  | 'ERR_TSPMD_ABORTED'
  /** An option is impossible. */
  | 'ERR_TSPMD_CONFIG'
  /** The script cannot be read, is wrong, or failed: a {@link ScriptError}. */
  | 'ERR_TSPMD_SCRIPT'
  /** The switch cannot start, or has stopped because of an error. */
  | 'ERR_TSPMD_SWITCH';

/** What a program that opens a switch is told when that fails: one line, and a code. */
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

/** A script that cannot be read, is wrong, or failed. The message begins with its place, `file:line:column`, where it has one. */
export class ScriptError extends SwitchError {
  override readonly name = 'ScriptError';
  /** The file, or the name that was given with the text. */
  readonly file: string;
  /** Both count from 1; null where the script cannot be read. */
  readonly line: number | null;
  readonly column: number | null;
  /** The error number by which BESS would refuse, by name (`EEXIST`); null where there is none. */
  readonly errno: string | null;

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
