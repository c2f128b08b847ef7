/**
 * Makes the declarations of the package: one file per export. Such a file needs only TypeScript's own library
 * (`lib: ["ES2022"]`), not the types of Node, which a program may have in another version or not at all; only what
 * exports classes of Node itself needs them. A type that
 * belongs to another export is imported from the file of that export: the `Core` of `tspmd/testing` is the `Core` of
 * `tspmd`.
 */
import { writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { BUNDLE, DIST, EXPORTS, type PackageExport } from './exports.js';

/** Names that ES2022 does not have, and the later library that has them. */
const LATER_LIBRARIES: readonly { readonly names: RegExp; readonly library: string }[] = [
  { names: /\bSymbol\.(asyncDispose|dispose)\b|\b(Async)?Disposable\b/, library: 'esnext.disposable' },
];

/** Circular imports of types are allowed, and modules that export nothing. */
const ALLOWED = ['CIRCULAR_DEPENDENCY', 'EMPTY_BUNDLE'];

/** Reference lines of modules. They count only at the top of a file, so they are removed and written again. */
const REFERENCE = /^\/\/\/ <reference .*\n/gm;

/**
 * Exports a class as a type if the module does (`export type { X }`). Rollup exports it as a value, and then the
 * compiler would accept programs that fail when they run.
 */
function exportTypesAsTypes(text: string, values: ReadonlySet<string>): string {
  return text.replace(/^export \{ (.*) \};$/m, (_, list: string) => {
    const names = list.split(', ');
    const line = (keyword: string, some: readonly string[]): string =>
      some.length === 0 ? '' : `${keyword} { ${some.join(', ')} };\n`;
    const isValue = (name: string): boolean => values.has(name);
    return (
      line('export', names.filter(isValue)) +
      line(
        'export type',
        names.filter((name) => !isValue(name)),
      )
    );
  });
}

/**
 * Returns the export that `import … from 'source'` in the file `importer` imports; undefined when it is not an export.
 */
function otherExport(source: string, importer: string | undefined): PackageExport | undefined {
  if (importer === undefined) return undefined;
  const module = resolve(dirname(importer), source).replace(/(\.d\.ts|\.js)$/, '');
  return EXPORTS.find((entry) => join(DIST, entry.module) === module);
}

/** Returns the name by which the files of other exports import the file of an export. */
const fileOf = ({ name }: PackageExport): string => `./${name}.js`;

async function rollUp(
  { path, name, module, needsNodeTypes }: PackageExport,
  values: ReadonlySet<string>,
): Promise<string> {
  const bundle = await rollup({
    input: join(DIST, `${module}.d.ts`),
    plugins: [dts()],
    external: (source, importer) => isBuiltin(source) || otherExport(source, importer) !== undefined,
    onLog(level, log) {
      if (level === 'warn' && !ALLOWED.includes(log.code ?? ''))
        throw new Error(`declarations of ${path}: ${log.message}`);
    },
  });
  const paths = (id: string): string => {
    const other = otherExport(id, DIST);
    return other === undefined ? id : fileOf(other);
  };
  const { output } = await bundle.generate({ format: 'es', paths });
  await bundle.close();
  const isAllowed = (file: string): boolean =>
    EXPORTS.some((entry) => fileOf(entry) === file) || (needsNodeTypes === true && isBuiltin(file));
  const foreign = output[0].imports.filter((file) => !isAllowed(file));
  if (foreign.length > 0) throw new Error(`declarations of ${path} need the types of ${foreign.join(', ')}`);
  const text = exportTypesAsTypes(output[0].code, values).replace(REFERENCE, '');
  const references = LATER_LIBRARIES.filter(({ names }) => names.test(text)).map(
    ({ library }) => `/// <reference lib="${library}" />\n`,
  );
  const file = `${name}.d.ts`;
  writeFileSync(join(BUNDLE, file), [...references, text].join(''));
  return file;
}

/**
 * Writes the declarations of all exports.
 * @param values the names that the JavaScript of each export exports, by the export's name in {@link EXPORTS}
 * @returns the names of the files
 */
export async function bundleDeclarations(values: ReadonlyMap<string, readonly string[]>): Promise<string[]> {
  return Promise.all(EXPORTS.map((entry) => rollUp(entry, new Set(values.get(entry.name)))));
}
