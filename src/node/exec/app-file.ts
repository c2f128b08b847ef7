/** The file of the app of `tspmd exec`. The package has it beside the file with this code, too. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `.js`; `.ts` where a test runs the sources. */
const EXTENSION = extname(import.meta.url);

export const EXEC_APP = fileURLToPath(new URL(`./exec-app${EXTENSION}`, import.meta.url));
