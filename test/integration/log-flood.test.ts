/**
 * Peers that fill the log, and a reader that does not read: lines are dropped and counted, memory does not grow, and
 * other peers are served.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { RefusedMessages } from '../support/bess/refused-messages.js';
import { type UnreadOutput, unreadPipe, unreadTerminal } from '../support/libc/unread-output.js';
import { fetchSwitchStats } from '../support/observe/switch-stats.js';
import { temporaryDirectory } from '../support/resources.js';
import { until } from '../support/until.js';

/** Several, because the switch answers each of them once per turn. */
const HOSTILE_PORTS = [3, 4, 5, 6];
/** Of all of them together. */
const MESSAGES = 50_000;
/** How much the heap of a switch may still grow after its first thousands of refusals, in kB. */
const MAX_GROWTH = 32 << 10;
const WARM_UP = 10_000;
const STEP = 2_000;
/** The limit lets 20 lines of a kind and a port through in this time, which are fewer than this many characters. */
const WINDOW_MS = 10_000;
const WINDOW_CHARACTERS = 10_000;
/** Characters that a line must not have; the line feed ends it. */
const HIDDEN = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u;

function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Has `count` messages refused, in steps, as each wait is bounded. */
async function refusals(floods: readonly RefusedMessages[], count: number): Promise<void> {
  const refused = (): number => floods.reduce((sum, flood) => sum + flood.refused, 0);
  while (refused() < count) {
    const next = Math.min(count, refused() + STEP);
    await until(
      `${next} refusals`,
      () => refused() >= next,
      () => {
        for (const flood of floods) flood.poll();
      },
    );
  }
}

describe('a switch whose output nobody reads', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  const closing: (() => unknown)[] = [];
  const socketOf = (vm: number): string => join(directory.path, `vhost${vm}.sock`);

  beforeEach(() => {
    directory = temporaryDirectory();
    process.env.XDG_RUNTIME_DIR = directory.path;
  });

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    delete process.env.XDG_RUNTIME_DIR;
    directory.remove();
  });

  /** With six ports; resolves when they listen. */
  async function startSwitch(
    stdout: number | 'pipe',
    stderr: number | 'pipe',
  ): Promise<ChildProcess & { pid: number }> {
    const script = ['switch', 'bess/forward_n.bess', `NPORTS=${HOSTILE_PORTS.at(-1)}`, `DIR=${directory.path}`];
    const [program, ...args] = Child.commandLine(...script);
    const child = spawn(program, args, { stdio: ['ignore', stdout, stderr] });
    const ended = new Promise((resolve) => child.on('close', resolve));
    closing.push(async () => {
      child.kill('SIGKILL');
      child.stderr?.destroy();
      await ended;
    });
    await until('the switch listens', () => existsSync(join(directory.path, `tspmd-switch-${child.pid}.sock`)));
    return child as ChildProcess & { pid: number };
  }

  const endpoint = (vm: number): string[] => [
    ...['--device', `vhost-user:${socketOf(vm)}`, '--ip', `10.0.0.${vm}/24`, '--mac', `52:54:00:00:00:0${vm}`],
    ...['--hugepages', 'never'],
  ];

  it.each([
    ['pipe', () => unreadPipe(directory.path, true)],
    ['socket', () => null],
    ['terminal', unreadTerminal],
  ] as [string, () => UnreadOutput | null][])(
    'serves others, and does not grow: %s',
    async (_, open) => {
      const errors = open();
      if (errors !== null) closing.push(() => errors.close());
      const bess = await startSwitch('pipe', errors?.fd ?? 'pipe');
      const echo = Child.tspmd('run', ...endpoint(2));
      closing.push(() => echo.stop());
      await echo.waitFor(/^ready/m);

      const startedAt = performance.now();
      const floods = HOSTILE_PORTS.map((vm) => new RefusedMessages(socketOf(vm)));
      closing.push(() => {
        for (const flood of floods) flood.close();
      });
      await refusals(floods, WARM_UP);
      const before = residentKb(bess.pid);
      const ping = Child.tspmd('ping', ...endpoint(1), '--to', '10.0.0.2', '--count', '20', '--interval', '0.05');
      closing.push(() => ping.stop());
      await refusals(floods, MESSAGES);
      expect(residentKb(bess.pid) - before).toBeLessThan(MAX_GROWTH);
      expect(await ping.exited, ping.output).toEqual({ code: 0, signal: null });
      expect(ping.stdout).toContain('20 packets transmitted, 20 received, 0% packet loss');

      // What it has written, now that it is read.
      let log = '';
      const read = (): void => {
        log += errors === null ? (bess.stderr?.read() ?? '') : errors.read();
      };
      await until('a refusal in the log', () => /SET_VRING_KICK refused: [^\n]*\n/.test(log), read);
      bess.kill('SIGTERM');
      await until('the end of the switch', () => bess.exitCode !== null, read);
      expect(bess.exitCode).toBe(0);
      read();
      const windows = Math.ceil((performance.now() - startedAt) / WINDOW_MS) + 1;
      expect(log.length).toBeLessThan(windows * HOSTILE_PORTS.length * WINDOW_CHARACTERS);
      expect(log.replaceAll('\r\n', '\n')).not.toMatch(HIDDEN);
      expect(log).not.toMatch(/^port vm2: forged/m);
      expect(log).toContain("kick file descriptor is '/memfd:\\nport vm2: forged\\x1b[2J\\x9b31m\\r\\u202e\\u2028xxx");
      expect(log).toMatch(/… [\d,]+ more of this kind in the last \d+ s: refused message|… \d+ lines dropped/);
    },
    60_000,
  );

  it('drops tables of counters that nobody reads, and says how many lines', async () => {
    const output = unreadPipe(directory.path, false);
    closing.push(() => output.close());
    const bess = await startSwitch(output.fd, 'pipe');
    let table = '';
    await until(
      'a table',
      () => /^forwarded .*\n/m.test(table),
      () => {
        bess.kill('SIGUSR1');
        table += output.read();
      },
    );
    for (let i = 0; i < 150; i++) {
      bess.kill('SIGUSR1');
      // A switch that answers has handled the signal.
      await fetchSwitchStats(bess.pid);
    }
    let log = '';
    await until(
      'the count',
      () => /^… \d+ lines dropped: nobody read them in time\n/m.test(log),
      () => {
        log += output.read();
      },
    );
    expect(log.length).toBeLessThan(3 << 16);
    // Signals came before it was ready; without a listener, Node opens its debugger at them.
    expect(String(bess.stderr?.read() ?? '')).not.toContain('Debugger');
    expect((await fetchSwitchStats(bess.pid)).uptime).toBeGreaterThan(0);
  }, 60_000);
});
