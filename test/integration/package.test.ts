/**
 * The package as it is published, installed into an empty project and used there: its files, its command, its exports.
 */
import { readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EXPORTS } from '../../scripts/bundle/exports.js';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { SAMPLE_APPS } from '../../src/load-app.js';
import { expectPingsAnswered } from '../support/flows/two-port-switch.js';
import { InstalledPackage, shellEnvironment } from '../support/package/installed-package.js';
import { firstCommands, Terminal } from '../support/package/terminal.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const BUNDLE = 'dist/bundle/tspmd';
/** For the installation: npm may have to ask its registry. */
const PATIENCE_MS = 180_000;
const nameOf = (path: string): string => `tspmd${path.slice(1)}`;

describe('the package', () => {
  let installed: InstalledPackage;
  const children: Child[] = [];

  beforeAll(() => {
    installed = InstalledPackage.create();
  }, PATIENCE_MS);
  afterEach(async () => {
    for (const child of children.splice(0)) await child.stop();
  });
  afterAll(() => installed?.remove());

  function start(program: string, ...args: string[]): Child {
    const child = Child.spawn(program, args, shellEnvironment());
    children.push(child);
    return child;
  }
  const tspmd = (...args: string[]): Child => start(...installed.command(...args));

  it('has the files that the README names', () => {
    expect(installed.files).toEqual(
      expect.arrayContaining([
        ...['README.md', 'CHANGELOG.md', 'LICENSE', 'SECURITY.md', 'package.json', 'scripts/bind-vfio.sh'],
        ...['bess/forward_script.bess', 'bess/forward_n.bess', 'bess/two_hosts.bess'],
        ...['examples/udp-echo.ts', 'dist/examples/udp-echo.js', 'examples/README.md'],
        ...[`${BUNDLE}/main.js`, `${BUNDLE}/rx-worker.js`, `${BUNDLE}/THIRD-PARTY-LICENSES.txt`],
        ...EXPORTS.flatMap(({ name }) => [`${BUNDLE}/${name}.js`, `${BUNDLE}/${name}.d.ts`]),
      ]),
    );
  });

  it('has no sources, tests or source maps, and is small', () => {
    expect(
      installed.files.filter((file) => /^(src|drivers|rings|test|bench|node_modules)\/|\.map$/.test(file)),
    ).toEqual([]);
    expect(
      installed.files.filter((file) => file.endsWith('.ts') && !/\.d\.ts$|^(examples|templates)\//.test(file)),
    ).toEqual([]);
    expect(installed.tarballBytes).toBeLessThan(760_000);
  });

  it('exports what is bundled, its types first', () => {
    const { exports } = JSON.parse(installed.read('package.json'));
    const files = (name: string) => ({ types: `./${BUNDLE}/${name}.d.ts`, default: `./${BUNDLE}/${name}.js` });
    expect(exports).toEqual({
      ...Object.fromEntries(EXPORTS.map(({ path, name }) => [path, files(name)])),
      './package.json': './package.json',
    });
    // The keys of an object have an order, and TypeScript takes the first condition that holds.
    for (const entry of Object.values(exports)) {
      if (typeof entry === 'object' && entry !== null) expect(Object.keys(entry)[0]).toBe('types');
    }
  });

  it('brings koffi, and nothing else', () => {
    const folders = readdirSync(join(installed.folder, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(folders.filter((name) => name !== '@koromix')).toEqual(['koffi', 'tspmd']);
  });

  it('imports koffi and Node, and names the licences of everything bundled', () => {
    // One statement is one line.
    const IMPORT =
      /^(?:import|export)\b.*?"([^"]+)";$|\b(?:import|require|createRequire\(import\.meta\.url\))\("([^"]+)"\)/gm;
    const imports = installed.files
      .filter((file) => file.startsWith(BUNDLE) && file.endsWith('.js'))
      .flatMap((file) => [...installed.read(file).matchAll(IMPORT)])
      .map(([, statement, call]) => (statement ?? call)!);
    const foreign = imports.filter((name) => !name.startsWith('.') && !isBuiltin(name));
    expect([...new Set(foreign)]).toEqual(['koffi']);
    const licences = installed.read(`${BUNDLE}/THIRD-PARTY-LICENSES.txt`);
    for (const name of ['cli-table3', 'commander']) {
      expect(licences).toMatch(new RegExp(`^-+\\n${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)\\n-+\\n\\n.*licen[cs]e`, 'im'));
    }
  });

  it.each([
    '--help',
    '--version',
    'devices',
    'run --help',
    'ping --help',
    'get --help',
    'exec --help',
    'switch --help',
    'new --help',
  ])('has the command tspmd %s', async (args) => {
    const child = tspmd(...args.split(' '));
    expect(await child.exited, child.output).toEqual({ code: 0, signal: null });
  });

  it.each(EXPORTS.filter(({ acts }) => !acts).map(({ path }) => nameOf(path)))(
    'gives %s by import and by require, without a message',
    async (name) => {
      const names = 'console.log(JSON.stringify(Object.keys(given).sort()))';
      const imported = start(
        process.execPath,
        installed.write('i.mjs', `import * as given from '${name}';\n${names};\n`),
      );
      expect(await imported.exited, imported.output).toEqual({ code: 0, signal: null });
      const required = start(
        process.execPath,
        installed.write('r.cjs', `const given = require('${name}');\n${names};\n`),
      );
      expect(await required.exited, required.output).toEqual({ code: 0, signal: null });
      expect(JSON.parse(imported.output)).not.toEqual([]);
      expect(required.output).toBe(imported.output);
    },
  );

  // A core with rings has no device: compiling the driver would take longer than the app itself.
  it.each(SAMPLE_APPS)('has the app %s, which does not load the driver', (name) => {
    const loaded = new Set([`apps/${name}.js`]);
    for (const file of loaded) {
      for (const [, next] of installed.read(`${BUNDLE}/${file}`).matchAll(/from "(?:\.\.?\/)+([\w-]+\.js)";$/gm)) {
        loaded.add(next!);
      }
    }
    const files = [...loaded].slice(1).map((file) => file.split('-')[0]);
    expect(['apps', 'core', 'http', 'rolldown', 'tcpip']).toEqual(expect.arrayContaining(files));
  });

  it('gives tspmd/wire without loading the driver', async () => {
    const code = "import 'tspmd/wire';\nconsole.log(process.report.getReport().sharedObjects.join('\\n'));\n";
    const child = start(process.execPath, installed.write('wire.mjs', code));
    expect(await child.exited, child.output).toEqual({ code: 0, signal: null });
    expect(child.stdout).not.toContain('koffi');
  });

  it.each(ALL_MODES)('carries traffic over its switch in mode %s', { timeout: 60_000 }, async (mode) => {
    await expectPingsAnswered(tspmd, MODES[mode]);
  });

  it('runs its example', { timeout: 60_000 }, async () => {
    const socket = join(installed.folder, 'example.sock');
    const bess = tspmd(
      'switch',
      installed.file('bess/forward_script.bess'),
      `VM1_SOCKET=${socket}`,
      `VM2_SOCKET=${socket}2`,
    );
    await bess.waitFor(/^ready/m);
    const options = ['--ip', '10.0.0.1/24', '--hugepages', 'never', '--app-option', 'port=7'];
    const app = installed.file('dist/examples/udp-echo.js');
    const endpoint = tspmd('run', '--device', `vhost-user:${socket}`, ...options, '--app', app);
    await endpoint.waitFor(/^ready: .* app .*udp-echo\.js$/m);
    expect(await endpoint.stop(), endpoint.output).toEqual({ code: 0, signal: null });
  });

  describeWith('for the reader of its pages', [root, tun, command('ip'), command('curl')], () => {
    it.each([
      ['docs/kernel.md', 'In three commands', 'It works'],
      ['README.md', undefined, 'hello'],
    ])('answers curl by the first commands of %s, as written', { timeout: 60_000 }, async (page, heading, answer) => {
      const [install, ...lines] = firstCommands(installed.read(page), heading);
      // This suite has done that, with the package that is to be published.
      expect(install).toBe('npm install tspmd');
      const curl = lines.pop() ?? '';
      expect(curl).toMatch(/^curl .*# in a second terminal/);
      const namespace = NetworkNamespace.create();
      const server = Terminal.type(namespace, installed.folder, lines);
      try {
        const ask = () => Terminal.type(namespace, installed.folder, [curl]).done();
        await expect.poll(ask, { timeout: 30_000 }).toMatchObject({ code: 0, stdout: expect.stringContaining(answer) });
        await server.interrupt();
        expect(() => namespace.ip('link', 'show', 'tspmd0')).toThrow(/does not exist/);
      } finally {
        await server.interrupt();
        namespace.remove();
      }
    });
  });
});
