/** `tspmd new`: what it writes, what it refuses, and that nothing is left when it fails. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { newStack } from '../../../../src/cli/new.js';
import { temporaryDirectory } from '../../../support/resources.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const OWN = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  devDependencies: Record<string, string>;
};

let directory: ReturnType<typeof temporaryDirectory>;
let said = '';
const path = (...parts: string[]): string => join(directory.path, ...parts);
const make = (name: string, tspmd?: string): void =>
  newStack(path(name), { packageRoot: ROOT, ...(tspmd === undefined ? {} : { tspmd }) });
const packageOf = (name: string): { name: string; dependencies: Record<string, string> } & Record<string, unknown> =>
  JSON.parse(readFileSync(path(name, 'package.json'), 'utf8'));

beforeEach(() => {
  directory = temporaryDirectory();
  said = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  directory.remove();
});

describe('tspmd new', () => {
  it('makes a project with its name, and says what to do next', () => {
    make('echo-2');
    const files = readdirSync(path('echo-2'), { recursive: true, encoding: 'utf8' });
    const expected = [
      '.gitignore',
      'README.md',
      'forward_script.bess',
      'package.json',
      'src/stack.ts',
      'tsconfig.json',
    ];
    expect(files).toEqual(expect.arrayContaining([...expected, 'test/stack.test.ts']));
    expect(packageOf('echo-2')).toMatchObject({
      name: 'echo-2',
      type: 'module',
      dependencies: { tspmd: `^${OWN.version}` },
      devDependencies: {
        typescript: OWN.devDependencies.typescript,
        '@types/node': OWN.devDependencies['@types/node'],
      },
    });
    expect(readFileSync(path('echo-2', 'README.md'), 'utf8')).toMatch(/^# echo-2$/m);
    for (const file of files.filter((name) => /\.\w+$/.test(name))) {
      expect(readFileSync(path('echo-2', file), 'utf8'), file).not.toContain('my-stack');
    }
    expect(said).toMatch(/^ {2}cd .*echo-2\n {2}npm install\n {2}npm test /m);
    for (const command of ['npm run switch', 'npm start', 'npm run ping']) expect(said).toContain(command);
  });

  it('uses a folder that exists and is empty', () => {
    mkdirSync(path('empty'));
    make('empty');
    expect(packageOf('empty').name).toBe('empty');
  });

  it('depends on what --tspmd says: a file by its full path, a version as it is', () => {
    writeFileSync(path('tspmd.tgz'), '');
    for (const spec of [path('tspmd.tgz'), `file:${path('tspmd.tgz')}`, '1.2.3', 'https://example.org/tspmd.tgz']) {
      const name = `on-${readdirSync(directory.path).length}`;
      make(name, spec);
      expect(packageOf(name).dependencies.tspmd).toBe(/tmp|file:/.test(spec) ? `file:${path('tspmd.tgz')}` : spec);
    }
  });

  it.each(['./no.tgz', '/nowhere/tspmd', 'no.tgz', 'file:no'])('refuses --tspmd %s, which is not there', (spec) => {
    expect(() => make('x', spec)).toThrow(`--tspmd ${spec}: there is no such file or folder`);
    expect(existsSync(path('x'))).toBe(false);
  });

  it('refuses a folder that is not empty, and leaves it as it is', () => {
    mkdirSync(path('full'));
    writeFileSync(path('full', 'mine'), 'precious');
    expect(() => make('full')).toThrow(/^folder '.*full' exists and is not empty: choose another name$/);
    expect(readdirSync(path('full'))).toEqual(['mine']);
  });

  it('refuses a file, and a folder in a folder that does not exist', () => {
    writeFileSync(path('file'), '');
    expect(() => make('file')).toThrow(/^'.*file' exists and is not a folder: choose another name$/);
    expect(() => make('a/b')).toThrow(/^folder '.*\/a' does not exist: make it first$/);
  });

  it.each([
    ['My Stack', 'URL-friendly'],
    ['MyStack', 'capital letters'],
    ['.hidden', 'period'],
    ['_private', 'underscore'],
    ['node_modules', 'not a valid package name'],
    ['http', 'core module'],
    ['x'.repeat(215), '214'],
  ])("refuses the name '%s' in one line", (name, why) => {
    let message = '';
    try {
      make(name);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^'.*' cannot be the name of a package: [^\n]* \(want something like my-stack\)$/);
    expect(message).toContain(why);
    expect(readdirSync(directory.path)).toEqual([]);
  });

  it('refuses to be called tspmd, which would depend on itself', () => {
    expect(() => make('tspmd')).toThrow("'tspmd' cannot depend on itself");
  });

  it('leaves nothing behind when it cannot read or write a file', () => {
    const own = path('own');
    for (const part of ['templates', 'package.json']) cpSync(join(ROOT, part), join(own, part), { recursive: true });
    const attempt = (name: string) => () => newStack(path(name), { packageRoot: own });
    expect(attempt('unread')).toThrow(/ENOENT.*forward_script\.bess/);
    cpSync(join(ROOT, 'bess', 'forward_script.bess'), join(own, 'bess', 'forward_script.bess'));
    // A folder in the place of a file that is still to be written.
    mkdirSync(join(own, 'templates', 'new-stack', 'package.json'));
    writeFileSync(join(own, 'templates', 'new-stack', 'package.json', 'x'), '');
    expect(attempt('unwritten')).toThrow(/EEXIST|EISDIR/);
    mkdirSync(path('empty'));
    expect(attempt('empty')).toThrow(/EEXIST|EISDIR/);
    expect(readdirSync(directory.path)).toEqual(['empty', 'own']);
    expect(readdirSync(path('empty'))).toEqual([]);
    expect(said).toBe('');
  });
});
