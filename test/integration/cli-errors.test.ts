/** What `tspmd` says when it cannot work: one clear line, the right exit code, no stack trace. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { CORE_MODES } from '../support/threads/modes.js';

/** No file has this name. */
const GONE = 'vhost-user:/nonexistent/x';

describe('tspmd', () => {
  let directory = '';
  let silent: Server;
  const file = (name: string, text = ''): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-cli-'));
    // A backend that takes the connection and hangs up.
    silent = createServer((socket) => socket.on('error', () => {}).destroy());
    await new Promise<void>((resolve) => silent.listen(join(directory, 'rude.sock'), resolve));
  });

  afterAll(async () => {
    await new Promise((resolve) => silent.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  async function fails(code: number, expected: RegExp, ...args: string[]): Promise<void> {
    const child = Child.tspmd(...args);
    const exit = await child.exited;
    expect(child.output).toMatch(expected);
    expect(exit).toEqual({ code, signal: null });
    expect(child.output).not.toMatch(/\n\s+at /);
    expect(child.stdout).not.toMatch(/^ready/m);
  }
  /** Expects that no device is opened, and that one line says why. */
  async function failsWithOneLine(code: number, expected: RegExp, ...options: string[]): Promise<void> {
    const child = Child.tspmd(...run(GONE, ...options));
    expect(await child.exited, child.output).toEqual({ code, signal: null });
    expect(child.stdout).toBe('');
    const [line, ...more] = child.output.trimEnd().split('\n');
    expect(more).toEqual([]);
    expect(line?.replace(/^tspmd: /, '')).toMatch(expected);
  }
  const run = (device: string, ...more: string[]): string[] => [
    'run',
    '--device',
    device,
    '--ip',
    '10.0.0.1/24',
    ...more,
  ];

  it('refuses wrong usage with exit code 2', async () => {
    await fails(2, /^tspmd: unknown command 'frobnicate'$/m, 'frobnicate');
    await fails(2, /^tspmd: unknown command 'pign'\n\(Did you mean ping\?\)$/m, 'pign');
    await fails(2, /^tspmd: required option '--ip/m, 'run', '--device', 'vhost-user:/x');
    await fails(2, /'4-2' is not a list of CPUs/, ...run('vhost-user:/x', '--cores', '4-2'));
    await fails(
      2,
      /option '--offloads <policy>' argument 'on' is invalid\. Allowed choices are auto, off/,
      ...run('vhost-user:/x', '--offloads', 'on'),
    );
    await fails(2, /'x' is not a whole number of at least 1/, 'ping', '--count', 'x');
    await fails(2, /a \.bess script is missing/, 'switch');
    await fails(2, /'1A=2' is not NAME=value/, 'switch', file('empty.bess'), '1A=2');
  });

  it('prints its version, and the options of each command with readable defaults', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const print = async (...args: string[]): Promise<string> => {
      const child = Child.tspmd(...args);
      expect(await child.exited).toEqual({ code: 0, signal: null });
      return child.stdout;
    };
    expect(await print('--version')).toBe(`${version}\n`);
    const help = await print('help');
    expect(help).toBe(await print('--help'));
    const commands = [...help.matchAll(/^ {2}([a-z]+) \[/gm)]
      .map(([, name]) => name!)
      .filter((name) => name !== 'help');
    expect(commands).toEqual(expect.arrayContaining(['run', 'ping', 'switch', 'bind', 'unbind']));
    for (const command of [...commands, 'devices']) {
      const text = await print('help', command);
      expect(text).toMatch(new RegExp(`^Usage: tspmd ${command} `));
      expect(text).not.toMatch(/default:\s+[[{]/);
    }
    expect(await print('ping', '--help')).toMatch(/\(default: 56\)/);
  });

  it('names every fault of a configuration, one per line, as wrong usage', async () => {
    await fails(2, /^tspmd: ip: '10\.0\.0'/m, 'run', '--device', 'vhost-user:/x', '--ip', '10.0.0/24');
    await fails(2, /^tspmd: mac: .*'zz'/m, ...run('vhost-user:/x', '--mac', 'zz'));
    await fails(2, /^tspmd: device: 'eth0' is neither/m, ...run('eth0'));
    await fails(2, /^tspmd: mtu: 99999/m, ...run('vhost-user:/x', '--mtu', '99999'));
    const child = Child.tspmd('run', '--device', 'eth0', '--ip', '10.0.0/24', '--mac', 'zz');
    expect(await child.exited).toEqual({ code: 2, signal: null });
    expect(child.output.trimEnd().split('\n')).toEqual(
      [/^tspmd: device: /, /^tspmd: ip: /, /^tspmd: mac: /].map((line) => expect.stringMatching(line)),
    );
  });

  it('says why a device cannot be opened', async () => {
    await fails(
      1,
      /vhost-user:.*none\.sock: there is no such socket/,
      ...run(`vhost-user:${join(directory, 'none.sock')}`),
    );
    await fails(1, /plain-file: this is not a socket/, ...run(`vhost-user:${file('plain-file')}`));
    await fails(1, /the (backend|peer) (has )?hung up/, ...run(`vhost-user:${join(directory, 'rude.sock')}`));
    await fails(1, /socket path .* bytes; a unix socket takes/, ...run(`vhost-user:/${'x'.repeat(200)}`));
    await fails(
      1,
      /^tspmd: 0000:ff:1f\.7: there is no such PCI device; 'tspmd devices' lists/m,
      ...run('0000:ff:1f.7'),
    );
  });

  it('says what is wrong with an app', async () => {
    await fails(1, /app 'nosuchapp': neither one of echo/, ...run('vhost-user:/x', '--app', 'nosuchapp'));
    await fails(1, /there is no such file/, ...run('vhost-user:/x', '--app', './none.js'));
    await fails(1, /has no default export/, ...run('vhost-user:/x', '--app', file('empty.mjs')));
  });

  it.each([
    ['a syntax error', 'const a = 1;\nexport default (;\n', "cannot be imported: Unexpected token ';'", '2:17'],
    ['an unexpected end', 'export default (', 'cannot be imported: Unexpected end of input', '1:17'],
    ['a throw', "\n  throw new Error('at\\n once')", 'cannot be imported: at', '2:9'],
    ['a name that is not there', "import {\n nope } from 'node:fs';", 'cannot be imported: .*named .nope.', '2:2'],
  ])('says where an app has %s when it is imported', async (_, text, message, place) => {
    const app = file('broken.mjs', text);
    await failsWithOneLine(1, new RegExp(`^stack ${app}: ${message} \\(at ${app}:${place}\\)$`), '--app', app);
    const outer = file('outer.mjs', "console.log('ran');\nimport './broken.mjs';");
    await failsWithOneLine(1, new RegExp(`^stack ${outer}: ${message} \\(at ${app}:${place}\\)$`), '--app', outer);
  });

  it('refuses an impossible layout of threads', async () => {
    await fails(
      2,
      /'--mode <mode>' argument '3kb' is invalid\. Allowed choices are single, 1kb, 2kb/,
      ...run(GONE, '--mode', '3kb'),
    );
    await fails(
      2,
      /'half' is invalid\. Allowed choices are redistribute, stop/,
      ...run(GONE, '--on-core-failure', 'half'),
    );
    await fails(2, /'0' is not a whole number of at least 1/, ...run(GONE, '--core-burst', '0'));
    await failsWithOneLine(2, /^cores: mode 'single' runs on one core, found 2$/, '--cores', '0-1');
    await failsWithOneLine(
      2,
      /^cores: mode '1kb' needs 2 CPUs at least, .*; found 1$/,
      '--mode',
      '1kb',
      '--cores',
      '0',
    );
    await failsWithOneLine(
      2,
      /^cores: mode '2kb' needs 3 CPUs at least, .*; found 2$/,
      '--mode',
      '2kb',
      '--cores',
      '0-1',
    );
    await failsWithOneLine(
      2,
      /^cores: \[0,1,0\] is not a list of different CPU numbers$/,
      '--mode',
      '1kb',
      '--cores',
      '0,1,0',
    );
    await failsWithOneLine(
      2,
      /^coreBurst: 1000 is not a whole number from 1 to 256$/,
      '--mode',
      '1kb',
      '--core-burst',
      '1000',
    );
    await failsWithOneLine(2, /^rss: .*'abc'/, '--mode', '1kb', '--rss-key', 'abc');
    await failsWithOneLine(
      2,
      /^buffers: 256 buffers are too few for 8 cores: take \d+, or at least \d+$/,
      ...['--mode', '2kb', '--cores', '0-9', '--buffers', '256'],
    );
  });

  it.each(CORE_MODES)('also says in mode %s why it does not start', async (mode) => {
    const options = ['--mode', mode];
    await failsWithOneLine(1, /^vhost-user:\/nonexistent\/x: there is no such socket/, ...options);
    await failsWithOneLine(1, /^app 'nosuchapp': neither one of echo/, ...options, '--app', 'nosuchapp');
    await failsWithOneLine(1, /^stack \S+empty\.mjs: has no default export/, ...options, '--app', file('empty.mjs'));
  });

  it('says that no process has the name, and which names it takes', async () => {
    await fails(1, /no (process of tspmd is running|running process has the process id)/, 'stats', '999999999');
    await fails(2, /'a b' is not a name of at most 32 letters/, 'switch', 'forward_n.bess', '--name', 'a b');
  });

  it.each([
    ['a file that is not there', null, /none\.bess/],
    ['a syntax error', 'a = (1,\nb = 2\n', /script\.bess:\d+:\d+: /],
    ['an unknown module', 'NoSuchModule()\n', /script\.bess:1:1: .*NoSuchModule/],
    [
      'an unknown argument',
      "p = PMDPort(vdev='net_vhost0,iface=/tmp/x,queues=1', colour=3)\n",
      /script\.bess:1:\d+: .*colour/,
    ],
    [
      'an unknown port',
      "PortInc(port='nope')\n",
      /script\.bess:1:1: .*ENODEV.*Port nope not found|script\.bess:1:1: .*Port nope not found.*/,
    ],
    [
      'a MAC twice',
      "f::L2Forward()\nf.add(entries=[{'addr': '02:00:00:00:00:01', 'gate': 0}] * 2)\n",
      /script\.bess:2:\d+: .*already exist/,
    ],
    [
      'a bad MAC',
      "f::L2Forward()\nf.add(entries=[{'addr': 'zz', 'gate': 0}])\n",
      /script\.bess:2:\d+: .*zz is not a proper mac address/,
    ],
    ['a gate connected twice', 'a::Merge()\nb::Sink()\na -> b\na -> b\n', /script\.bess:4:\d+: /],
    ['a physical NIC', "PMDPort(pci='0000:00:04.0')\n", /script\.bess:1:1: /],
    [
      'a missing folder',
      "PMDPort(vdev='net_vhost0,iface=/nonexistent/x.sock,queues=1')\n",
      /script\.bess:1:1: .*nonexistent/,
    ],
  ])('says where a .bess script has %s', async (_, script, expected) => {
    const path = script === null ? join(directory, 'none.bess') : file('script.bess', script);
    await fails(1, expected, 'switch', path);
  });
});
