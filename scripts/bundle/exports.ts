/**
 * The modules that a program can import from the package. The bundled JavaScript and the declarations follow from this
 * table. For a new export, add a line here and an entry to `exports` in package.json; a test compares the two.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageExport {
  /** Its key in `exports` of package.json. */
  readonly path: string;
  /** The name of its two files in the bundle: `NAME.js` and `NAME.d.ts`. */
  readonly name: string;
  /** The path of its module from the root of the repository, without extension. */
  readonly module: string;
  /**
   * Whether it shares no file with the rest of the bundle, so that importing it does not load the driver and koffi. The
   * package then has code twice: it must consist of functions and constants only.
   */
  readonly isAlone?: boolean;
  /** Whether its declarations need the types of Node, because what it exports is Node's. */
  readonly needsNodeTypes?: boolean;
  /** Whether importing it does something at once. It exports nothing. */
  readonly acts?: boolean;
}

export const EXPORTS: readonly PackageExport[] = [
  { path: '.', name: 'index', module: 'src/index' },
  { path: './wire', name: 'wire', module: 'src/wire/index', isAlone: true },
  { path: './tcpip', name: 'tcpip', module: 'src/tcpip/index' },
  { path: './net', name: 'net', module: 'src/node/net/index', needsNodeTypes: true },
  { path: './dgram', name: 'dgram', module: 'src/node/dgram/index', needsNodeTypes: true },
  { path: './register', name: 'register', module: 'src/node/exec/register', acts: true },
  { path: './switch', name: 'switch', module: 'bess/index' },
  { path: './testing', name: 'testing', module: 'src/testing/index' },
];

/** The folder of the compiled modules, `dist/`. */
export const DIST = fileURLToPath(new URL('../../', import.meta.url));
/** The folder of the modules that `npm run bench` runs. Files outside of it are at the same relative paths as from `dist/`. */
export const BENCH_DIST = fileURLToPath(new URL('../../../dist-bench/', import.meta.url));
/**
 * The folder of the bundle. It is as deep in `dist` as `src/cli`, whose modules find package.json by a relative path.
 */
export const BUNDLE = join(DIST, 'bundle', 'tspmd');
