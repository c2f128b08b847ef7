/**
 * `tspmd new` as a user runs it: from the packed tarball, in an empty folder, with the commands of the project's
 * README.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NODES, programOf } from '../../scripts/versions/cache.js';
import { NewStack } from '../support/package/new-stack.js';
import { describeWith, version } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

/** The Node that runs the tests, and the other versions that the package supports. */
const PROGRAMS = [
  { title: 'this Node', node: process.execPath, requirements: [] },
  ...NODES.map((other) => ({ title: other.title, node: programOf(other), requirements: [version(other)] })),
];

/** Packing, two installations, and the compiler, on a busy machine. */
const LIMIT = 400_000;

describe('a project that tspmd new made from the tarball', () => {
  const project = new NewStack();
  const children: Child[] = [];

  beforeAll(() => project.create(), LIMIT);
  afterAll(() => project.close());
  afterEach(async () => {
    for (const child of children.splice(0).reverse()) await child.stop();
  });

  /** Pings the stack over the switch, with the three scripts that the README names. */
  async function pings(node: string, ...more: string[]): Promise<string> {
    const [first, second] = [project.socket(1), project.socket(2)];
    const bess = project.script(node, 'switch', `VM1_SOCKET=${first}`, `VM2_SOCKET=${second}`);
    children.push(bess);
    await bess.waitFor(/^ready/m);
    const stack = project.script(node, 'start', '--device', `vhost-user:${first}`, '--hugepages', 'never', ...more);
    children.push(stack);
    await stack.waitFor(/^ready/m);
    const options = ['--hugepages', 'never', '--interval', '0.05', '--timeout', '10'];
    const ping = project.script(node, 'ping', '--device', `vhost-user:${second}`, ...options);
    children.push(ping);
    expect(await ping.exited, ping.output).toEqual({ code: 0, signal: null });
    expect(ping.stdout).toContain('5 packets transmitted, 5 received, 0% packet loss');
    expect(await stack.stop(), stack.output).toEqual({ code: 0, signal: null });
    return stack.stdout;
  }

  for (const { title, node, requirements } of PROGRAMS) {
    describeWith(`with ${title}`, requirements, () => {
      it('builds, and its test passes', { timeout: LIMIT }, async () => {
        const { stdout } = await project.npm(node, project.path, 'test');
        expect(stdout).toMatch(/^[#ℹ] pass 3$/m);
      });

      it('answers pings over the switch', { timeout: LIMIT }, async () => {
        expect(await pings(node)).toMatch(/^dist\/src\/stack\.js: pings 5, datagrams 0, others 0$/m);
      });

      it('answers them from source, if this Node runs TypeScript', { timeout: LIMIT }, async ({ skip }) => {
        const runsTypeScript = execFileSync(node, ['-p', '!!process.features.typescript'], { encoding: 'utf8' });
        skip(runsTypeScript.trim() !== 'true', 'Node runs TypeScript from 22.18 on');
        expect(await pings(node, '--app', 'src/stack.ts')).toMatch(/^src\/stack\.ts: pings 5, /m);
      });
    });
  }

  it('has a README whose commands exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(project.path, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const readme = readFileSync(join(project.path, 'README.md'), 'utf8');
    const named = [...readme.matchAll(/npm (?:run )?(\w+)/g)].map(([, name]) => name!);
    expect(named).toEqual(expect.arrayContaining(['test', 'switch', 'start', 'ping']));
    expect(named.filter((name) => name !== 'install' && !(name in scripts))).toEqual([]);
  });
});

describe('tspmd new', () => {
  const directory = temporaryDirectory();
  const full = join(directory.path, 'full');

  beforeAll(() => {
    mkdirSync(full);
    writeFileSync(join(full, 'mine'), '');
  });
  afterAll(() => directory.remove());

  it.each([
    ['an invalid name', 1, /^tspmd: 'My Stack' cannot be the name of a package: .+\n$/, join(full, 'My Stack')],
    ['a folder that is not empty', 1, /^tspmd: folder '.+' exists and is not empty: choose another name\n$/, full],
    ['no name at all', 2, /^tspmd: missing required argument 'folder'\n$/],
  ])('refuses %s in one line', async (_, code, expected, ...args: string[]) => {
    const child = Child.tspmd('new', ...args);
    expect(await child.exited).toEqual({ code, signal: null });
    expect(child.output).toMatch(expected);
    expect(readdirSync(full)).toEqual(['mine']);
  });
});
