/**
 * The project with the other versions of Node that it supports: the unit tests of what depends on Node or its V8 (FFI,
 * shared memory, threads, the event loop), the demo in each thread layout, and a stack in TypeScript that Node runs
 * without a build.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NODES, programOf } from '../../scripts/versions/cache.js';
import { expectPingsAnswered } from '../support/flows/two-port-switch.js';
import { shellEnvironment } from '../support/package/installed-package.js';
import { describeWith, version } from '../support/requirements.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const LIMIT = { timeout: 120_000 };
const TESTS = [
  'drivers/libc/ffi/ffi',
  'drivers/libc/libc',
  'drivers/libc/reactor/reactor',
  'drivers/libc/reactor/loop-socket',
  'drivers/memory/memory',
  'drivers/memory/copy',
  'src/counters',
  'rings/spsc-ring',
  'rings/neighbour-table',
  'drivers/virtio/driver/packed-queues',
  'src/link/core',
  'src/link/sleep',
  'src/link/run-loop',
  'src/threads/shared/doorbell',
  'drivers/transports/vhost-user/channel',
  'drivers/transports/vhost-user/frontend',
  'drivers/transports/vhost-user/backend',
  'bess/script/script',
  'bess/worker',
];

for (const node of NODES) {
  describeWith(`under ${node.title}`, [version(node)], () => {
    const children: Child[] = [];
    const start = (...args: string[]): Child => {
      const child = Child.spawn(programOf(node), args, { ...shellEnvironment(), NO_COLOR: '1' });
      children.push(child);
      return child;
    };
    const tspmd = (...args: string[]): Child => start(file('dist/bundle/tspmd/main.js'), ...args);

    afterEach(async () => {
      for (const child of children.splice(0)) await child.stop();
    });

    it('passes the unit tests that depend on Node', LIMIT, async () => {
      // The names must be complete: vitest looks for them anywhere in a path.
      const files = TESTS.map((name) => `test/unit/${name}.test.ts`);
      const vitest = start(
        file('node_modules/vitest/vitest.mjs'),
        'run',
        '--root',
        file('.'),
        '--project',
        'unit',
        ...files,
      );
      expect(await vitest.exited, vitest.output).toEqual({ code: 0, signal: null });
      expect(vitest.stdout).toMatch(new RegExp(`Test Files +${TESTS.length} passed`));
    });

    it.each(ALL_MODES)('runs the demo in mode %s', LIMIT, async (mode) => {
      const demo = start(file('dist/scripts/demo/main.js'), '--json', '--mode', mode);
      expect(await demo.exited, demo.output).toEqual({ code: 0, signal: null });
      expect(JSON.parse(demo.stdout)).toMatchObject({
        ping: { sent: 1000, received: 1000 },
        udp: { sent: 10_000, received: 10_000, corrupt: 0 },
      });
    });

    it.each(ALL_MODES)('answers pings with a stack in TypeScript in mode %s', LIMIT, async (mode) => {
      const app = file('templates/new-stack/src/stack.ts');
      await expectPingsAnswered(tspmd, [...MODES[mode], '--app', app], /^ready: .* app .*stack\.ts$/m);
    });
  });
}
