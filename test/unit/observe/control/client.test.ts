/** How `tspmd list` and `tspmd stats` find processes, and what they say of those that do not answer. */
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askStats, findProcesses, hasAnswered, listProcesses } from '../../../../observe/control/client.js';
import { controlFolders, controlPath } from '../../../../observe/control/files.js';
import { isNamed, type RunningProcess } from '../../../../observe/control/process-info.js';
import { describeWith, root } from '../../../support/requirements.js';

const about = (pid: number): RunningProcess => ({
  ...{ pid, kind: 'switch', name: 'forward_n', state: 'ready', devices: ['/run/vm1.sock', 'tap0'] },
  ...{ address: null, mode: null, version: '0.1.0', uptime: 7 },
});

let directory: string;
let first: string;
let second: string;
let folders: string[];
const servers: { server: Server; sockets: Set<Socket> }[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'control-'));
  [first, second] = [join(directory, 'first'), join(directory, 'second')];
  folders = [first, second];
  for (const folder of folders) mkdirSync(folder);
});

afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(directory, { recursive: true });
});

const pathOf = (folder: string, pid: number): string => controlPath(folder, 'switch', pid);

/** Listens as the control socket of process `pid`, and handles each connection with `serve`. */
async function pretend(folder: string, pid: number, serve: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(pathOf(folder, pid), resolve));
  servers.push({ server, sockets });
}

const reply = (result: object) => (socket: Socket) => void socket.write(`${JSON.stringify({ ok: true, result })}\n`);
const hang = (): void => undefined;

