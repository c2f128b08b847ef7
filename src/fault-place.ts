/** Where in somebody's code an error comes from, as `/path/of/file.js:line:column`. */
import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Folders of our own code: those of the sources, and the bundle's, which has all in one. */
const OURS = ['src', 'drivers', 'rings', 'tspmd'].map((folder) => `${ROOT}${folder}/`);
/** Our functions that call a stack's code: further out there is none of it. By name, as a bundle has them in one file. */
const CALLERS = new Set(['runStack', 'runLoop', 'createStack', 'loadStack']);

/** A function's name, if it has one, and a place in a file, but none of `node:internal/…`. */
const FRAME = /^\s+at (?:async )?(?:(.*) \()?((?:file:\/\/)?\/.+):(\d+):(\d+)\)?$/gm;
/** How Node shows where code cannot be parsed: the file and line, the source, and a mark below it. */
const SHOWN = /^((?:file:\/\/)?\/.+):(\d+)\n(?:.*\n){1,3}?([ \t]*)\^/m;
/** Where the file ends too early there is nothing to mark: blanks lead there. */
const SHOWN_AT_END = /^((?:file:\/\/)?\/.+):(\d+)\n.*\n([ \t]*)\n/m;

const PARSE_MS = 10_000;

/**
 * The innermost place of `thrown` that is not in tspmd; of code that cannot be parsed, the place that Node shows.
 * @returns null when its stack names none: it was thrown by tspmd itself, or is no Error
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
 * Where the module `path`, or one that it imports, cannot be parsed. Node tells a program that imports a module only what is
 * wrong, and shows where on stderr when the error ends it: so another Node links the module, and ends before any of it runs.
 * @returns null when Node does not show it
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
