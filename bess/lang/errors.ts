/** What can be wrong with a script, and where in it. */

/** A place in a script; both count from 1, and a tab is one column. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * A script that is wrong, or that failed. The message is one line, `file:line:column: text`.
 *
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
    readonly kind: 'syntax' | 'runtime',
    text: string,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(`${file}:${position.line}:${position.column}: ${oneLine(text)}`, cause === undefined ? undefined : { cause });
    this.line = position.line;
    this.column = position.column;
  }
}

/** What is wrong with a script, before its file is known; it never leaves the language. */
export class Problem extends Error {
  /** @param position null while a script runs: the interpreter knows the place */
  constructor(
    text: string,
    readonly position: Position | null,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(text, cause === undefined ? undefined : { cause });
  }
}

/** The problem with a part of Python that the language does not have. */
export function unsupported(position: Position, what: string): Problem {
  return new Problem(`not supported by the embedded switch: ${what}`, position);
}

/** Ends a script that runs. `type` is the name of Python's exception for this mistake, and begins the message. */
export function raise(type: string, text: string): never {
  throw new Problem(text === '' ? type : `${type}: ${text}`, null);
}

/** The error for anything that was thrown while a script was parsed or run. */
export function toScriptError(
  error: unknown,
  file: string,
  position: Position,
  kind: 'syntax' | 'runtime',
): BessScriptError {
  if (error instanceof Problem) {
    return new BessScriptError(file, error.position ?? position, kind, error.message, error.code, error.cause);
  }
  // The error by which V8 says that its stack is full.
  const isTooDeep = error instanceof RangeError && error.message.startsWith('Maximum call stack');
  const text = isTooDeep ? 'the script is nested too deeply' : messageOf(error);
  return new BessScriptError(file, position, kind, text, codeOf(error), error);
}

/** The text of an error of the host's. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `EEXIST`: the code of an error of the host's or of Node's. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ').trim();
}
