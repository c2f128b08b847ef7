/** The rules of the house, which docs/house.md states. Each rule is checked here and nowhere else. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokenLinks, localLinks, missingPaths, missingSections } from '../support/house/pages.js';
import { countAny, importCircles, ROOT, readSources, type Source, testTitles } from '../support/house/sources.js';

const FOLDERS = ['rings', 'drivers', 'observe', 'bess', 'src', 'examples', 'templates', 'scripts', 'bench', 'test'];
const MAX_LINES = 350;
const MAX_FILES = 15;
const MAX_TITLE = 80;

/** Folders that the code of a folder may import besides its own. `test` may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  rings: [],
  drivers: ['rings'],
  observe: ['drivers', 'rings'],
  'observe/page/browser': [],
  bess: ['observe', 'drivers', 'rings'],
  src: ['observe', 'drivers', 'rings'],
  'src/cli': ['observe', 'drivers', 'rings', 'src', 'bess'],
  examples: [],
  templates: [],
  scripts: ['drivers', 'rings', 'src', 'bess'],
  bench: ['observe', 'drivers', 'rings', 'src', 'bess', 'scripts'],
};
/**
 * The rooms of the TCP/IP stack, and files that are not where their folder is, from the top: each may import what lies
 * below it. Files in src/tcpip itself that are not named here are below everything.
 */
const STACK_ROOMS = [
  ...['index.ts', 'tcpip.ts', 'options.ts', 'tcp'],
  ...['tcp/input', 'tcp/output', 'tcp/receive', 'tcp/recovery', 'tcp/congestion', 'tcp/opening'],
  ...['tcp/listeners.ts', 'tcp/state', 'tcp/settings.ts', 'tcp/counters.ts', 'udp', 'ip', 'hash'],
].map((room) => `src/tcpip/${room}`);
/** Packages and modules of Node that a folder may import; folders that are not here may import any. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = { rings: [], 'observe/page/browser': ['uplot'] };
const FFI = ['drivers/libc/ffi/koffi.ts', 'drivers/libc/ffi/node-ffi.ts'];

const sources = readSources(FOLDERS);

const isIn = (folders: readonly string[], path: string): boolean =>
  folders.some((folder) => path.startsWith(`${folder}/`));
const isFile = (name: string): boolean => name.startsWith('../') || isIn(FOLDERS, name);

function forbiddenImports({ path, imports }: Pick<Source, 'path' | 'imports'>): string[] {
  const longest = Object.keys(MAY_IMPORT).sort((one, other) => other.length - one.length);
  const folder = longest.find((name) => isIn([name], path));
  if (folder === undefined) return [];
  const allowed = MAY_IMPORT[folder]!;
  const used = MAY_USE[folder];
  return imports.filter((name) =>
    isFile(name) ? !isIn([folder, ...allowed], name) : used !== undefined && !used.includes(name),
  );
}

/** How far below the top of the TCP/IP stack a file is; undefined when its folder is none of the rooms. */
function depthInStack(path: string): number | undefined {
  const depth = Math.max(STACK_ROOMS.indexOf(path), STACK_ROOMS.indexOf(dirname(path)));
  if (depth >= 0) return depth;
  return dirname(path) === 'src/tcpip' ? STACK_ROOMS.length : undefined;
}

/** A line for each import of a file of the TCP/IP stack that leads upwards, and for a file in no room. */
function upwardImports({ path, imports }: Pick<Source, 'path' | 'imports'>): string[] {
  const depth = depthInStack(path);
  if (depth === undefined) return [`${path} is in no room`];
  const above = imports.filter((name) => isIn(['src/tcpip'], name) && (depthInStack(name) ?? depth) < depth);
  return above.map((name) => `${path} imports ${name}`);
}

