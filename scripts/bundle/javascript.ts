/**
 * Bundles the JavaScript of the package into a few files. Node loads a hundred modules one after the other, which is
 * most of the time that `tspmd` takes to start. On the 9p file system of a guest, the bundle starts in half the time.
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
import { SAMPLE_APPS } from '../../src/load-app.js';
import { BUNDLE, DIST, EXPORTS } from './exports.js';

/**
 * Files that are started, not imported. They are in one folder and have these names, because a module starts a thread
 * from the file beside its own.
 */
const PROGRAMS = {
  main: 'src/cli/main',
  'hang-worker': 'src/cli/hang/hang-worker',
  'observer-worker': 'observe/thread/observer-worker',
  // Loaded by name in that thread.
  'port-metrics': 'src/cli/observe/port-metrics',
  'switch-metrics': 'bess/switch-metrics',
  'rx-worker': 'src/threads/rx-worker',
  'tx-worker': 'src/threads/tx-worker',
  'stack-worker': 'src/threads/stack-worker',
  'exec-app': 'src/node/exec/exec-app',
  // Found by name, beside the file that loads them: src/load-app.ts.
  ...Object.fromEntries(SAMPLE_APPS.map((name) => [`apps/${name}`, `src/apps/${name}`])),
};

/**
 * Files with the modules that two or more programs, exports or commands share. A module goes to the first of these
 * files whose roots import it, directly or indirectly, but not by `import()`. A module that only one program imports
 * stays in its file. Thus each command loads few files and little that it does not need:
 *
 * - `core` has the parts of the driver and the layer that threads without the device need. Compiling the rest would
 *   take a quarter of their start;
 * - `apps` has what sample apps share with `tspmd ping`. A core that runs an app thus does not load the driver, which
 *   takes longer than the app itself;
 * - `tcpip` has the TCP/IP stack, which several apps share;
 * - `http` has what the apps over TCP and `tspmd get` share;
 * - `node` has what is between Node's sockets and the TCP/IP stack;
 * - `table` makes `tspmd devices` independent of the switch;
 * - `observe` has what processes and those who look into them share;
 * - `script` has the script language, which is not needed to print the counters of a running switch.
 */
const COMMON: readonly { readonly name: string; readonly roots: readonly string[] }[] = [
  { name: 'core', roots: ['src/threads/tx-worker', 'src/threads/stack-worker'] },
  { name: 'apps', roots: ['src/apps/echo', 'src/apps/txonly'] },
  { name: 'tcpip', roots: ['src/tcpip/index'] },
  { name: 'node', roots: ['src/node/exec/exec-app'] },
  { name: 'http', roots: ['src/apps/http', 'src/apps/tcp-echo'] },
  { name: 'device', roots: ['src/index', 'src/threads/rx-worker', 'src/cli/main', 'src/cli/run', 'src/cli/ping'] },
  { name: 'table', roots: ['src/cli/devices'] },
  { name: 'observe', roots: ['observe/thread/observer', 'observe/control/client'] },
  { name: 'switch', roots: ['bess/stats', 'bess/errors'] },
  { name: 'script', roots: ['bess/open-switch'] },
];

const compiled = (module: string): string => join(DIST, `${module}.js`);

/** Returns the modules that `roots` import, directly or indirectly, with the roots themselves. */
function importedBy(roots: readonly string[], context: ChunkingContext): Set<string> {
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
        reached ??= importedBy(roots, context);
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
    // koffi stays outside, because it has a native part. All other packages are bundled: as dependencies they would be
    // a hundred more files to find and load at each start.
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
      // V8 would read them at each start. The source maps lead to the sources, which have them.
      comments: false,
      codeSplitting,
    });
    return output.filter((file) => file.type === 'chunk');
  } finally {
    await bundle.close();
  }
}

/** Writes all programs and exports. Returns the files, with the modules that are in each. */
export async function bundleJavaScript(withMaps: boolean): Promise<OutputChunk[]> {
  const together = EXPORTS.filter(({ isAlone }) => !isAlone).map(({ name, module }) => [name, module]);
  const chunks = await write({ ...PROGRAMS, ...Object.fromEntries(together) }, withMaps, { groups: groups() });
  for (const { name, module, isAlone } of EXPORTS) {
    if (isAlone) chunks.push(...(await write({ [name]: module }, withMaps)));
  }
  return chunks;
}
