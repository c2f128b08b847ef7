/**
 * What `tspmd` does when a stack, its output or a signal ends it: it prints one line, resets the device, and leaves
 * nothing behind.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus as allCpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child, type Exit } from '../../scripts/child.js';
import { parseSwitchStats } from '../support/observe/switch-stats.js';
import { ALL_MODES, CORE_MODES, MODES, type Mode, withCores } from '../support/threads/modes.js';

describe('tspmd', () => {
  let directory = '';
  let bess: Child;
  const children: Child[] = [];
  const start = (...args: string[]): Child => {
    const child = Child.tspmd(...args);
    children.push(child);
    return child;
  };
  const socket = (name: string): string => join(directory, `${name}.sock`);
  const switchArguments = (...names: [string, string]): string[] => [
    'switch',
    'bess/forward_script.bess',
    ...names.map((name, i) => `VM${i + 1}_SOCKET=${socket(name)}`),
  ];
  const runArguments = (...more: string[]): string[] => [
    ...['run', '--device', `vhost-user:${socket('vm1')}`, '--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01'],
    ...['--hugepages', 'never', ...more],
  ];
  const stack = (text: string): string => {
    const file = join(directory, 'stack.mjs');
    writeFileSync(file, text);
    return file;
  };
  /** The stack on one core: its failure ends the port. */
  const oneCore = (mode: Mode): string[] => (mode === 'single' ? [] : withCores(mode, 1));
  /**
   * Waits until the switch sees the peer go. It asks the switch, which limits its lines about one port, and many peers
   * come here.
   */
  async function expectPeerGone(): Promise<void> {
    for (let tries = 0; tries < 50; tries++) {
      const asked = start('stats', String(bess.pid), '--json');
      expect(await asked.exited, asked.output).toEqual({ code: 0, signal: null });
      const { ports } = parseSwitchStats(asked.stdout);
      if (!ports.vm1!.up) return;
    }
    throw new Error(`port vm1 is still up: ${bess.output}`);
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-run-'));
    bess = Child.tspmd(...switchArguments('vm1', 'vm2'));
    await bess.waitFor(/^ready/m);
  });

  // An endpoint that a failed test has left would hold the socket, and all later tests would fail.
  afterEach(async () => {
    for (const child of children.splice(0)) await child.stop();
  });

  afterAll(async () => {
    await bess.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs a program whose output nobody reads after its first line, as with `| head -1`. */
  async function withoutReader(args: string[]): Promise<Exit & { errors: string }> {
    const [program, ...rest] = Child.commandLine(...args);
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, errors })));
  }

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    it('waits for a backend that connects, and ends in good order meanwhile', async () => {
      const path = socket('own');
      const device = ['--device', `vhost-user:${path},server=1`, '--ip', '10.0.0.1/24', '--hugepages', 'never'];
      const waiting = start('run', ...device, ...MODES[mode]);
      await waiting.waitFor(/^tspmd: vhost-user:.*own\.sock,server=1: waits for a backend to connect$/m);
      expect(await waiting.stop(), waiting.output).toEqual({ code: 0, signal: null });
      expect(waiting.stdout).toBe('');
      expect(waiting.output).not.toMatch(/stopped|has not ended/);
      expect(existsSync(path)).toBe(false);

      const child = start('run', ...device, ...MODES[mode]);
      await child.waitFor(/waits for a backend/);
      const file = join(directory, 'client.bess');
      writeFileSync(file, `p = PMDPort(vdev='eth_vhost9,iface=${path},client=1')\n`);
      start('switch', file);
      await child.waitFor(/^ready: .* on vhost-user:.*,server=1, mode/m);
      expect((await child.stop()).code, child.output).toBe(0);
      expect(existsSync(path)).toBe(false);
    });

    it.each([
      [
        'throws',
        "throw new Error('out of\\n sockets')",
        /^tspmd: app .*stack\.mjs: (?:core 0: )?out of sockets \(at .*stack\.mjs:1:\d+\)$/m,
      ],
      ['throws a text', "throw 'no error object'", /^tspmd: app .*stack\.mjs: (?:core 0: )?no error object$/m],
      ['throws nothing', 'throw undefined', /^tspmd: app .*stack\.mjs: (?:core 0: )?undefined$/m],
      ['gives a buffer back twice', 'core.release(b); core.release(b)', /is not yours .* \(at .*stack\.mjs:1:\d+\)$/m],
      ['throws in a timer', "setTimeout(() => { throw new Error('late') })", /late \(at .*stack\.mjs:1:\d+\)$/m],
      ['leaves a rejection', "Promise.reject(new Error('nobody'))", /nobody \(at .*stack\.mjs:1:\d+\)$/m],
      ['returns no count', 'return undefined', /poll\(\) of a stack must return how many/],
    ])('ends with one line and no device running when a stack %s', async (_, poll, expected) => {
      const file = stack(
        `export default (core) => ({ poll() { const b = core.getBufferTx(); if (b) { ${poll}; core.release(b); } return 0; } });`,
      );
      const child = start(...runArguments('--app', file, ...oneCore(mode)));
      expect(await child.exited, child.output).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(expected);
      expect(child.output).not.toMatch(/\n\s+at /);
      expect(
        child.output
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('tspmd: ') && !line.includes('this machine has CPUs')),
      ).toHaveLength(1);
      await expectPeerGone();
    });

    it('says where a stack throws that cannot be made, with --verbose its whole stack', async () => {
      const file = stack(
        "const fail = (n) => { if (n === 0) throw new Error('no port'); fail(n - 1); };\nexport default () => fail(20);",
      );
      const line = /^tspmd: app .*stack\.mjs: (?:core 0: )?no port \(at .*stack\.mjs:1:42\)$/m;
      const short = start(...runArguments('--app', file, ...oneCore(mode)));
      expect(await short.exited).toEqual({ code: 1, signal: null });
      expect(short.output).toMatch(line);
      expect(short.output).not.toMatch(/\n\s+at /);
      const long = start(...runArguments('--app', file, '--verbose', ...oneCore(mode)));
      expect(await long.exited).toEqual({ code: 1, signal: null });
      expect(long.output).toMatch(line);
      expect(long.output).toMatch(/^Error: no port\n(?: +at fail .*stack\.mjs:1:\d+\)\n){21} +at .*stack\.mjs:2:22/m);
    });

    it('says where a timer of the file throws before there is a device', async () => {
      const file = stack(
        "setTimeout(() => { throw new Error('early'); });\nexport default (core) => ({ poll: () => core.getRxCount() });",
      );
      const waiting = [
        '--device',
        `vhost-user:${socket('own')},server=1`,
        '--ip',
        '10.0.0.1/24',
        '--hugepages',
        'never',
      ];
      const child = start('run', ...waiting, '--app', file, ...oneCore(mode));
      expect(await child.exited, child.output).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(/^tspmd: app .*stack\.mjs: (?:core 0: )?early \(at .*stack\.mjs:1:26\)$/m);
      expect(child.output).not.toMatch(/\n\s+at /);
      expect(existsSync(socket('own'))).toBe(false);
    });

    it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends in good order at %s, while it sends', async (signal) => {
      const child = start(...runArguments('--app', 'txonly', ...MODES[mode]));
      await child.waitFor(/^ready/m);
      expect(await child.stop(signal)).toEqual({ code: 0, signal: null });
      expect(child.stdout).toMatch(/^stopped: /m);
    });

    it('ends although the stack has left a timer running', async () => {
      const file = stack(
        'export default (core) => { setInterval(() => {}, 100); return { poll: () => core.getRxCount() }; };',
      );
      const child = start(...runArguments('--app', file, ...MODES[mode]));
      await child.waitFor(/^ready/m);
      expect(await child.stop()).toEqual({ code: 0, signal: null });
    });
  });

  describe.each(CORE_MODES)('in mode %s', (mode) => {
    it('says where a stack failed whose flows others take, with the stack if asked to', async () => {
      const file = stack(`const fail = () => { throw new Error('my bug'); };
        export default (core) => { let polls = 0;
          return { poll() { if (core.index === 1 && polls++ === 0) setTimeout(fail); return core.getRxCount(); } }; };`);
      const line =
        /^tspmd: app .*stack\.mjs: core 1: my bug \(at .*stack\.mjs:1:28\); the flows of core 1 move to the other cores$/m;
      const short = start(...runArguments('--app', file, ...MODES[mode]));
      await short.waitFor(line);
      expect(await short.stop()).toEqual({ code: 0, signal: null });
      expect(short.output).not.toMatch(/\n\s+at /);
      const long = start(...runArguments('--app', file, '--verbose', ...MODES[mode]));
      await long.waitFor(line);
      await long.waitFor(/^Error: my bug\n +at .*fail [^\n]*stack\.mjs:1:28\)\n +at .*listOnTimeout/m);
      await long.stop();
    });

    it('ends with one line when a stack fails, if it is told to', async () => {
      const file = stack(`let polls = 0;
        export default (core) => ({ poll() { if (core.index === 1 && ++polls > 100) throw new Error('no more'); return 0; } });`);
      const child = start(
        ...runArguments('--app', file, '--on-core-failure', 'stop', '--idle', 'spin', ...MODES[mode]),
      );
      expect(await child.exited, child.output).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(/^tspmd: app .*stack\.mjs: core 1: no more \(at .*stack\.mjs:2:\d+\)$/m);
      expect(child.output).not.toMatch(/\n\s+at /);
    });

    it('ends a stack that never returns from its poll, and says so', async () => {
      const file = stack('export default () => ({ poll() { for (;;); } });');
      const child = start(...runArguments('--app', file, ...oneCore(mode)));
      await child.waitFor(/^ready/m);
      expect(await child.stop(), child.output).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(
        /^tspmd: app .*stack\.mjs: core 0: has not ended within \d+ s; its thread was terminated$/m,
      );
      await expectPeerGone();
    });
  });

  it('refuses an option that an app does not know', async () => {
    const child = start(...runArguments('--app', 'txonly', '--app-option', 'sise=100'));
    expect(await child.exited).toEqual({ code: 1, signal: null });
    expect(child.output).toMatch(/^tspmd: txonly: unknown option 'sise' \(it takes to, size, ip\)$/m);
  });

  it('runs on the core that it is given', async () => {
    const child = start(...runArguments('--cores', '0'));
    await child.waitFor(/^ready/m);
    expect(readFileSync(`/proc/${child.pid}/status`, 'utf8')).toMatch(/^Cpus_allowed_list:\s+0$/m);
    await child.stop();
    const absent = start(...runArguments('--cores', '1023'));
    expect(await absent.exited).toEqual({ code: 2, signal: null });
    expect(absent.output).toMatch(/^tspmd: cores: there is no CPU 1023; this machine has CPUs [\d,-]+$/m);
  });

  it.each([
    ['1kb', ['0-2', 'tspmd-core0', 'tspmd-core1', 'tspmd-rxtx']],
    ['2kb', ['0-3', 'tspmd-core0', 'tspmd-core1', 'tspmd-tx', 'tspmd-rx']],
  ] as const)('in mode %s gives each thread its name and its CPU, in the order of the list', async (mode, layout) => {
    const [list, ...names] = layout;
    const child = start(...runArguments('--mode', mode, '--cores', list));
    await child.waitFor(/^ready/m);
    const tasks = `/proc/${child.pid}/task`;
    const read = (task: string, file: string): string => readFileSync(join(tasks, task, file), 'utf8');
    const cpus = new Map(
      readdirSync(tasks).map((task) => [
        read(task, 'comm').trim(),
        /^Cpus_allowed_list:\s+(.*)$/m.exec(read(task, 'status'))?.[1],
      ]),
    );
    for (const [cpu, name] of names.entries()) {
      expect([...cpus.keys()]).toContain(name);
      // Threads share the CPUs that this machine lacks.
      if (cpu < allCpus().length) expect(cpus.get(name)).toBe(String(cpu));
    }
  });

  it('prints its counters at SIGUSR1, and goes on', async () => {
    const child = start(...runArguments());
    await child.waitFor(/^ready/m);
    child.signal('SIGUSR1');
    await child.waitFor(/^arp_announcements +\d+ {2}announcements of our own address sent$/m);
    expect(await child.stop()).toEqual({ code: 0, signal: null });
    expect(child.output).not.toContain('Debugger');
  });

  it('ends without a word and in good order when nobody reads its output any more', async () => {
    const run = await withoutReader(runArguments('--stats-period', '0.05'));
    expect(run).toEqual({ code: 0, signal: null, errors: expect.not.stringMatching(/EPIPE|\n\s+at /) });
    await expectPeerGone();
    const other = await withoutReader([
      ...['ping', '--device', `vhost-user:${socket('vm1')}`, '--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01'],
      ...['--to', '10.0.0.77', '--interval', '0.05', '--timeout', '0.05', '--hugepages', 'never'],
    ]);
    expect(other.errors).not.toMatch(/EPIPE|\n\s+at /);
    expect(other.code).toBe(1);
  });

  it('removes the sockets of a switch whose output is closed', async () => {
    const [program, ...args] = Child.commandLine(...switchArguments('a', 'b'));
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.destroy();
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect([existsSync(socket('a')), existsSync(socket('b'))]).toEqual([false, false]);
  });

  it('says what ping dropped and why', async () => {
    const child = start(
      ...[
        'ping',
        '--device',
        `vhost-user:${socket('vm1')}`,
        '--ip',
        '10.0.0.1/24',
        '--to',
        '192.0.2.1',
        '--count',
        '1',
      ],
      ...['--timeout', '0.1', '--size', '0', '--hugepages', 'never'],
    );
    expect(await child.exited).toEqual({ code: 1, signal: null });
    expect(child.stdout).toMatch(/^dropped here: 1 \(tx_drop_no_route 1\)$/m);
  });
});
