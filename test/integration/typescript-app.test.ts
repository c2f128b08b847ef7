/**
 * An app in TypeScript without a build: Node strips its types. A Node that cannot do so says in one line which versions
 * can.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { TwoPortSwitch } from '../support/flows/two-port-switch.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const RUNS_TYPESCRIPT = Boolean((process.features as { typescript?: unknown }).typescript);
const APP = `import { bytesOf, type Greeting } from './greeting.ts';

interface Core { readonly index: number; getRxCount(): number; }

export default function (core: Core) {
  const greeting: Greeting = { text: 'hello' };
  console.log(\`core \${core.index} says \${bytesOf(greeting)}\`);
  return { poll: (): number => core.getRxCount() };
}
`;

describe('an app in TypeScript', () => {
  const network = new TwoPortSwitch();
  const app = network.file('my-stack.ts');

  beforeAll(async () => {
    writeFileSync(network.file('package.json'), '{ "type": "module" }');
    writeFileSync(
      network.file('greeting.ts'),
      'export interface Greeting { readonly text: string }\nexport const bytesOf = (g: Greeting): number => g.text.length;\n',
    );
    writeFileSync(app, APP);
    await network.startSwitch();
  });
  afterEach(() => network.stopEndpoints());
  afterAll(() => network.close());

  const run = (file: string, ...options: string[]): Child =>
    network.tspmd('run', ...network.endpoint(1), '--app', file, ...options);

  it.runIf(RUNS_TYPESCRIPT).each(['udp-echo', 'flow-counter', 'event-loop'])('can be the example %s', async (name) => {
    const child = run(`examples/${name}.ts`);
    await child.waitFor(/^ready: /m);
    expect(await child.stop()).toEqual({ code: 0, signal: null });
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    it.runIf(RUNS_TYPESCRIPT)('runs without a build', async () => {
      const child = run(app, ...MODES[mode]);
      await child.waitFor(/^ready: .* app .*my-stack\.ts$/m);
      for (let core = 0; core < stackCores(mode); core++) await child.waitFor(new RegExp(`^core ${core} says 5$`, 'm'));
      expect(await child.stop()).toEqual({ code: 0, signal: null });
      expect(child.output).not.toMatch(/Warning/);
    });

    it.runIf(RUNS_TYPESCRIPT)('says where the file has a syntax error', async () => {
      const broken = network.file('broken.ts');
      writeFileSync(broken, 'export default (core: unknown) => {\n  retrn {};\n};\n');
      const child = run(broken, ...MODES[mode]);
      expect(await child.exited).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(/^tspmd: stack .*broken\.ts: cannot be imported: .* \(at .*broken\.ts:2:9\)\n$/);
    });

    it.runIf(!RUNS_TYPESCRIPT)('says that this Node cannot run it, and what to do', async () => {
      const child = run(app, ...MODES[mode]);
      expect(await child.exited).toEqual({ code: 1, signal: null });
      expect(child.output).toBe(
        `tspmd: stack ${app}: Node ${process.versions.node} cannot run TypeScript; ` +
          'use Node 22.18 or newer, or compile it and name the .js file\n',
      );
    });
  });
});
