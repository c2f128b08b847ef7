/** Looking into running processes: `tspmd list` and `tspmd stats`. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith, root } from '../support/requirements.js';
import { CORE_MODES, withCores } from '../support/threads/modes.js';
import { until } from '../support/until.js';

const LIMIT = { timeout: 60_000 };
/** Sockets of processes that the tests of other suites may have left to run are elsewhere. */
const directory = mkdtempSync(join(tmpdir(), 'tspmd-observe-'));
const before = process.env.XDG_RUNTIME_DIR;
const children: Child[] = [];
let bess: Child;

interface Listed {
  readonly pid: number;
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly devices: readonly string[];
  readonly address: string | null;
}

interface PortStats {
  readonly process: Listed;
  readonly port: {
    readonly counters: Readonly<Record<string, number>>;
    readonly cores: readonly { readonly title: string; readonly counters: Readonly<Record<string, number>> }[];
    readonly workers: readonly { readonly title: string }[];
  };
}

function start(...args: string[]): Child {
  const child = Child.tspmd(...args);
  children.push(child);
  return child;
}

const WORKERS: Readonly<Record<string, readonly string[]>> = {
  single: [],
  '1kb': ['RxTx worker'],
  '2kb': ['Tx worker', 'Rx worker'],
};

const socket = (i: number): string => join(directory, `vm${i}.sock`);
const mac = (i: number): string => `52:54:00:00:00:0${i}`;
const on = (i: number): string[] => [
  ...['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', mac(i), '--hugepages', 'never'],
];

async function run(i: number, ...more: string[]): Promise<Child> {
  const child = start('run', ...on(i), ...more);
  await child.waitFor(/^ready/m);
  return child;
}

/** Runs a command to its end, and returns what it printed. */
async function output(...args: string[]): Promise<string> {
  const child = start(...args);
  expect((await child.exited).code, child.output).toBe(0);
  return child.stdout;
}

const parsed = <T>(text: string): T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
const list = async (): Promise<Listed[]> => parsed<Listed>(await output('list', '--json'));
const stats = async (name: string): Promise<PortStats> => parsed<PortStats>(await output('stats', name, '--json'))[0]!;

