/** The Node programs of examples/, by the commands of examples/README.md, whose lines must come out. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const README = readFileSync(fileURLToPath(new URL('../../examples/README.md', import.meta.url)), 'utf8');
const SOCKETS = '/tmp/tspmd-';
const LIMIT = { timeout: 40_000 };

interface Shown {
  readonly commands: readonly (readonly string[])[];
  readonly lines: readonly string[];
}

/** The commands of a section, by blocks, each with the lines that come out. */
function blocksOf(heading: string): Shown[] {
  const [, section = ''] = README.split(`### ${heading}`);
  const [text = ''] = section.split('\n### ');
  return [...text.matchAll(/```sh\n(.*?)```\n(?:\n```\n(.*?)```)?/gs)].map(([, commands = '', lines = '']) => ({
    commands: commands
      .trim()
      .split('\n')
      .map((line) => words(line)),
    lines: lines.trim().split('\n'),
  }));
}

/** The words of a line, as a shell has them. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const escaped = (line: string): RegExp => new RegExp(`^${line.replace(/[.{}?+*()[\]\\^$|]/g, '\\$&')}$`, 'm');

describe('the Node programs over the embedded switch', () => {
  const directory = temporaryDirectory();
  const [switchBlock, ...pairs] = blocksOf('Without root');
  const here = (word: string): string => word.replace(SOCKETS, `${directory.path}/`);
  const start = ([npx, tspmd, ...args]: readonly string[]): Child => {
    expect([npx, tspmd]).toEqual(['npx', 'tspmd']);
    return Child.tspmd(...args.map(here));
  };
  let bess: Child;

  beforeAll(async () => {
    const [line = []] = switchBlock?.commands ?? [];
    bess = start([...line, ...[1, 2].map((n) => `VM${n}_SOCKET=${SOCKETS}vm${n}.sock`)]);
    await bess.waitFor(/^ready/m);
  });

  afterAll(async () => {
    await bess?.stop();
    directory.remove();
  });

  it.each(pairs.map((pair) => [pair.commands[0]?.find((word) => word.startsWith('dist/')), pair] as const))(
    '%s serves the second endpoint',
    LIMIT,
    async (_, { commands, lines }) => {
      expect([commands.length, lines.length]).toEqual([2, 2]);
      const server = start(commands[0]!);
      await server.waitFor(escaped(lines[0]!));
      const client = start(commands[1]!);
      await client.waitFor(escaped(lines[1]!));
      if (commands[1]!.includes('Ada')) {
        client.write('hello\n');
        await client.waitFor(/^Ada: hello$/m);
        await client.stop();
      }
      expect((await client.exited).signal).toBe(commands[1]!.includes('Ada') ? 'SIGTERM' : null);
      await server.stop();
    },
  );

  it('are three', () => {
    expect(pairs).toHaveLength(3);
  });
});

describeWith('the Express program on a tap', [root, tun, command('ip'), command('curl')], () => {
  let namespace: NetworkNamespace;

  beforeEach(() => {
    namespace = NetworkNamespace.create();
  });

  afterEach(() => {
    namespace.remove();
  });

  it('serves curl', LIMIT, async () => {
    const [{ commands, lines }] = blocksOf('As root') as [Shown];
    const [[sudo, npx, tspmd, ...args], ...clients] = commands as [string[], ...string[][]];
    expect([sudo, npx, tspmd]).toEqual(['sudo', 'npx', 'tspmd']);
    const server = namespace.tspmd(...args);
    await server.waitFor(escaped(lines[0]!));
    for (const [n, [program = '', ...options]] of clients.entries()) {
      const client = namespace.spawn(program, '-sS', '--max-time', '20', ...options);
      expect((await client.exited).code, client.output).toBe(0);
      expect(client.stdout.trim()).toBe(lines[n + 1]);
    }
    await server.stop();
  });
});
