/**
 * What happens when the machine runs out of room on the disk, of descriptors, or of address space: one clear line,
 * nothing is left behind, and what ran before goes on. `test/vm/pci-faults.test.ts` has memory that may not be locked,
 * `hugepages.test.ts` has hugepages.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith, root } from '../support/requirements.js';
import { temporaryDirectory, threadNames } from '../support/resources.js';
import { until } from '../support/until.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const SCRIPT = file('bess/forward_n.bess');
const BENCH = file('dist-bench/bench/main.js');
const LIMIT = { timeout: 60_000 };

let directory: { path: string; remove: () => void };
const children: Child[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(async () => {
  await Promise.allSettled(children.splice(0).map((child) => child.stop()));
  directory.remove();
});

function enter(child: Child): Child {
  children.push(child);
  return child;
}

const socket = (port: number): string => join(directory.path, `vhost${port}.sock`);
const switchArgs = (ports: number, folder = directory.path): [string, ...string[]] =>
  Child.commandLine('switch', SCRIPT, `NPORTS=${ports}`, `DIR=${folder}`, 'RETURN=1');

async function startSwitch(ports: number): Promise<Child> {
  const child = enter(Child.tspmd(...switchArgs(ports).slice(2)));
  await child.waitFor(/^ready/m);
  return child;
}

const endpointArgs = (port: number): string[] => [
  ...['--device', `vhost-user:${socket(port)}`, '--ip', `10.0.0.${port}/24`],
  ...['--mac', `52:54:00:00:00:0${port}`, '--hugepages', 'never'],
];

/** Starts an endpoint that answers pings; does not wait until it is ready. */
const endpoint = (port: number): Child => enter(Child.tspmd('run', ...endpointArgs(port)));

async function expectPings(from: number, to: number): Promise<void> {
  const options = ['--to', `10.0.0.${to}`, '--count', '20', '--interval', '0.01'];
  const ping = enter(Child.tspmd('ping', ...endpointArgs(from), ...options));
  await ping.exited;
  expect(ping.output).toContain('20 packets transmitted, 20 received');
}

/** Expects that it has ended with one line on stderr. */
async function expectOneLine(child: Child, line: RegExp): Promise<void> {
  const exit = await child.exited;
  expect(exit, child.output).toEqual({ code: 1, signal: null });
  const errors = child.output.replace(child.stdout, '').trimEnd().split('\n');
  expect(errors).toEqual([expect.stringMatching(line)]);
}

describeWith('on a full disk', [root, command('unshare')], () => {
  /** Runs a program with `folder` on a file system of its own that has no room for one more file. */
  function onFullDisk(folder: string, program: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
    const mount = 'mount -t tmpfs -o size=4k,nr_inodes=1,mode=700 none "$0" && cd "$0" && exec "$@"';
    return enter(Child.spawn('unshare', ['-m', 'sh', '-c', mount, folder, ...program], { ...process.env, ...env }));
  }

  it('the switch cannot make its sockets, and says so', async () => {
    const child = onFullDisk(directory.path, switchArgs(2));
    await expectOneLine(child, /^tspmd: .*forward_n\.bess:\d+:\d+: .*bind .*vhost1\.sock.*ENOSPC/);
  });

  it('the switch goes on without its control socket, and says so', async () => {
    const full = join(directory.path, 'run');
    mkdirSync(full);
    const child = onFullDisk(full, switchArgs(2), { XDG_RUNTIME_DIR: full });
    await child.waitFor(/^ready/m);
    expect(child.output).toMatch(/^tspmd: control socket .*: .*ENOSPC.*; tspmd list and tspmd stats do not find this/m);
    await child.stop();
    expect(readdirSync(directory.path)).toEqual(['run']);
  });

  it('a benchmark prints its figures, then that the report cannot be written', LIMIT, async () => {
    const options = ['rss', '--quick', '--json', '--rows', '^split/', '--report', join(directory.path, 'report')];
    const child = onFullDisk(directory.path, [process.execPath, BENCH, ...options]);
    expect(await child.exited, child.output).toEqual({ code: 1, signal: null });
    expect(JSON.parse(child.stdout)).toMatchObject({ benchmark: 'rss' });
    expect(child.output).toMatch(/^bench: the report cannot be written: ENOSPC: .*report/m);
    expect(child.output).not.toMatch(/\n\s+at /);
  });

  it('the fuzzer writes a finding elsewhere, or to its output', async () => {
    const save = `import(${JSON.stringify(file('dist/test/fuzz/corpus.js'))}).then((m) => console.log(m.saveFinding('x', Buffer.from('hello'))))`;
    const node = [process.execPath, '-e', save];
    const elsewhere = join(directory.path, 'full');
    mkdirSync(elsewhere);
    const first = onFullDisk(elsewhere, node, { TMPDIR: directory.path });
    await first.exited;
    expect(readFileSync(first.stdout.trim(), 'utf8'), first.output).toBe('hello');
    const second = onFullDisk(elsewhere, node, { TMPDIR: elsewhere });
    await second.exited;
    const words = second.stdout.trim();
    expect(execFileSync('bash', ['-c', `cat ${words}`], { encoding: 'utf8' })).toBe('hello');
  });
});

