/**
 * Part of `npm run build`: what is installed, in a few files. Node loads a hundred modules one after the other, each with
 * lookups of its own, which is most of what a start of `tspmd` takes: on a guest's 9p file system the bundle starts in half
 * the time.
 */
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChunkingContext, rolldown } from 'rolldown';

/** The compiled modules. */
const DIST = fileURLToPath(new URL('../', import.meta.url));
/** As deep in `dist` as the modules of `src/cli`, which look for package.json from where they are. */
const BUNDLE = join(DIST, 'bundle', 'tspmd');
/** Flat, and by these names: a thread is started from the file beside that which starts it. */
const ENTRIES = {
  main: 'src/cli/main.js',
  index: 'src/index.js',
  testing: 'src/testing/index.js',
  'rx-worker': 'src/multicore/rx-worker.js',
  'tx-worker': 'src/multicore/tx-worker.js',
  'stack-worker': 'src/multicore/stack-worker.js',
};

/** The threads that leave the device to another: they need not even half of the modules. */
const WITHOUT_DEVICE = [ENTRIES['tx-worker'], ENTRIES['stack-worker']].map((entry) => join(DIST, entry));

/** What these threads import, at whatever remove. */
const core = new Set<string>();

function addImports(id: string, context: ChunkingContext): void {
  if (core.has(id)) return;
  core.add(id);
  for (const imported of context.getModuleInfo(id)?.importedIds ?? []) addImports(imported, context);
}

const bundle = await rolldown({
  cwd: DIST,
  input: ENTRIES,
  platform: 'node',
  // The library that reads arguments is seven modules, looked for in as many folders. The others are not in each start, or
  // have a native part.
  external: [/^(?!(commander|validate-npm-package-name)$)[^./]/],
  // An app that a command also has in common with others is no chunk of its own.
  checks: { ineffectiveDynamicImport: false },
  onLog(level, log) {
    if (level === 'warn') throw new Error(`bundle: ${log.message}`);
  },
});
const { output } = await bundle.write({
  dir: BUNDLE,
  format: 'esm',
  sourcemap: true,
  // They are in the sources, to which the maps lead; V8 need not read past them at each start.
  comments: false,
  // What two or more have in common; what one command, app or thread alone needs stays apart. In two files, as to compile what
  // they do not need would be a quarter of those threads' start.
  codeSplitting: {
    groups: [
      {
        debugName: 'core',
        name: (id, context) => {
          for (const entry of WITHOUT_DEVICE) addImports(entry, context);
          return core.has(id) ? 'core' : null;
        },
        minShareCount: 2,
        priority: 1,
      },
      { name: 'device', minShareCount: 2 },
    ],
  },
});
await bundle.close();

// By itself: it must not load the rest, and the rest, which is fast because V8 folds constants within a file, keeps its copy.
const wire = await rolldown({ cwd: DIST, input: { wire: 'src/wire/index.js' }, platform: 'node' });
const { output: wireOutput } = await wire.write({ dir: BUNDLE, format: 'esm', sourcemap: true, comments: false });
await wire.close();

const written = new Set([...output, ...wireOutput].map(({ fileName }) => fileName));
for (const old of readdirSync(BUNDLE)) if (!written.has(old)) rmSync(join(BUNDLE, old));
// What their authors ask of whom passes them on.
for (const name of ['commander', 'validate-npm-package-name']) {
  copyFileSync(join(DIST, '../node_modules', name, 'LICENSE'), join(BUNDLE, `${name}.LICENSE`));
}
