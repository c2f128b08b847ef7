/** Finds the text of a script: in a file, or among the scripts that come with tspmd. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ScriptError } from '../errors.js';
import { nearest } from '../nearest-name.js';

/** A script as text. */
export interface ScriptText {
  /** The name of the file in errors and in the ready line. */
  readonly name: string;
  readonly source: string;
}

/**
 * Reads a script. A name without a folder that is not in the current folder is looked up among the scripts that come
 * with tspmd. If it is not there either, the {@link ScriptError} lists them.
 */
export function readScript(file: string): ScriptText {
  try {
    return { name: file, source: readFileSync(file, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new ScriptError(`cannot read the script ${file}: ${code}`, { file });
  }
  const missing = `cannot read the script ${file}: there is no such file`;
  if (file !== basename(file)) throw new ScriptError(missing, { file });
  const folder = shippedFolder();
  const shipped = folder === null ? [] : readdirSync(folder).filter((name) => name.endsWith('.bess'));
  if (folder !== null && shipped.includes(file)) {
    const name = join(folder, file);
    return { name, source: readFileSync(name, 'utf8') };
  }
  const meant = nearest(file, shipped);
  const advice = meant === undefined ? '' : `; perhaps you mean ${meant}`;
  throw new ScriptError(`${missing} here, nor among those that come with tspmd: ${shipped.join(', ')}${advice}`, {
    file,
  });
}

/**
 * The folder `bess` of the package or checkout that this code belongs to. Bundled, compiled and source files lie at
 * different depths below it.
 */
function shippedFolder(): string | null {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'bess', 'forward_script.bess'))) {
      return join(folder, 'bess');
    }
    const parent = dirname(folder);
    if (parent === folder) return null;
    folder = parent;
  }
}