describe('an output that cannot be written', () => {
  const toFull = (...args: string[]): Child =>
    enter(Child.spawn('sh', ['-c', 'exec "$0" "$@" > /dev/full', ...Child.commandLine(...args)]));

  it('ends the switch and an endpoint in good order, with one line', async () => {
    await expectOneLine(toFull(...switchArgs(2).slice(2)), /^tspmd: cannot write the output: .*ENOSPC/);
    expect(readdirSync(directory.path)).toEqual([]);
    const bess = await startSwitch(2);
    const child = toFull('run', ...endpointArgs(1));
    await expectOneLine(child, /^tspmd: cannot write the output: .*ENOSPC/);
    await bess.waitFor(/port vm1: .*the peer is gone/);
  });
});

describeWith('without a descriptor free', [command('prlimit')], () => {
  /** From now on only numbers below `limit` can become descriptors. */
  const allow = (child: Child, limit: number): void =>
    void execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${limit}:`]);

  /** The limit that leaves a process `spare` further descriptors: the numbers in use may have gaps. */
  function limitFor(child: Child, spare: number): number {
    const used = new Set(readdirSync(`/proc/${child.pid}/fd`).map(Number));
    let limit = 0;
    for (let left = spare; left > 0 || used.has(limit); limit++) if (!used.has(limit)) left--;
    return limit;
  }

  it('a switch with many ports names the one that it cannot make, and leaves none', async () => {
    const script = join(directory.path, 'many.bess');
    const port = "PMDPort(name='p%d' % i, vdev='eth_vhost%d,iface=%s/%d.sock' % (i, $DIR, i))";
    writeFileSync(script, `for i in range(1200):\n    ${port}\n`);
    const [program, ...args] = Child.commandLine('switch', script, `DIR=${directory.path}`);
    const child = enter(Child.spawn('prlimit', ['--nofile=1100:1100', program, ...args]));
    await expectOneLine(child, /^tspmd: .*many\.bess:\d+:\d+: .*\d+\.sock.*EMFILE/);
    expect(readdirSync(directory.path)).toEqual(['many.bess']);
  });

  it.each([0, 1, 2, 3, 4])(
    'but %i, a switch goes on with its peers, and takes others when it can',
    LIMIT,
    async (spare) => {
      const bess = await startSwitch(3);
      const first = endpoint(1);
      await first.waitFor(/^ready/m);
      // Threads that begin would take descriptors, and give some back.
      await until('all threads', () => threadNames(bess.pid).includes('tspmd-watch'));
      allow(bess, limitFor(bess, spare));
      const refused = endpoint(2);
      // It waits in the backlog, or the switch hangs up. It never becomes ready.
      await bess.waitFor(/port vm2: .*(EMFILE|descriptors)/);
      if (spare > 0) await expectOneLine(refused, /^tspmd: vhost-user:.*vhost2\.sock: /);
      expect(first.isRunning).toBe(true);
      allow(bess, 1024);
      if (spare > 0) await endpoint(2).waitFor(/^ready/m);
      else await refused.waitFor(/^ready/m);
      await expectPings(3, 1);
      await expectPings(3, 2);
    },
  );

  it('an endpoint whose switch was killed says so, and returns when it has one', LIMIT, async () => {
    const bess = await startSwitch(2);
    const child = endpoint(1);
    await child.waitFor(/^ready/m);
    allow(child, 1);
    bess.signal('SIGKILL');
    await bess.exited;
    await startSwitch(2);
    await child.waitFor(/link down: .*EMFILE/);
    allow(child, 1024);
    await child.waitFor(/link up: .* is back/);
    await expectPings(2, 1);
  });
});

describeWith('without address space', [command('prlimit')], () => {
  const MIB = 2 ** 20;

  it('a switch refuses a peer whose memory it cannot map, and serves it later', LIMIT, async () => {
    const bess = await startSwitch(2);
    // Each thread takes address space, and the last one begins half a second after the start.
    await until('all threads', () => threadNames(bess.pid).includes('tspmd-watch'));
    const [pages = 0] = readFileSync(`/proc/${bess.pid}/statm`, 'utf8').split(' ').map(Number);
    const limit = (bytes: number | string): void =>
      void execFileSync('prlimit', ['--pid', String(bess.pid), `--as=${bytes}:`]);
    limit(pages * 4096 + 512 * MIB);
    const refused = endpoint(1);
    await expectOneLine(refused, /^tspmd: vhost-user:.*vhost1\.sock: .*(refuses SET_MEM_TABLE|hung up)/);
    expect(bess.output).toMatch(/port vm1: .*no address space left for a memory of/);
    limit('unlimited');
    await endpoint(1).waitFor(/^ready/m);
    await expectPings(2, 1);
  });

  it('an endpoint says what it has no room for', LIMIT, async () => {
    const bess = await startSwitch(2);
    const [program, ...args] = Child.commandLine('run', ...endpointArgs(1), '--buffers', '65536');
    const child = enter(Child.spawn('prlimit', [`--as=${2048 * MIB}`, program, ...args]));
    await expectOneLine(child, /^tspmd: no address space left for a memory of \d+ bytes: raise the limit/);
    expect(bess.isRunning).toBe(true);
  });
});
