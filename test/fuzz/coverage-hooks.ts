/** Module hooks (node:module, "Customization Hooks"; a thread of their own): the project's code is loaded instrumented. */
import { readFile } from 'node:fs/promises';
import type { LoadHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import { instrument } from './instrument.js';

const ROOT = new URL('../../', import.meta.url).href;
/** What is fuzzed. Not the system calls: what runs there depends on the kernel. */
const FUZZED = /^(?:rings|drivers\/(?!libc\/)|observe|bess|src)/;

export const load: LoadHook = async (url, context, nextLoad) => {
  if (!url.startsWith(ROOT) || !FUZZED.test(url.slice(ROOT.length))) return nextLoad(url, context);
  const source = await readFile(fileURLToPath(url), 'utf8');
  return { format: 'module', shortCircuit: true, source: instrument(source, url) };
};
