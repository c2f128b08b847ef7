/** The rules of the house that a reader relies on: what may import what, how long a file is, where READMEs are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['rings', 'drivers', 'bess', 'src', 'examples', 'templates', 'scripts', 'bench', 'test'];
const MAX_LINES = 350;

/** Folders that the code of a folder may import besides its own. Those not named may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  rings: [],
  drivers: ['rings'],
  bess: ['drivers', 'rings'],
  src: ['drivers', 'rings'],
  'src/cli': ['drivers', 'rings', 'src', 'bess'],
  examples: [],
  templates: [],
};
const FFI = ['drivers/libc/koffi.ts', 'drivers/libc/node-ffi.ts'];

interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** What it imports, types and dynamic imports too: paths from the root, or names of packages. */
  readonly imports: readonly string[];
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith('.') ? normalize(join(dirname(path), fileName)) : fileName,
    );
  return { path, text, imports };
}

const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readSource(`${folder}/${name}`)),
);

const isFile = (name: string): boolean => name.startsWith('../') || FOLDERS.includes(name.split('/')[0]!);

function forbiddenImports(source: Source): string[] {
  const folder = source.path.startsWith('src/cli/') ? 'src/cli' : source.path.split('/')[0]!;
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) return [];
  return source.imports.filter((name) => {
    if (!isFile(name)) return folder === 'rings';
    return ![folder, ...allowed].some((other) => name.startsWith(`${other}/`));
  });
}

function countAny(source: Source): number {
  let count = 0;
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) count++;
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest));
  return count;
}

describe('the house', () => {
  it('has at most three examples, of at most 110 lines', () => {
    const examples = sources.filter(({ path }) => path.startsWith('examples/'));
    expect(examples.length).toBeLessThanOrEqual(3);
    for (const { path, text } of examples) expect(text.split('\n').length, path).toBeLessThanOrEqual(111);
  });

  it('has examples and templates on the public face alone, which they import by its name', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object };
    const faces = Object.keys(exports).map((path) => path.replace('.', 'tspmd'));
    expect(faces).toEqual(expect.arrayContaining(['tspmd', 'tspmd/wire', 'tspmd/testing']));
    for (const { path, imports } of sources.filter(({ path: name }) => /^(examples|templates)\//.test(name))) {
      const others = imports.filter((name) => !faces.includes(name) && !name.startsWith('node:'));
      expect(
        others.filter((name) => !name.startsWith(`${dirname(dirname(path))}/`)),
        path,
      ).toEqual([]);
    }
  });

  it('has every file that its main README names', () => {
    const links = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)].map(
      ([, path]) => path!,
    );
    expect(links.filter((path) => path.endsWith('.test.ts')).length).toBeGreaterThan(10);
    expect(links.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each(FOLDERS)('%s/ has a README.md', (folder) => {
    expect(existsSync(join(ROOT, folder, 'README.md'))).toBe(true);
  });

  it('imports only downwards: rings nothing, drivers rings, bess and src both, only src/cli bess', () => {
    expect(
      sources.flatMap((source) => forbiddenImports(source).map((name) => `${source.path} imports ${name}`)),
    ).toEqual([]);
  });

  it('has its FFI in two files of drivers/libc alone, which only the choice between them imports', () => {
    const loads = /(?:\bfrom |\bimport\(|\brequire\(|BuiltinModule\?*\.?\()['"](?:koffi|node:ffi)['"]/;
    const users = sources.filter(({ path, text }) => !path.startsWith('test/') && loads.test(text));
    expect(users.map(({ path }) => path).sort()).toEqual(FFI);
    const importers = sources.filter(({ imports }) => imports.some((name) => FFI.includes(name.replace(/js$/, 'ts'))));
    expect(importers.map(({ path }) => path)).toEqual(['drivers/libc/ffi.ts']);
  });

  it(`has no file of more than ${MAX_LINES} lines outside test/`, () => {
    const long = sources
      .filter(({ path }) => !path.startsWith('test/'))
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });

  it('has no any', () => {
    expect(sources.filter((source) => countAny(source) > 0).map(({ path }) => path)).toEqual([]);
  });

  it('asks nowhere for the time of day, which somebody may set, but in the tests', () => {
    const users = sources.filter(({ path, text }) => !path.startsWith('test/') && /\bDate\b(?! *:)/.test(text));
    // A guest's clock is set by the host's.
    expect(users.map(({ path }) => path)).toEqual(['scripts/vm/run.ts']);
  });

  // The rules would also hold of nothing; and a rule that never says no would not be noticed.
  it('looks at the code, and knows a wrong import when it sees one', () => {
    expect(sources.map(({ path }) => path)).toContain('rings/spsc-ring.ts');
    const wrong = (path: string, name: string) => forbiddenImports({ path, text: '', imports: [name] });
    expect(wrong('rings/x.ts', 'node:fs')).toEqual(['node:fs']);
    expect(wrong('rings/x.ts', 'drivers/y.js')).toEqual(['drivers/y.js']);
    expect(wrong('src/x.ts', 'bess/y.js')).toEqual(['bess/y.js']);
    expect(wrong('src/cli/x.ts', 'bess/y.js')).toEqual([]);
    expect(wrong('bess/lang/x.ts', 'src/y.js')).toEqual(['src/y.js']);
    expect(wrong('drivers/x.ts', '../elsewhere.js')).toEqual(['../elsewhere.js']);
  });
});
