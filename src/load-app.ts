/**
 * Loads the app that a configuration names: a sample app of tspmd, or a file. The library does not import the sample
 * apps: it finds the file of one by its name when it starts it.
 */
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from './errors.js';
import { loadStack, type StackModule } from './stack.js';

/** The sample apps: `src/apps/NAME.ts`. The package has them in a folder of that name, too. */
export const SAMPLE_APPS = ['echo', 'macswap', 'rxonly', 'txonly', 'tcp-echo', 'discard', 'http', 'iperf3'];

/** `.js`; `.ts` where a test runs the sources. */
const EXTENSION = extname(import.meta.url);

/**
 * Loads a sample app by its name, or a stack from a file.
 * @throws AppError with one line that names it and what is wrong.
 */
export async function loadApp(nameOrFile: string): Promise<StackModule> {
  if (SAMPLE_APPS.includes(nameOrFile)) {
    return loadStack(fileURLToPath(new URL(`./apps/${nameOrFile}${EXTENSION}`, import.meta.url)));
  }
  if (!/[./]/.test(nameOrFile) && !existsSync(nameOrFile)) {
    throw new AppError(`app '${nameOrFile}': neither one of ${SAMPLE_APPS.join(', ')} nor a file`);
  }
  return loadStack(nameOrFile);
}
