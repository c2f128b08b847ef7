/**
 * Writes `dist-bench/`: the compiled modules once more, one file each, but with their constants as numbers, as in the
 * package. `npm run bench` runs from there, so that the benchmarks measure what users of the package get. V8 loads and
 * checks an imported constant at each use; TCP is a fifth faster with numbers (docs/v8.md, "Local constants").
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { rolldown } from 'rolldown';
import { BENCH_DIST, DIST } from './exports.js';

/** The folders of `dist/` that benchmarks use. */
const FOLDERS = ['bench', 'bess', 'drivers', 'observe', 'rings', 'scripts', 'src'];

const filesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];

/** Writes the tree, and removes what an earlier build has left there. */
export async function bundleBenchmarks(): Promise<void> {
  const input = FOLDERS.flatMap((folder) =>
    filesIn(join(DIST, folder))
      .filter((file) => file.endsWith('.js'))
      .map((file) => join(DIST, folder, file)),
  );
  const bundle = await rolldown({
    cwd: DIST,
    input,
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
    checks: { ineffectiveDynamicImport: false },
    onLog(level, log) {
      if (level === 'warn') throw new Error(`benchmarks: ${log.message}`);
    },
  });
  const written = new Set<string>();
  try {
    const { output } = await bundle.write({
      ...{ dir: BENCH_DIST, format: 'esm', preserveModules: true, preserveModulesRoot: DIST },
      // Benchmarks start some modules by the name of their file.
      entryFileNames: '[name].js',
    });
    for (const { fileName } of output) written.add(fileName);
  } finally {
    await bundle.close();
  }
  const missing = input.filter((file) => !written.has(relative(DIST, file)));
  if (missing.length > 0) throw new Error(`benchmarks: these modules were not written: ${missing.join(', ')}`);
  for (const file of filesIn(BENCH_DIST)) {
    if (file.endsWith('.js') && !written.has(file)) rmSync(join(BENCH_DIST, file));
  }
}
