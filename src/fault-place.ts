/** Finds where in the code of an app an error was thrown: `/path/of/file.js:line:column`. */
import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Folders of our own code: those of the sources, and that of the bundle. */
const OURS = ['src', 'drivers', 'rings', 'tspmd'].map((folder) => `${ROOT}${folder}/`);
/**
 * Our functions that call the code of a stack: further out, the call stack has none of it. By name, because the bundle
 * has few files.
 */
const CALLERS = new Set(['runStack', 'runLoop', 'createStack', 'loadStack']);

/** A line of a call stack: the name of the function, if it has one, and a place in a file. Not `node:internal/…`. */
const FRAME = /^\s+at (?:async )?(?:(.*) \()?((?:file:\/\/)?\/.+):(\d+):(\d+)\)?$/gm;
/** How Node shows a syntax error: the file and line, the source line, and a mark below it. */
const SHOWN = /^((?:file:\/\/)?\/.+):(\d+)\n(?:.*\n){1,3}?([ \t]*)\^/m;
/** How Node shows that a file ends too early: without a mark; blanks lead to the place. */
const SHOWN_AT_END = /^((?:file:\/\/)?\/.+):(\d+)\n.*\n([ \t]*)\n/m;

const PARSE_MS = 10_000;

/**
 * The innermost place of `thrown` that is not in tspmd. For a syntax error, the place that Node shows.
 * @returns null when there is none: tspmd itself threw it, or it is not an Error
 */
export function placeOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  const stack = thrown.stack ?? '';
  if (thrown.name === 'SyntaxError') {
    const shown = placeShown(stack);
    if (shown !== null) return shown;
  }
  for (const [, called = '', file = '', line, column] of stack.matchAll(FRAME)) {
    const path = pathOf(file);
    if (!OURS.some((folder) => path.startsWith(folder))) return `${path}:${line}:${column}`;
    if (CALLERS.has(called)) return null;
  }
  return null;
}

/**
 * Finds the syntax error in the module `path`, or in a module that it imports. Node shows the place only on stderr,
 * when the error ends a process. So a second Node loads the module, and ends before any of it runs.
 * @returns null when Node does not show the place
 */
export function syntaxErrorPlace(path: string): Promise<string | null> {
  const end = 'data:text/javascript,process.exit()';
  const program = `import ${JSON.stringify(end)}; import ${JSON.stringify(pathToFileURL(path).href)};`;
  const args = [...process.execArgv, '--input-type=module', '--eval', program];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: PARSE_MS }, (_, __, stderr) => resolve(placeShown(stderr)));
  });
}

function placeShown(text: string): string | null {
  const [, file, line, before = ''] = SHOWN.exec(text) ?? SHOWN_AT_END.exec(text) ?? [];
  return file === undefined ? null : `${pathOf(file)}:${line}:${before.length + 1}`;
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}
