/** `tspmd top` in a real terminal (tmux), and as lines, over processes under load. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Tmux } from '../../scripts/tmux.js';
import { fetchSwitchStats } from '../support/observe/switch-stats.js';
import { command, describeWith } from '../support/requirements.js';

const LIMIT = { timeout: 90_000 };
/** Sockets of processes that the tests of other suites may have left to run are elsewhere. */
const directory = mkdtempSync(join(tmpdir(), 'tspmd-top-'));
const before = process.env.XDG_RUNTIME_DIR;
const children: Child[] = [];
let bess: Child;
let web: Child;
/** Of all processes on this machine, only those of this test have it. */
const WEB = `web-${process.pid}`;
const SWITCH = `switch-${process.pid}`;

const socket = (i: number): string => join(directory, `vm${i}.sock`);
const on = (i: number): string[] => [
  ...['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`],
  ...['--hugepages', 'never'],
];

async function startWeb(): Promise<Child> {
  const child = Child.tspmd('run', ...on(1), '--app', 'http', '--name', WEB);
  await child.waitFor(/^ready/m);
  return child;
}

/** Starts requests that go on until the test ends. */
async function load(): Promise<void> {
  const client = Child.tspmd('get', ...on(2), '--connections', '4', '--requests', '100000000', 'http://10.0.0.1/');
  children.push(client);
  const { rx_delivered: then } = await counters();
  for (let now = then; now! < then! + 100; ) ({ rx_delivered: now } = await counters());
}

async function counters(): Promise<Readonly<Record<string, number>>> {
  const child = Child.tspmd('stats', WEB, '--json');
  expect((await child.exited).code, child.output).toBe(0);
  return (JSON.parse(child.stdout) as { port: { counters: Record<string, number> } }).port.counters;
}

const line = (...args: string[]): string => Child.commandLine('top', ...args).join(' ');

beforeAll(async () => {
  process.env.XDG_RUNTIME_DIR = directory;
  bess = Child.tspmd(
    'switch',
    '--name',
    SWITCH,
    'forward_script.bess',
    `VM1_SOCKET=${socket(1)}`,
    `VM2_SOCKET=${socket(2)}`,
  );
  await bess.waitFor(/^ready/m);
  web = await startWeb();
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

afterAll(async () => {
  await web.stop();
  await bess.stop();
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
  rmSync(directory, { recursive: true });
});

/** Reads `1.23M` as a number. */
function numberOf(text: string): number {
  const [, digits, prefix = ''] = /^([\d.]+)([kMG]?)$/.exec(text)!;
  return Number(digits) * { '': 1, k: 1e3, M: 1e6, G: 1e9 }[prefix]!;
}

describe('tspmd top without a terminal', () => {
  it('prints blocks of lines with the rates of all processes', LIMIT, async () => {
    await load();
    const top = Child.tspmd('top', '--count', '2', '--interval', '0.5');
    expect((await top.exited).code, top.output).toBe(0);
    const blocks = top.stdout.split(/^ {2}Processes \(\d+\)$/m).slice(1);
    expect(blocks).toHaveLength(2);
    for (const block of blocks) {
      expect(block).toMatch(new RegExp(`^${WEB} {2}run ${web.pid} {2}10\\.0\\.0\\.1/24 {2}single`, 'm'));
      expect(block).toMatch(/^ {4}port0 +[1-9]\S* +\S+ /m);
      expect(block).toMatch(/^ {4}vm1 +up +[1-9]\S* /m);
      expect(block).toMatch(/^ {4}vm1_in +QueueInc +0 → fwd +[1-9]\S* /m);
    }
    // No code of a terminal.
    expect(top.stdout).not.toContain('\x1b');
  });

  it('ends when its reader has had enough', LIMIT, async () => {
    const shell = Child.spawn('bash', ['-c', `set -o pipefail; ${line(WEB, '--interval', '0.2')} | head -n 3`]);
    children.push(shell);
    expect((await shell.exited).code, shell.output).toBe(0);
    expect(shell.stdout.split('\n')).toHaveLength(4);
  });

  it('refuses wrong options, and names that nobody has, in one line', LIMIT, async () => {
    const run = async (...args: string[]) => {
      const child = Child.tspmd('top', ...args);
      return { code: (await child.exited).code, output: child.output };
    };
    expect(await run('nobody')).toMatchObject({ code: 1, output: expect.stringMatching(/^tspmd: no running .*\n$/) });
    expect(await run('--interval', '0')).toMatchObject({ code: 2 });
    expect(await run('--sort', 'x')).toMatchObject({ code: 2, output: expect.stringContaining('packets, bits') });
  });
});

describeWith('tspmd top on a terminal', [command('tmux')], () => {
  let tmux: Tmux;

  const open = async (pattern: RegExp, ...args: string[]): Promise<void> => {
    tmux.type(line(...args));
    await tmux.waitFor(pattern);
  };

  /** The shell has the terminal, as it was before. */
  async function expectRestored(): Promise<void> {
    await tmux.waitFor(/\n\$\s*$/);
    expect(tmux.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}')).toBe('0 1 1');
    tmux.type('stty -a | grep -c -e " -icanon" -e " -echo "; echo end=$?');
    await tmux.waitFor(/^0\nend=1$/m);
  }

  const begin = (columns = 100, rows = 24): void => {
    tmux = Tmux.start(columns, rows);
  };

  afterEach(() => tmux.stop());

  it('shows the rates that the counters have', LIMIT, async () => {
    begin();
    await load();
    await open(/^ port0 +[1-9]\S* /m, WEB);
    const [first, at] = [await counters(), performance.now()];
    const seen = new Set<number>();
    while (seen.size < 5) {
      const [, rate] = (await tmux.waitFor(/^ port0 +[1-9]\S* /m)).match(/^ port0 +([1-9]\S*) /m)!;
      seen.add(numberOf(rate!));
    }
    const last = await counters();
    const mean = (last.rx_packets! - first.rx_packets!) / ((performance.now() - at) / 1000);
    expect(Math.min(...seen)).toBeLessThan(1.5 * mean);
    expect(Math.max(...seen)).toBeGreaterThan(mean / 1.5);
    tmux.keys('q');
    await expectRestored();
  });

  it('shows totals that are those of tspmd stats', LIMIT, async () => {
    begin();
    await open(/^ no_peer +\S+ +\d+ /m, SWITCH);
    // What the server sends again to a client that has gone is dropped, too, until it gives up.
    let [shown, counted] = [0, -1];
    for (let look = 0; shown !== counted && look < 100; look++) {
      counted = (await fetchSwitchStats(bess.pid)).summary.dropped.noPeer;
      [shown] = [Number((await tmux.waitFor(/^ no_peer /m)).match(/^ no_peer +\S+ +(\d+) /m)![1])];
    }
    expect(shown).toBe(counted);
    expect(shown).toBeGreaterThan(0);
    tmux.keys('q');
    await expectRestored();
  });

  it('shows the largest flows, and TCP connections as they are', LIMIT, async () => {
    begin();
    await load();
    await open(/^ +in +tcp +10\.0\.0\.2:\d+ +10\.0\.0\.1:80 +\S+ +\S+$/m, WEB);
    const screen = await tmux.waitFor(/^ 10\.0\.0\.2:\d+ .*ESTABLISHED +[\d.]+ /m);
    expect(screen).toMatch(/^ Connections {2}4$/m);
    tmux.keys('BTab', 's');
    await tmux.waitFor(/^ remote .*state▾/m);
    tmux.keys('q');
    await expectRestored();
  });

  it('goes from the list to a process, sorts, chooses, pauses, helps', LIMIT, async () => {
    begin();
    // Both processes have this device.
    await open(/^.Processes {2}2$/m, socket(1));
    tmux.keys(web.pid > bess.pid ? 'Down' : 'Up', 'Enter');
    await tmux.waitFor(new RegExp(`^${WEB} {2}run \\d+`, 'm'));
    tmux.keys('Tab');
    await tmux.waitFor(/^▌Threads?/m);
    tmux.keys('Enter');
    await tmux.waitFor(/^ Drops {2}of core 0/m);
    tmux.keys('s');
    await tmux.waitFor(/name▾/);
    tmux.keys('r');
    await tmux.waitFor(/name▴/);
    tmux.keys('Space');
    await tmux.waitFor(/paused$/m);
    tmux.keys('?');
    await tmux.waitFor(/^Keys$/m);
    tmux.keys('x', 'Left', 'Left');
    await tmux.waitFor(/^.Processes/m);
    tmux.keys('C-c');
    await expectRestored();
  });

  it('draws itself anew when the size changes', LIMIT, async () => {
    begin();
    await open(/tab section .* pause/m, WEB);
    tmux.resize(40, 12);
    await tmux.waitFor(/^q quit {2}\? help {2}tab section {2}↑↓ row$/m);
    tmux.resize(140, 30);
    await tmux.waitFor(/esc back$/m);
    tmux.keys('q');
    await expectRestored();
  });

  it('gives the terminal back when it is suspended, and takes it again', LIMIT, async () => {
    begin();
    await open(/^.Port/m, WEB);
    tmux.keys('C-z');
    await tmux.waitFor(/Stopped/);
    expect(tmux.ask('#{alternate_on}')).toBe('0');
    tmux.type('fg');
    await tmux.waitFor(/^.Port/m);
    expect(tmux.ask('#{alternate_on}')).toBe('1');
    tmux.keys('q');
    await expectRestored();
  });

  it.each(['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)('gives the terminal back at %s', LIMIT, async (signal) => {
    begin();
    tmux.type(`${line(WEB)}; echo status=$?`);
    await tmux.waitFor(/^.Port/m);
    const shell = tmux.ask('#{pane_pid}');
    const child = Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8'));
    process.kill(child, signal);
    await tmux.waitFor(new RegExp(`^status=${128 + constants.signals[signal]}$`, 'm'));
    await expectRestored();
  });

  it('says that a process has ended, and follows the next one of its name', LIMIT, async () => {
    begin();
    await open(/^.Port/m, WEB);
    const { pid } = web;
    await web.stop();
    await tmux.waitFor(new RegExp(`^run ${pid} has ended; waiting for another one named ${WEB}`, 'm'));
    web = await startWeb();
    await tmux.waitFor(new RegExp(`^${WEB} {2}run ${web.pid} `, 'm'));
    tmux.keys('q');
    await expectRestored();
  });

  it('prints lines where the terminal can do no more', LIMIT, async () => {
    begin();
    tmux.type(`TERM=dumb ${line(WEB, '--interval', '0.2')}`);
    await tmux.waitFor(/^ {2}Port\n/m);
    expect(tmux.ask('#{alternate_on}')).toBe('0');
    tmux.keys('C-c');
    await expectRestored();
  });
});
