/**
 * What a program can import from the package. This one table drives the JavaScript, the declarations, and the test that
 * compares it with `exports` in package.json: a new export is a line here and an entry there.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageExport {
  /** The key in package.json's `exports`. */
  readonly path: string;
  /** Its two files in the bundle are `NAME.js` and `NAME.d.ts`. */
  readonly name: string;
  /** The module that it gives: from the root, without extension. */
  readonly module: string;
  /**
   * It is bundled by itself and shares no file with the rest, so that importing it loads nothing else: not the driver, not
   * the native part of koffi. What it has in common with the rest is in the package twice, so it must be functions and
   * constants only.
   */
  readonly isAlone?: boolean;
}

export const EXPORTS: readonly PackageExport[] = [
  { path: '.', name: 'index', module: 'src/index' },
  { path: './wire', name: 'wire', module: 'src/wire/index', isAlone: true },
  { path: './switch', name: 'switch', module: 'bess/index' },
  { path: './testing', name: 'testing', module: 'src/testing/index' },
];

/** The compiled modules: `dist/`. */
export const DIST = fileURLToPath(new URL('../../', import.meta.url));
/** As deep in `dist` as the modules of `src/cli`, which look for package.json from where they are. */
export const BUNDLE = join(DIST, 'bundle', 'tspmd');