describe('what a file may import', () => {
  it('only what lies below its folder, as the table says', () => {
    expect(
      sources.flatMap((source) => forbiddenImports(source).map((name) => `${source.path} imports ${name}`)),
    ).toEqual([]);
  });

  it('nothing that imports it, types included', () => {
    expect(
      importCircles(sources.filter(({ path }) => isIn(['rings', 'drivers', 'observe', 'src', 'bess'], path))),
    ).toEqual([]);
  });

  it('sample apps and the CLI only in the CLI itself', () => {
    const library = sources.filter(({ path }) => isIn(['src'], path) && !isIn(['src/cli', 'src/apps'], path));
    const users = library.filter(({ imports }) => imports.some((name) => isIn(['src/apps', 'src/cli'], name)));
    expect(users.map(({ path }) => path)).toEqual([]);
  });

  it('the TCP/IP stack only above it; its rooms only rooms below them', () => {
    const users = sources.filter(
      ({ path }) => isIn(['src'], path) && !isIn(['src/tcpip', 'src/node', 'src/cli', 'src/apps'], path),
    );
    expect(
      users.filter(({ imports }) => imports.some((name) => isIn(['src/tcpip'], name))).map(({ path }) => path),
    ).toEqual([]);
    expect(sources.filter(({ path }) => isIn(['src/tcpip'], path)).flatMap(upwardImports)).toEqual([]);
  });

  it('the network of Node programs only in commands; tspmd exec in none of its rooms', () => {
    const library = sources.filter(({ path }) => isIn(['src'], path) && !isIn(['src/node', 'src/cli'], path));
    const rooms = sources.filter(({ path }) => isIn(['src/node'], path) && !isIn(['src/node/exec'], path));
    const users = [
      ...library.filter(({ imports }) => imports.some((name) => isIn(['src/node'], name))),
      ...rooms.filter(({ imports }) => imports.some((name) => isIn(['src/node/exec'], name))),
    ];
    expect(users.map(({ path }) => path)).toEqual([]);
  });

  it('the FFI only in two files of drivers/libc, and these only where one is chosen', () => {
    const loads = /(?:\bfrom |\bimport\(|\brequire\(|BuiltinModule\?*\.?\()['"](?:koffi|node:ffi)['"]/;
    const users = sources.filter(({ path, text }) => path !== 'test/unit/house.test.ts' && loads.test(text));
    expect(users.map(({ path }) => path).sort()).toEqual(FFI);
    const importers = sources.filter(({ imports }) => imports.some((name) => FFI.includes(name)));
    expect(importers.map(({ path }) => path)).toEqual(['drivers/libc/ffi/native.ts']);
  });

  it('in examples and templates only the public entry points, by their names', () => {
    const isProgram = ({ path }: Source): boolean => isIn(['examples/node'], path);
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object };
    const entries = Object.keys(exports).map((path) => path.replace('.', 'tspmd'));
    expect(entries).toEqual(expect.arrayContaining(['tspmd', 'tspmd/wire', 'tspmd/testing']));
    for (const { path, imports } of sources.filter(
      (source) => isIn(['examples', 'templates'], source.path) && !isProgram(source),
    )) {
      const others = imports.filter((name) => !entries.includes(name) && !name.startsWith('node:'));
      expect(
        others.filter((name) => !isIn([dirname(dirname(path))], name)),
        path,
      ).toEqual([]);
    }
    // These programs are to run unchanged.
    for (const { path, imports } of sources.filter(isProgram)) {
      expect(
        imports.filter((name) => isFile(name) || entries.includes(name)),
        path,
      ).toEqual([]);
    }
  });

  // A rule that never says no would not be noticed.
  it('is told apart from what it may not import', () => {
    expect(sources.map(({ path }) => path)).toContain('rings/spsc-ring.ts');
    const wrong = (path: string, name: string) => forbiddenImports({ path, imports: [name] });
    expect(wrong('rings/x.ts', 'node:fs')).toEqual(['node:fs']);
    expect(wrong('rings/x.ts', 'drivers/y.ts')).toEqual(['drivers/y.ts']);
    expect(wrong('src/x.ts', 'bess/y.ts')).toEqual(['bess/y.ts']);
    expect(wrong('src/cli/x.ts', 'bess/y.ts')).toEqual([]);
    expect(wrong('bess/lang/x.ts', 'src/y.ts')).toEqual(['src/y.ts']);
    expect(wrong('drivers/x.ts', '../elsewhere.ts')).toEqual(['../elsewhere.ts']);
    expect(wrong('bench/x.ts', 'test/y.ts')).toEqual(['test/y.ts']);
    expect(wrong('observe/page/browser/x.ts', 'observe/control/y.ts')).toHaveLength(1);
    expect(wrong('observe/page/browser/x.ts', 'node:fs')).toEqual(['node:fs']);
    expect(wrong('observe/page/browser/x.ts', 'uplot')).toEqual([]);
    const upward = (path: string, name: string) => upwardImports({ path, imports: [name] });
    expect(upward('src/tcpip/tcp/input/x.ts', 'src/tcpip/tcp/state/rows.ts')).toEqual([]);
    expect(upward('src/tcpip/tcp/state/rows.ts', 'src/tcpip/tcp/input/x.ts')).toHaveLength(1);
    expect(upward('src/tcpip/ip/x.ts', 'src/tcpip/udp/y.ts')).toHaveLength(1);
    expect(upward('src/tcpip/ip/x.ts', 'src/tcpip/clock.ts')).toEqual([]);
    expect(upward('src/tcpip/clock.ts', 'src/tcpip/tcpip.ts')).toHaveLength(1);
    expect(upward('src/tcpip/tcp/state/x.ts', 'src/tcpip/tcp/counters.ts')).toEqual([]);
    expect(upward('src/tcpip/tcp/state/x.ts', 'src/tcpip/tcp/tcp.ts')).toHaveLength(1);
    expect(upward('src/tcpip/attic/x.ts', 'src/stack.ts')).toEqual(['src/tcpip/attic/x.ts is in no room']);
    const circle = { a: ['b'], b: ['c', 'node:fs'], c: ['b'], d: ['a'], e: ['e'] };
    expect(importCircles(Object.entries(circle).map(([path, imports]) => ({ path, imports })))).toEqual([
      'b <-> c',
      'e',
    ]);
  });
});

describe('what a file and a folder look like', () => {
  it(`no file outside test/ has more than ${MAX_LINES} lines`, () => {
    const long = sources
      .filter(({ path }) => !isIn(['test'], path))
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });

  it(`no folder outside test/ has more than ${MAX_FILES} files`, () => {
    const files = new Map<string, number>();
    for (const { path } of sources) files.set(dirname(path), (files.get(dirname(path)) ?? 0) + 1);
    expect([...files].filter(([folder, count]) => !isIn(['test'], `${folder}/`) && count > MAX_FILES)).toEqual([]);
  });

  it.each(FOLDERS)('%s/ has a README.md', (folder) => {
    expect(existsSync(join(ROOT, folder, 'README.md'))).toBe(true);
  });

  it('there are at most four examples in a folder, of at most 110 lines', () => {
    const examples = sources.filter(({ path }) => isIn(['examples'], path));
    const programs = examples.filter(({ path }) => isIn(['examples/node'], path));
    expect(programs.length).toBeLessThanOrEqual(4);
    expect(examples.length - programs.length).toBeLessThanOrEqual(4);
    for (const { path, text } of examples) expect(text.split('\n').length, path).toBeLessThanOrEqual(111);
  });

  it('nobody writes any', () => {
    expect(sources.filter((source) => countAny(source) > 0).map(({ path }) => path)).toEqual([]);
  });

  it('only these ask for the time of day, which anybody may set', () => {
    const users = sources.filter(({ path, text }) => !isIn(['test'], path) && /\bDate\b(?! *:)/.test(text));
    expect(users.map(({ path }) => path)).toEqual(['drivers/log/event-log.ts', 'scripts/vm/run.ts']);
  });
});

describe('tests', () => {
  it(`have titles of at most ${MAX_TITLE} characters`, () => {
    const titles = sources.flatMap((source) => testTitles(source).map((title) => ({ path: source.path, title })));
    expect(titles.length).toBeGreaterThan(1000);
    const long = titles.filter(({ title }) => title.length > MAX_TITLE);
    expect(long.map(({ path, title }) => `${path}: ${title}`)).toEqual([]);
  });

  it('have their helpers in test/support, never beside them', () => {
    const helpers = sources.filter(
      ({ path }) => isIn(['test/unit', 'test/integration', 'test/vm'], path) && !path.endsWith('.test.ts'),
    );
    expect(helpers.map(({ path }) => path)).toEqual([]);
  });

  it('of units lie in folders that the source has', () => {
    const folders = sources
      .filter(({ path }) => path.startsWith('test/unit/'))
      .map(({ path }) => dirname(path.slice('test/unit/'.length)));
    expect([...new Set(folders)].filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([]);
  });
});

describe('pages', () => {
  const pages = [
    'README.md',
    'SECURITY.md',
    'CHANGELOG.md',
    ...readdirSync(join(ROOT, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
    ...FOLDERS.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('README.md'))
        .map((name) => `${folder}/${name}`),
    ),
  ];

  it.each(pages)('%s links only to files and headings that exist', (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  it('name only files and folders that exist', () => {
    const ours = pages.filter((page) => dirname(dirname(page)) !== 'templates');
    expect(ours.flatMap((page) => missingPaths(page, [...FOLDERS, 'docs']))).toEqual([]);
  });

  it('have the sections that comments name', () => {
    const code = sources.filter(({ path }) => !isIn(['test/unit', 'test/support/house'], path));
    expect(code.flatMap(({ path, text }) => missingSections(text).map((name) => `${path} names ${name}`))).toEqual([]);
    expect(missingSections('docs/none.md, docs/v8.md, "One shape", docs/v8.md, "No such section"')).toHaveLength(2);
  });

  it('name the tests of what works with what', () => {
    const tests = localLinks('docs/interop.md').filter((path) => path.endsWith('.test.ts'));
    expect(tests.length).toBeGreaterThan(10);
  });

  it('include a README of at most 9 KB', () => {
    expect(Buffer.byteLength(readFileSync(join(ROOT, 'README.md')))).toBeLessThanOrEqual(9 * 1024);
  });
});
