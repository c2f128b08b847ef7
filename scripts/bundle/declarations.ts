/**
 * The declarations of the package: one file per export, which needs no types but TypeScript's own library
 * (`lib: ["ES2022"]`): not those of Node, which a program may have in another version or not at all. What a module imports
 * from the module of another export is imported from that one's file: a `Core` of `tspmd/testing` is a `Core` of `tspmd`.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { BUNDLE, DIST, EXPORTS, type PackageExport } from './exports.js';

/** Names that only a later library than ES2022 has, and the reference that brings them. */
const LATER_LIBRARIES: readonly { readonly names: RegExp; readonly library: string }[] = [
  { names: /\bSymbol\.(asyncDispose|dispose)\b|\b(Async)?Disposable\b/, library: 'esnext.disposable' },
];

/** What a module refers to is no longer at the top once it is rolled up, where alone it counts. */
const REFERENCE = /^\/\/\/ <reference .*\n/gm;

/**
 * Exports a class that the module gives as a type only (`export type { X }`) as a type again: rolled up, it would look like
 * a value, and a program that uses it as one would be found wrong only when it runs.
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

/** The export whose module is imported, if it is one: `source` as in `import … from 'source'`. */
function otherExport(source: string, importer: string | undefined): PackageExport | undefined {
  if (importer === undefined) return undefined;
  const module = resolve(dirname(importer), source).replace(/(\.d\.ts|\.js)$/, '');
  return EXPORTS.find((entry) => join(DIST, entry.module) === module);
}

/** The file of an export, as the others import it. */
const fileOf = ({ name }: PackageExport): string => `./${name}.js`;

async function rollUp({ path, name, module }: PackageExport, values: ReadonlySet<string>): Promise<string> {
  const bundle = await rollup({
    input: join(DIST, `${module}.d.ts`),
    plugins: [dts()],
    external: (source, importer) => source.startsWith('node:') || otherExport(source, importer) !== undefined,
    onLog(level, log) {
      // Types may refer to each other in a circle.
      if (level === 'warn' && log.code !== 'CIRCULAR_DEPENDENCY')
        throw new Error(`declarations of ${path}: ${log.message}`);
    },
  });
  const paths = (id: string): string => {
    const other = otherExport(id, DIST);
    return other === undefined ? id : fileOf(other);
  };
  const { output } = await bundle.generate({ format: 'es', paths });
  await bundle.close();
  const foreign = output[0].imports.filter((file) => !EXPORTS.some((entry) => fileOf(entry) === file));
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
 * @param values of each export, by its name in {@link EXPORTS}: the names that its JavaScript exports
 * @returns the names of the files
 */
export async function bundleDeclarations(values: ReadonlyMap<string, readonly string[]>): Promise<string[]> {
  return Promise.all(EXPORTS.map((entry) => rollUp(entry, new Set(values.get(entry.name)))));
}