beforeAll(async () => {
  process.env.XDG_RUNTIME_DIR = directory;
  bess = Child.tspmd('switch', 'forward_script.bess', `VM1_SOCKET=${socket(1)}`, `VM2_SOCKET=${socket(2)}`);
  await bess.waitFor(/^ready/m);
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

afterAll(async () => {
  await bess.stop();
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
  rmSync(directory, { recursive: true });
});

/** Sends pings from the second port to the first. */
async function ping(count: number): Promise<void> {
  const text = await output(
    'ping',
    ...on(2),
    '--to',
    '10.0.0.1',
    '--count',
    `${count}`,
    '--interval',
    '0.005',
    '--quiet',
  );
  expect(text).toContain(`${count} packets transmitted, ${count} received`);
}

describe('tspmd list', () => {
  it('shows what runs: command, name, devices, address, state', LIMIT, async () => {
    const web = await run(1, '--app', 'http', '--name', 'web');
    const rows = await list();
    expect(rows.find(({ pid }) => pid === bess.pid)).toMatchObject({
      ...{ kind: 'switch', name: 'forward_script', state: 'ready', devices: [socket(1), socket(2)], address: null },
    });
    expect(rows.find(({ pid }) => pid === web.pid)).toMatchObject({
      ...{ kind: 'run', name: 'web', state: 'ready', devices: [`vhost-user:${socket(1)}`], address: '10.0.0.1/24' },
    });
    const table = await output('list');
    expect(table).toContain('forward_script');
    expect(table).toMatch(/│ run +│ web +│/);
  });

  it('shows a process that waits for its backend, which has no counters yet', LIMIT, async () => {
    const waiting = start(
      'run',
      '--device',
      `vhost-user:${join(directory, 'none.sock')},server=1`,
      '--ip',
      '10.0.0.3/24',
    );
    await until('its socket', () => existsSync(join(directory, `tspmd-run-${waiting.pid}.sock`)));
    expect((await list()).find(({ pid }) => pid === waiting.pid)).toMatchObject({ name: 'echo', state: 'starting' });
    const asked = start('stats', String(waiting.pid));
    expect((await asked.exited).code).toBe(1);
    expect(asked.output).toMatch(/^tspmd: run \d+ says: it has not opened vhost-user:\S+none\.sock,server=1 yet\n$/);
    // Others are shown all the same.
    const all = start('stats');
    expect((await all.exited).code).toBe(0);
    expect(all.stdout).toMatch(/^switch \d+ \(forward_script\), up /m);
    expect(all.output).toMatch(/^tspmd: run \d+ says: it has not opened/m);
  });
});

describe('tspmd stats', () => {
  it.each([['single', []] as const, ...CORE_MODES.map((mode) => [mode, withCores(mode, 2)] as const)])(
    'shows the counters of a port, mode %s',
    LIMIT,
    async (mode, layout) => {
      const echo = await run(1, ...layout);
      await ping(50);
      const { process: about, port } = await stats(String(echo.pid));
      expect(about).toMatchObject({ pid: echo.pid, kind: 'run', name: 'echo', state: 'ready' });
      // Each core has counted its part.
      const delivered = port.cores.reduce((sum, { counters }) => sum + counters.rx_delivered!, 0);
      expect(delivered).toBe(port.counters.rx_delivered);
      expect(delivered).toBe(50);
      expect(port.workers.map(({ title }) => title)).toEqual(WORKERS[mode]);
      const text = await output('stats', socket(1));
      expect(text).toMatch(/^ {2}rx_delivered +50 {2}packets for the stack/m);
      // The counters are those that the process itself prints.
      echo.signal('SIGUSR1');
      await echo.waitFor(/^rx_delivered +50 /m);
    },
  );

  it('shows the counters of a program, and of the switch by a socket', LIMIT, async () => {
    const file = join(directory, 'server.mjs');
    writeFileSync(file, `import { createServer } from 'node:http'; createServer((_, r) => r.end('x')).listen(80);`);
    const program = start('exec', ...on(1), file);
    await program.waitFor(/10\.0\.0\.1/);
    await output('get', ...on(2), 'http://10.0.0.1/');
    const { process: about, port } = await stats('server');
    expect(about).toMatchObject({ kind: 'exec', name: 'server', pid: program.pid });
    expect(port.counters.rx_delivered).toBeGreaterThanOrEqual(3);
    expect(await output('stats', socket(1).replace('vm1', 'vm2'))).toMatch(/L2Forward/);
    program.signal('SIGTERM');
    await program.exited;
    expect(existsSync(join(directory, `tspmd-exec-${program.pid}.sock`))).toBe(false);
  });

  it('shows rates with --watch, until the process ends', LIMIT, async () => {
    const echo = await run(1);
    const watching = start('stats', String(echo.pid), '--watch', '0.2');
    const json = start('stats', String(echo.pid), '--watch', '0.2', '--json');
    await watching.waitFor(/^rx 0 pps/m);
    await ping(100);
    await watching.waitFor(/^rx [1-9]\d* pps, \S+ k?bit\/s; tx [1-9]/m);
    await json.waitFor(/"rx_delivered":100,/);
    await echo.stop();
    expect((await watching.exited).code, watching.output).toBe(0);
    expect((await json.exited).code).toBe(0);
    const counted = parsed<PortStats>(json.stdout).map(({ port }) => port.counters.rx_delivered!);
    expect(counted.at(0)).toBe(0);
    expect(counted.at(-1)).toBe(100);
  });

  it('is refused in one line for a name that nobody has', LIMIT, async () => {
    const asked = start('stats', 'nobody');
    expect((await asked.exited).code).toBe(1);
    expect(asked.output).toMatch(
      /^tspmd: no running process has the process id, name or device 'nobody'; there are: /m,
    );
  });
});

describe('a program that opens a switch', () => {
  it('can have it answer: one switch of a process', LIMIT, async () => {
    const { openSwitch } = (await import(
      new URL('../../dist/bess/index.js', import.meta.url).href
    )) as typeof import('../../bess/index.js');
    const open = (i: number) =>
      openSwitch({
        script: {
          name: 'own.bess',
          source: "vm = PMDPort(name='vm', vdev='eth_vhost0,iface=%s' % $SOCKET)\nPortInc(port=vm) -> Sink()",
        },
        variables: { SOCKET: join(directory, `own${i}.sock`) },
        ...{ control: true, name: 'mine', warn: () => undefined },
      });
    const first = await open(1);
    await expect(open(2)).rejects.toMatchObject({
      code: 'ERR_TSPMD_SWITCH',
      message: expect.stringContaining('another switch of this process uses it'),
    });
    expect(await output('stats', 'mine')).toContain('own1.sock');
    await first.stop();
    await (await open(3)).stop();
  });
});

describe('a process whose control socket is taken', () => {
  /** Starts a command after somebody has taken the name of its socket, which has its process id. */
  async function startTaken(kind: string, ...args: string[]): Promise<Child> {
    const child = Child.spawn('sh', ['-c', 'read go; exec "$@"', 'sh', ...Child.commandLine(kind, ...args)]);
    children.push(child);
    const squatter = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => squatter.listen(join(directory, `tspmd-${kind}-${child.pid}.sock`), resolve));
    child.write('go\n');
    await child.waitFor(/^ready/m);
    await new Promise((resolve) => squatter.close(resolve));
    const taken = `control socket ${directory}/tspmd-${kind}-${child.pid}.sock: another process has it`;
    expect(child.output).toContain(`tspmd: ${taken}; tspmd list and tspmd stats do not find this process\n`);
    return child;
  }

  it('goes on with a warning: a switch, and an endpoint', LIMIT, async () => {
    const file = join(directory, 'one.bess');
    writeFileSync(file, "vm = PMDPort(name='vm', vdev='eth_vhost0,iface=%s' % $SOCKET)\nPortInc(port=vm) -> Sink()\n");
    const taken = await startTaken('switch', file, `SOCKET=${join(directory, 'one.sock')}`, '--metrics', '0');
    // The metrics do not need the socket.
    const [, url] = await taken.waitFor(/^metrics: (http:\S+)$/m);
    expect(await (await fetch(url!)).text()).toMatch(/^tspmd_switch_port_up/m);
    expect((await taken.stop()).code).toBe(0);
    expect((await (await startTaken('run', ...on(1))).stop()).code).toBe(0);
  });
});

describe('an observer', () => {
  /** From the build: only it has the file of the thread. */
  const load = async () =>
    (await import(
      new URL('../../dist/observe/thread/observer.js', import.meta.url).href
    )) as typeof import('../../observe/thread/observer.js');
  const INFO = {
    ...({ kind: 'run', name: 'x', state: 'ready', devices: ['d'], address: null, mode: null } as const),
  };
  const path = join(directory, `tspmd-run-${process.pid}.sock`);

  it('leaves the socket of another process, with the same process id, where it is', LIMIT, async () => {
    const { Observer } = await load();
    const other = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(path, resolve));
    const faults: unknown[] = [];
    const onFault = (line: string, event: object): void => void faults.push({ line, ...event });
    const without = await Observer.start(INFO, { stats: () => ({}) }, { folders: [directory], onFault });
    const reason = `control socket ${path}: another process has it`;
    const line = `${reason}; tspmd list and tspmd stats do not find this process`;
    expect(faults).toEqual([{ event: 'control-fault', line, reason }]);
    await without.close();
    expect(existsSync(path)).toBe(true);
    await new Promise((resolve) => other.close(resolve));
    const observer = await Observer.start(INFO, { stats: () => ({}) }, { folders: [directory] });
    await observer.close();
    expect(existsSync(path)).toBe(false);
  });

  it('says that there are no counters when they cannot be taken, and goes on', LIMIT, async () => {
    const { Observer } = await load();
    const snapshots = [
      () => {
        throw new Error('my bug');
      },
      () => ({ port: { f: () => undefined } }),
      () => ({ port: { counters: { x: 1 } } }),
    ];
    const observer = await Observer.start(INFO, { stats: () => snapshots.shift()!() }, { folders: [directory] });
    const asked = start('stats', String(process.pid));
    expect((await asked.exited).code).toBe(1);
    expect(asked.output).toMatch(/says: it cannot answer 'stats': my bug\n$/);
    const again = start('stats', String(process.pid));
    await again.exited;
    expect(again.output).toMatch(/says: it cannot answer 'stats': .*could not be cloned/);
    expect(await output('stats', String(process.pid), '--json')).toContain('"counters":{"x":1}');
    await observer.close();
  });

  it('that fails leaves no capture in the threads with the packets', LIMIT, async () => {
    const { Observer } = await load();
    const closed: unknown[] = [];
    const answerers = {
      stats: () => ({}),
      openCapture: () => ({ rings: [], interfaces: [{ name: 'port0', description: '' }], reasons: [] }),
      closeCapture: ({ id }: { readonly id?: unknown }) => void closed.push(id),
    };
    const observer = await Observer.start(INFO, answerers, { folders: [directory], onFault: () => {} });
    const first = start('capture', String(process.pid), '--output', join(directory, 'first.pcapng'));
    await first.waitFor(/capturing packets of/);
    const second = start('capture', String(process.pid), '--output', join(directory, 'second.pcapng'));
    await second.waitFor(/capturing packets of/);
    first.signal('SIGINT');
    await first.exited;
    expect(closed).toEqual([1]);
    await (observer as unknown as { worker: Worker }).worker.terminate();
    await until('the other one is closed', () => closed.length === 2);
    expect(closed).toEqual([1, 2]);
    expect((await second.exited).code).toBe(0);
    await observer.close();
  });

  it('is asked what its process can answer, and refuses everything else in a line', LIMIT, async () => {
    const { Observer } = await load();
    const observer = await Observer.start(
      { ...INFO, state: 'starting' },
      { stats: () => ({}) },
      { folders: [directory] },
    );
    const ask = async (request: object): Promise<unknown> => {
      const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`)).setEncoding('utf8');
      let text = '';
      for await (const part of socket) {
        text += part as string;
        if (text.endsWith('\n')) break;
      }
      return JSON.parse(text);
    };
    expect(await ask({ command: 'x'.repeat(100) })).toEqual({
      ...{
        ok: false,
        error: `there is no command '${'x'.repeat(32)}'; there are: info, stats, capture, connections, flows`,
      },
    });
    expect(await ask({ command: 'toString' })).toMatchObject({ ok: false });
    expect(await ask({ command: 'connections' })).toEqual({
      ...{ ok: false, error: 'tspmd run has no connections; it has: info, stats' },
    });
    expect(await ask({ command: 'stats' })).toEqual({ ok: false, error: 'it has not opened d yet' });
    observer.update(INFO);
    let reply: unknown;
    for (let tries = 0; tries < 100 && (reply as { ok?: boolean } | undefined)?.ok !== true; tries++)
      reply = await ask({ command: 'stats' });
    expect(reply).toMatchObject({ ok: true, result: { process: { name: 'x', state: 'ready' } } });
    await observer.close();
  });
});

describe('a process that is looked into', () => {
  it('says that its main thread hangs, and answers again', LIMIT, async () => {
    const file = join(directory, 'hang.mjs');
    writeFileSync(
      file,
      `process.on('SIGUSR2', () => { const end = Date.now() + 4000; console.log('hangs'); while (Date.now() < end); console.log('hung'); });
       setInterval(() => {}, 1000); console.log('begun');`,
    );
    const program = start('exec', ...on(1), file);
    await program.waitFor(/^begun/m);
    program.signal('SIGUSR2');
    await program.waitFor(/^hangs/m);
    const asked = start('stats', 'hang');
    expect((await asked.exited).code).toBe(1);
    expect(asked.output).toMatch(
      /says: the main thread has not answered for 2 s: it hangs, or the process was stopped$/m,
    );
    await program.waitFor(/^hung/m);
    expect(await output('stats', 'hang')).toMatch(/^exec \d+ \(hang\), up /);
  });

  it('goes on when it is asked 10,000 times without a pause', LIMIT, async () => {
    const echo = await run(1);
    const greedy = connect(join(directory, `tspmd-run-${echo.pid}.sock`));
    greedy.on('error', () => undefined);
    greedy.pause();
    greedy.write('{"command":"stats"}\n'.repeat(10_000));
    await ping(50);
    expect((await stats(String(echo.pid))).port.counters.rx_delivered).toBe(50);
    greedy.destroy();
  });

  it('answers others beside clients with half a request, and those that never read', LIMIT, async () => {
    const echo = await run(1, '--metrics', '0');
    const [, url] = /^metrics: (\S+)$/m.exec(echo.output) ?? [];
    const path = join(directory, `tspmd-run-${echo.pid}.sock`);
    const metrics = { host: '127.0.0.1', port: Number(new URL(url!).port) };
    const request = `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
    const clients = [
      ...[...'{"command":"in'].map((_, i) => ({ to: { path }, text: '{"command":"in'.slice(0, i) })),
      ...[1, 2, 3].map(() => ({ to: { path }, text: '{"command":"stats"}\n'.repeat(1000) })),
      ...[1, 2, 3].map(() => ({ to: metrics, text: request.slice(0, 20) })),
      ...[1, 2, 3].map(() => ({ to: metrics, text: request })),
    ].map(({ to, text }) => {
      const socket = connect(to as { path: string });
      socket.on('error', () => undefined);
      socket.pause();
      socket.write(text);
      return socket;
    });
    await Promise.all(clients.map((socket) => until('a connection', () => !socket.connecting)));
    await ping(50);
    expect((await stats(String(echo.pid))).port.counters.rx_delivered).toBe(50);
    expect(await (await fetch(url!)).text()).toContain('tspmd_rx_delivered_total');
    for (const socket of clients) socket.destroy();
    expect((await echo.stop()).code).toBe(0);
  });

  it('leaves nothing when it ends; what a killed one left is removed', LIMIT, async () => {
    const sockets = (): string[] => readdirSync(directory).filter((name) => name.startsWith('tspmd-run'));
    const echo = await run(1);
    expect(sockets()).toEqual([`tspmd-run-${echo.pid}.sock`]);
    await echo.stop();
    expect(sockets()).toEqual([]);
    const killed = await run(1);
    killed.signal('SIGKILL');
    await killed.exited;
    expect(sockets()).toHaveLength(1);
    // Looking for processes removes it.
    expect((await list()).map(({ pid }) => pid)).toContain(bess.pid);
    expect(sockets()).toEqual([]);
  });
});

describeWith('a process of another user', [root, command('setpriv')], () => {
  it('cannot be asked, and the command says who can ask it', LIMIT, async () => {
    // In /tmp, where everybody looks.
    const [node, ...tspmd] = Child.commandLine();
    const theirs = Child.spawn(
      node!,
      [...tspmd, 'run', '--device', `vhost-user:${join(directory, 'x.sock')},server=1`, '--ip', '10.0.0.9/24'],
      {
        ...process.env,
        XDG_RUNTIME_DIR: '',
      },
    );
    children.push(theirs);
    await until('its socket', () => existsSync(`/tmp/tspmd-run-${theirs.pid}.sock`));
    const asked = spawnSync(
      'setpriv',
      ['--reuid', '65534', '--regid', '65534', '--clear-groups', node!, ...tspmd, 'stats', String(theirs.pid)],
      { encoding: 'utf8', timeout: 20_000, env: { ...process.env, XDG_RUNTIME_DIR: '' } },
    );
    expect(asked.status, asked.stderr).toBe(1);
    expect(asked.stderr).toBe(
      `tspmd: run ${theirs.pid} belongs to root, so this user may not ask it; try: sudo tspmd stats ${theirs.pid}\n`,
    );
    // Nor can it be asked without the command: the kernel refuses the connection.
    const connecting = `require('net').connect(process.argv[1]).on('error', (e) => console.log(e.code)).on('connect', () => process.exit(9))`;
    const bare = spawnSync(
      'setpriv',
      [
        ...['--reuid', '65534', '--regid', '65534', '--clear-groups', node!, '-e', connecting],
        `/tmp/tspmd-run-${theirs.pid}.sock`,
      ],
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect(bare.stdout).toBe('EACCES\n');
  });
});
