/**
 * The language of `.bess` scripts (docs/bess.md): a part of Python, and BESS's sugar. `syntax/` splits the text into
 * tokens. Each rule of `grammar/` parses a part of the script and returns a function that executes it. `values/` has
 * Python's values and operators, `library/` the functions and methods. `grammar/` imports the other three, `library/`
 * imports `values/`, and nothing imports back.
 */
import { toScriptError } from './errors.js';
import { Run, type Statement } from './grammar/run.js';
import { parseScript } from './grammar/statements.js';
import type { ScriptHost } from './host.js';
import { BUILTINS, createPrint } from './library/builtins.js';
import { createOs } from './library/os.js';

export { BessScriptError } from './errors.js';
export { type Plain, type PlainMap, type ScriptHost, toPlain } from './host.js';
export { bindArguments } from './library/functions.js';
export { repr, str } from './values/text.js';
export { type CallArguments, type HostObject, NativeFunction, type Value } from './values/values.js';

/** Parses a script; `file` is only for the messages. Throws BessScriptError for anything that is not in the language. */
export function parse(source: string, file: string): readonly Statement[] {
  try {
    return parseScript(source);
  } catch (error) {
    throw toScriptError(error, file, { line: 1, column: 1 }, 'syntax');
  }
}

/**
 * Parses a script and runs it against a host; `file` is only for the messages. Throws BessScriptError for a script that
 * is not in the language ('syntax', and nothing of it has run), and for what fails while it runs ('runtime'). In that
 * case the caller removes what the host has made so far.
 */
export function runScript(source: string, file: string, host: ScriptHost): void {
  const body = parse(source, file);
  const print = createPrint((line) => {
    run.step();
    run.charge(line);
    host.print(line);
  });
  const run: Run = new Run(host, createOs(host), new Map([...BUILTINS, ['print', print]]));
  run.names.set('__file__', file);
  try {
    run.execute(body);
  } catch (error) {
    throw toScriptError(error, file, run.position, 'runtime');
  }
}
