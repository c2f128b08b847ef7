/** The one error that the language of `.bess` scripts throws: what is wrong, and where in the script. */

/** A place in a script; both count from 1, and a tab is one column. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where a node was built before the parser knows a token: chevrotain's recording phase hands out empty tokens. */
export const NOWHERE: Position = { line: 0, column: 0 };

/**
 * A script that is wrong, or that failed. The message is one line, `file:line:column: text`.
 *
 * `kind` is 'syntax' when nothing of the script has run, else 'runtime'. `code` is the one that the host gave its error
 * (`EEXIST`, `ENOENT`), if any; the host's error itself is `cause`.
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

/** A syntax error that does not know its file yet; never leaves `parse`. */
export class SyntaxProblem extends Error {
  constructor(
    readonly position: Position,
    text: string,
  ) {
    super(text);
  }
}

/** True for the error by which V8 says that its stack is full. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith('Maximum call stack');
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ').trim();
}
