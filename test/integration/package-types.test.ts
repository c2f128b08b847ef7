/**
 * The types of the package, in programs that the supported TypeScript versions compile: nothing is left unchecked
 * (`skipLibCheck: false`), and there are no types except TypeScript's own (`types: []`, no `@types/node`).
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EXPORTS } from '../../scripts/bundle/exports.js';
import { Child } from '../../scripts/child.js';
import { programOf, TYPESCRIPTS, type Version } from '../../scripts/versions/cache.js';
import { InstalledPackage, shellEnvironment } from '../support/package/installed-package.js';
import { describeWith, version } from '../support/requirements.js';

const PATIENCE_MS = 180_000;
const TYPE_ROOT = fileURLToPath(new URL('../../node_modules/@types', import.meta.url));
const MODULES = [
  ['NodeNext', { module: 'NodeNext', moduleResolution: 'NodeNext' }],
  ['bundler', { module: 'ESNext', moduleResolution: 'bundler' }],
] as const;

/** What a program does with the package; no line of it runs. */
const PROGRAM = `import { type Core, init, type NetDevice, runStack, type Stack, type StackOptions } from 'tspmd';
import { openSwitch, type SwitchStats } from 'tspmd/switch';
import { FakeDevice, openFakePort } from 'tspmd/testing';
import { ICMP_ECHO_REQUEST, icmpType, parseIpv4 } from 'tspmd/wire';

export function createStack(core: Core, _options: StackOptions): Stack {
  return {
    poll(): number {
      const count: number = core.getRxCount();
      for (let i = 0; i < count; i++) {
        const packet = core.getBufferRx();
        if (packet === null) break;
        const type: number = icmpType(core.memory.u8, packet.offset + 20);
        if (type !== ICMP_ECHO_REQUEST || !core.addBufferToRing(packet)) core.release(packet);
      }
      return count;
    },
  };
}

export async function main(stop: Parameters<typeof runStack>[2]): Promise<void> {
  const port = await init({ device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' });
  const core = port.core(0);
  await runStack(core, createStack(core, {}), stop);
  await port.stop();
}

export async function forward(): Promise<SwitchStats> {
  const bess = await openSwitch({ script: 'forward_script.bess', variables: { VM1_SOCKET: '/tmp/vm1.sock' } });
  const stats = bess.stats();
  await bess.stop();
  return stats;
}

export async function test(): Promise<number> {
  const net = await openFakePort({ ip: '10.0.0.1/24' });
  createStack(net.core, {}).poll();
  const device: NetDevice = new FakeDevice();
  await net.stop();
  return parseIpv4(device.name);
}
`;

describeWith('the types of the package', TYPESCRIPTS.map(version), () => {
  let installed: InstalledPackage;

  beforeAll(async () => {
    installed = InstalledPackage.create();
    installed.write('program.mts', PROGRAM);
    installed.write('program.cts', PROGRAM);
    for (const [title, exports] of [
      ['plain', EXPORTS.filter(({ needsNodeTypes }) => !needsNodeTypes)],
      ['node', EXPORTS.filter(({ needsNodeTypes }) => needsNodeTypes)],
    ] as const) {
      const names = exports.map(({ path }) => `tspmd${path.slice(1)}`);
      // Everything that the JavaScript exports must be there as a value.
      const uses = await Promise.all(
        exports.map(async ({ name, acts }, i) => {
          const values = acts ? [] : Object.keys(await import(installed.file(`dist/bundle/tspmd/${name}.js`)));
          return `import * as all${i} from '${names[i]}';\nexport const values${i} = [${values.map((value) => `all${i}.${value}`)}];\n`;
        }),
      );
      installed.write(`${title}.mts`, uses.join(''));
      const requires = names.map(
        (name, i) => `import all${i} = require('${name}');\nexport const given${i} = all${i};\n`,
      );
      installed.write(`${title}.cts`, requires.join(''));
    }
  }, PATIENCE_MS);
  afterAll(() => installed?.remove());

  const cases = TYPESCRIPTS.flatMap((typescript) =>
    MODULES.map(([resolution, options]) => [typescript.title, resolution, typescript, options] as const),
  );

  /** Compiles files with these options, besides the strict ones. */
  async function expectCompiles(tool: Version, files: readonly string[], options: object): Promise<void> {
    const strict = {
      ...{ target: 'ES2022', lib: ['ES2022'], types: [], strict: true, skipLibCheck: false, noEmit: true },
      ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: false },
    };
    const project = installed.write(
      'tsconfig.json',
      JSON.stringify({ compilerOptions: { ...strict, ...options }, files }),
    );
    const tsc = Child.spawn(process.execPath, [programOf(tool), '--project', project], shellEnvironment());
    expect(await tsc.exited, tsc.output).toEqual({ code: 0, signal: null });
  }

  it.each(cases)(
    'compile without an error in %s with %s resolution',
    { timeout: 60_000 },
    async (_, resolution, tool, options) => {
      // With an ECMAScript module format there is no `import = require`.
      const required = resolution === 'NodeNext' ? ['plain.cts'] : [];
      await expectCompiles(tool, ['program.mts', 'plain.mts', 'program.cts', ...required], options);
    },
  );

  it.each(cases)(
    "compile with Node's types in %s with %s resolution",
    { timeout: 60_000 },
    async (_, resolution, tool, options) => {
      const required = resolution === 'NodeNext' ? ['node.cts'] : [];
      // The declarations of other packages are not ours to check.
      const node = { typeRoots: [TYPE_ROOT], types: ['node'], skipLibCheck: true };
      await expectCompiles(tool, ['node.mts', ...required], { ...options, ...node });
    },
  );
});
