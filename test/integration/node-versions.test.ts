/**
 * The project with the other versions of Node that it supports: the unit tests of what depends on Node or its V8 (FFI,
 * shared memory, threads, the event loop), the demo with threads, and a stack in TypeScript that Node runs
 * without a build.
 */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NODES, programOf } from '../../scripts/versions/cache.js';
import { expectPingsAnswered } from '../support/flows/two-port-switch.js';
import { shellEnvironment } from '../support/package/installed-package.js';
import { describeWith, version } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const LIMIT = { timeout: 120_000 };
/** Far more than a send buffer takes. */
const BYTES = 5_000_000;
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

    it('runs the demo in mode 2kb', LIMIT, async () => {
      const demo = start(file('dist/scripts/demo/main.js'), '--json', '--mode', '2kb');
      expect(await demo.exited, demo.output).toEqual({ code: 0, signal: null });
      expect(JSON.parse(demo.stdout)).toMatchObject({
        ping: { sent: 1000, received: 1000 },
        udp: { sent: 10_000, received: 10_000, corrupt: 0 },
      });
    });

    it('sends a long answer of a program under tspmd exec', LIMIT, async () => {
      const directory = temporaryDirectory();
      const device = (n: number): string[] => {
        const options = [
          '--device',
          `vhost-user:${directory.path}/${n}`,
          '--ip',
          `10.0.0.${n}/24`,
          '--hugepages',
          'never',
        ];
        return [...options, '--mac', `52:54:00:00:00:0${n}`];
      };
      const sockets = [1, 2].map((n) => `VM${n}_SOCKET=${directory.path}/${n}`);
      await tspmd('switch', 'forward_script.bess', ...sockets).waitFor(/^ready/m);
      const program = tspmd('exec', ...device(1), file('dist/test/support/node/bytes-server.js'));
      await program.waitFor(/^listening$/m);
      const get = tspmd('get', ...device(2), `http://10.0.0.1/${BYTES}`, '--hash', 'sha256');
      expect(await get.exited, get.output + program.output).toEqual({ code: 0, signal: null });
      expect(get.output).toContain(createHash('sha256').update(Buffer.alloc(BYTES, 'tspmd')).digest('hex'));
      directory.remove();
    });

    it.each(ALL_MODES)('answers pings with a stack in TypeScript in mode %s', LIMIT, async (mode) => {
      const app = file('templates/new-stack/src/stack.ts');
      await expectPingsAnswered(tspmd, [...MODES[mode], '--app', app], /^ready: .* app .*stack\.ts$/m);
    });
  });
}