/** Leaves a socket file without a listener, as a killed process does. */
async function leaveSocket(path: string): Promise<void> {
  const kept = join(directory, 'kept');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(kept, resolve));
  linkSync(kept, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('running processes', () => {
  it('are found in all folders, also while one hangs', async () => {
    await pretend(first, 77, reply(about(77)));
    await pretend(second, 78, reply(about(78)));
    await pretend(first, 79, hang);
    const answers = await listProcesses(folders);
    expect(answers.map((answer) => (hasAnswered(answer) ? answer.result.pid : answer.problem))).toEqual([
      77,
      78,
      'switch 79 does not answer (waited 3 s)',
    ]);
    expect(answers[0]).toMatchObject({ kind: 'switch', pid: 77, path: pathOf(first, 77), owner: process.getuid?.() });
  });

  it('are found by process id, name or device; one that hangs by its id', async () => {
    await pretend(first, 77, reply(about(77)));
    await pretend(first, 78, reply({ ...about(78), name: 'other', devices: ['tap:tap7'] }));
    await pretend(first, 79, (socket) => socket.end());
    const found = async (word?: string) => (await findProcesses(word, folders)).map(({ pid }) => pid);
    expect(await found()).toEqual([77, 78, 79]);
    expect(await found('78')).toEqual([78]);
    expect(await found('forward_n')).toEqual([77]);
    expect(await found('/run/vm1.sock')).toEqual([77]);
    expect(await found('tap7')).toEqual([78]);
    expect(await found('79')).toEqual([79]);
    await expect(found('none')).rejects.toThrow(
      "no running process has the process id, name or device 'none'; there are: 77 (forward_n), 78 (other), 79 (tspmd list)",
    );
  });

  it('are missed in one line, which says where was looked', async () => {
    await expect(findProcesses(undefined, folders)).rejects.toThrow(
      `no process of tspmd is running (no control socket in ${first} or ${second}); start one: `,
    );
  });

  it('leave sockets when they are killed, which are removed, and nothing else is', async () => {
    const [stale, file] = [pathOf(second, 999999), pathOf(first, 999998)];
    await leaveSocket(stale);
    writeFileSync(file, 'not a socket');
    expect(await listProcesses(folders)).toEqual([]);
    expect([existsSync(stale), existsSync(file)]).toEqual([false, true]);
  });

  it.each([
    ['ends while it answers', (socket: Socket) => socket.end('{"ok":'), 'ended before it had answered'],
    ['says something else', (socket: Socket) => socket.write('null\n'), 'answers with something that is no reply'],
    ['says what was not asked', reply({ pid: 'x' }), "answers 'info' with something else"],
    ['has devices that are none', reply({ ...about(77), devices: [1] }), "answers 'info' with something else"],
    ['pretends to be another', reply(about(78)), "answers 'info' with something else"],
    ['has a cell of a table', reply({ ...about(77), address: { colSpan: 9 } }), "answers 'info' with something else"],
    ['has a state of its own', reply({ ...about(77), state: 'odd' }), "answers 'info' with something else"],
    ['has a long name', reply({ ...about(77), name: 'x'.repeat(300) }), "answers 'info' with something else"],
    ['refuses', (socket: Socket) => socket.write('{"ok":false,"error":"no"}\n'), 'says: no'],
    ['sends without end', flood, 'answers without end'],
  ])('that %s are reported', async (_, serve, expected) => {
    await pretend(first, 77, serve);
    expect(await listProcesses(folders)).toMatchObject([{ pid: 77, problem: `switch 77 ${expected}` }]);
  });

  it('give their counters; one that has ended meanwhile is no fault', async () => {
    await pretend(first, 77, reply({ process: about(77), switch: { uptime: 1 } }));
    const file = { kind: 'switch', pid: 77, path: pathOf(first, 77), owner: 0 } as const;
    const gone = { ...file, path: pathOf(first, 78) };
    expect(await askStats([file, gone])).toMatchObject([{ result: { switch: { uptime: 1 } } }]);
  });

  it('give their counters, or a problem, and nothing of an answer before', async () => {
    let asked = 0;
    await pretend(first, 77, (socket) => {
      const answer =
        asked++ === 0 ? { ok: true, result: about(77) } : { ok: false, error: 'it has not opened tap0 yet' };
      socket.write(`${JSON.stringify(answer)}\n`);
    });
    const found = await listProcesses(folders);
    const [answer] = await askStats(found);
    expect(answer).toEqual({
      ...{ kind: 'switch', pid: 77, path: pathOf(first, 77), owner: process.getuid?.() },
      problem: 'switch 77 says: it has not opened tap0 yet',
    });
  });
});

function flood(socket: Socket): void {
  const more = (error?: Error | null): void => void (error || socket.write('x'.repeat(1 << 20), more));
  more();
}

describe('control sockets', () => {
  it('are in the folder of the user if there is one, otherwise in /tmp', () => {
    const before = process.env.XDG_RUNTIME_DIR;
    try {
      process.env.XDG_RUNTIME_DIR = first;
      expect(controlFolders()).toEqual([first, '/tmp']);
      process.env.XDG_RUNTIME_DIR = join(first, 'none');
      expect(controlFolders()).toEqual(['/tmp']);
      // Others could exchange what is made there.
      chmodSync(first, 0o777);
      process.env.XDG_RUNTIME_DIR = first;
      expect(controlFolders()).toEqual(['/tmp']);
      delete process.env.XDG_RUNTIME_DIR;
      expect(controlFolders()).toEqual(['/tmp']);
    } finally {
      if (before !== undefined) process.env.XDG_RUNTIME_DIR = before;
    }
  });

  it('belong to a process that a word names', () => {
    const words = ['7', 'forward_n', 'tap0', '/run/vm1.sock', 'vm1.sock', 'forward', ''];
    expect(words.filter((word) => isNamed(word, about(7)))).toEqual(words.slice(0, 4));
  });
});

describeWith('processes of another user', [root], () => {
  it('are named to a user, with who may ask them; root asks them', async () => {
    await pretend(first, process.pid, reply(about(process.pid)));
    await leaveSocket(pathOf(first, 999999));
    for (const pid of [process.pid, 999999]) chownSync(pathOf(first, pid), 4242, 4242);
    expect(await listProcesses(folders)).toMatchObject([{ owner: 4242, result: { pid: process.pid } }]);
    const user = vi.spyOn(process as { getuid: () => number }, 'getuid').mockReturnValue(4243);
    try {
      const [answer, ...others] = await listProcesses(folders);
      expect(others).toEqual([]);
      expect(answer).toMatchObject({
        problem: `switch ${process.pid} belongs to user 4242, so this user may not ask it; try: sudo -u '#4242' tspmd stats ${process.pid}`,
      });
    } finally {
      user.mockRestore();
    }
  });
});
