/** Runs one of the measuring processes of this folder, which prints one line of JSON. */
import { fileURLToPath } from 'node:url';
import { Child } from '../../../../scripts/child.js';

/** V8 collects nothing in a short run with a young generation of this size in MiB: the growth is what was allocated. */
const YOUNG_MB = 64;

/** @throws Error with the output of the process when it fails */
export async function runWorker<Result>(name: string, ...args: (string | number)[]): Promise<Result> {
  // Tests run as source, the process as compiled.
  const base = import.meta.url.endsWith('.ts') ? '../../../../dist/test/support/tcpip/limits/' : './';
  const file = fileURLToPath(new URL(`${base}${name}.worker.js`, import.meta.url));
  const flags = ['--expose-gc', `--min-semi-space-size=${YOUNG_MB}`, `--max-semi-space-size=${YOUNG_MB}`];
  const child = Child.spawn(process.execPath, [...flags, file, ...args.map(String)]);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`${name} ${args.join(' ')}: exit code ${code}\n${child.output}`);
  return JSON.parse(child.stdout) as Result;
}
