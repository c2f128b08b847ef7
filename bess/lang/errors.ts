/** The errors of a script, with the place in its text. */

type Kind = 'syntax' | 'runtime';

/** A place in a script; both count from 1, and a tab is one column. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * A script that is wrong, or that failed. The message is one line, `file:line:column: text`.
 * `kind` is 'syntax' if the script is not in the language (then nothing of it has run), otherwise 'runtime'. `code` is
 * the code of the host's error (`EEXIST`, `ENOENT`), if it has one; the host's error itself is `cause`.
 */
export class BessScriptError extends Error {
  override readonly name = 'BessScriptError';
  readonly line: number;
  readonly column: number;

  constructor(
    readonly file: string,
    position: Position,
    readonly kind: Kind,
    text: string,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(`${file}:${position.line}:${position.column}: ${oneLine(text)}`, cause === undefined ? undefined : { cause });
    this.line = position.line;
    this.column = position.column;
  }
}

/** An error in a script before its file is known. It does not leave this folder. */
export class Problem extends Error {
  /** @param position null while a script runs: `Run.position` is the place then */
  constructor(
    text: string,
    readonly position: Position | null,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(text, cause === undefined ? undefined : { cause });
  }
}

/** The error for a part of Python that the language does not have. */
export function unsupported(position: Position, what: string): Problem {
  return new Problem(`not supported by the embedded switch: ${what}`, position);
}

/** Ends the running script. `type` is the name of Python's exception for this mistake; the message begins with it. */
export function raise(type: string, text: string): never {
  throw new Problem(text === '' ? type : `${type}: ${text}`, null);
}

/** Turns anything that was thrown while a script was parsed or run into the error for its user. */
export function toScriptError(error: unknown, file: string, position: Position, kind: Kind): BessScriptError {
  if (error instanceof Problem) {
    return new BessScriptError(file, error.position ?? position, kind, error.message, error.code, error.cause);
  }
  // V8 throws this when its stack is full.
  const isTooDeep = error instanceof RangeError && error.message.startsWith('Maximum call stack');
  const text = isTooDeep ? 'the script is nested too deeply' : messageOf(error);
  return new BessScriptError(file, position, kind, text, codeOf(error), error);
}

/** The message of an error of the host. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of an error of the host or of Node, such as `EEXIST`; undefined if it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ').trim();
}
