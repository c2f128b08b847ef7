/**
 * The JavaScript of the package, in a few files. Node loads a hundred modules one after the other, each with lookups of its
 * own, which is most of what a start of `tspmd` takes: on a guest's 9p file system the bundle starts in half the time.
 */
import { join } from 'node:path';
import {
  type ChunkingContext,
  type CodeSplittingGroup,
  type InputOptions,
  type OutputChunk,
  type OutputOptions,
  rolldown,
} from 'rolldown';
import { BUNDLE, DIST, EXPORTS } from './exports.js';

/** What is started, not imported. Flat, and by these names: a thread is started from the file beside the one that starts it. */
const PROGRAMS = {
  main: 'src/cli/main',
  'hang-worker': 'src/cli/hang-worker',
  'rx-worker': 'src/threads/rx-worker',
  'tx-worker': 'src/threads/tx-worker',
  'stack-worker': 'src/threads/stack-worker',
};

/**
 * The files of what two or more programs, exports or commands have in common. A module goes to the first whose roots import
 * it, at whatever remove but not by `import()`. What only one of them imports stays with it. So each command loads what it
 * needs and little else, in few files:
 *
 * - `core` is all of the driver and the layer that the threads without the device need: to compile the rest would be a
 *   quarter of their start;
 * - `table` makes `tspmd devices` independent of the switch;
 * - `script` has the script language and its parser, which the counters of a running switch do not need.
 */
const COMMON: readonly { readonly name: string; readonly roots: readonly string[] }[] = [
  { name: 'core', roots: ['src/threads/tx-worker', 'src/threads/stack-worker'] },
  { name: 'device', roots: ['src/index', 'src/threads/rx-worker', 'src/cli/main', 'src/cli/run', 'src/cli/ping'] },
  { name: 'table', roots: ['src/cli/devices'] },
  { name: 'switch', roots: ['bess/control/print-stats', 'bess/errors'] },
  { name: 'script', roots: ['bess/open-switch'] },
];

const compiled = (module: string): string => join(DIST, `${module}.js`);

/** What some modules import, themselves included. */
function reach(roots: readonly string[], context: ChunkingContext): Set<string> {
  const reached = new Set<string>();
  const left = roots.map(compiled);
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    left.push(...(context.getModuleInfo(id)?.importedIds ?? []));
  }
  return reached;
}

function groups(): CodeSplittingGroup[] {
  return COMMON.map(({ name, roots }, i) => {
    let reached: Set<string> | undefined;
    return {
      debugName: name,
      name: (id, context) => {
        reached ??= reach(roots, context);
        return reached.has(id) ? name : null;
      },
      minShareCount: 2,
      priority: COMMON.length - i,
    };
  });
}

async function write(
  input: Record<string, string>,
  withMaps: boolean,
  codeSplitting: OutputOptions['codeSplitting'] = false,
): Promise<OutputChunk[]> {
  const options: InputOptions = {
    cwd: DIST,
    input: Object.fromEntries(Object.entries(input).map(([name, module]) => [name, compiled(module)])),
    platform: 'node',
    // koffi has a native part. All else is in the bundle: installed by itself it would be a hundred files more, looked for
    // in as many folders at a start.
    external: ['koffi'],
    // An app that a command also has in common with others is no file of its own.
    checks: { ineffectiveDynamicImport: false },
    onLog(level, log) {
      if (level === 'warn') throw new Error(`bundle: ${log.message}`);
    },
  };
  const bundle = await rolldown(options);
  try {
    const { output } = await bundle.write({
      dir: BUNDLE,
      format: 'esm',
      sourcemap: withMaps,
      // They are in the sources, to which the maps lead; V8 need not read past them at each start.
      comments: false,
      codeSplitting,
    });
    return output.filter((file) => file.type === 'chunk');
  } finally {
    await bundle.close();
  }
}

/** Writes all programs and exports. Returns the files, with the modules that each was made of. */
export async function bundleJavaScript(withMaps: boolean): Promise<OutputChunk[]> {
  const together = EXPORTS.filter(({ isAlone }) => !isAlone).map(({ name, module }) => [name, module]);
  const chunks = await write({ ...PROGRAMS, ...Object.fromEntries(together) }, withMaps, { groups: groups() });
  for (const { name, module, isAlone } of EXPORTS) {
    if (isAlone) chunks.push(...(await write({ [name]: module }, withMaps)));
  }
  return chunks;
}
