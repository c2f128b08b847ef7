/** The control socket of a switch, and how `tspmd switch --stats` reports the switches that it finds. */
import { chownSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askSwitches } from '../../../../bess/control/client.js';
import { controlFolders } from '../../../../bess/control/files.js';
import { printStats } from '../../../../bess/control/print-stats.js';
import { ControlSocket } from '../../../../bess/control/socket.js';
import type { SwitchStats } from '../../../../bess/stats.js';
import { describeWith, root } from '../../../support/requirements.js';

const stats: SwitchStats = {
  uptime: 1,
  summary: {
    received: 3,
    generated: 0,
    copied: 0,
    forwarded: 2,
    replicated: 0,
    dropped: { total: 1, full: 1, noPeer: 0, interfaceDown: 0, unknownDestination: 0, deadend: 0, sink: 0 },
  },
  ports: {},
  modules: [],
};

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

const pathOf = (folder: string, pid: number): string => join(folder, `tspmd-switch-${pid}.sock`);

/** Listens as the control socket of process `pid`, and handles each connection with `serve`. */
async function pretend(folder: string, pid: number, serve: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(pathOf(folder, pid), resolve));
  servers.push({ server, sockets });
}

const answer = (socket: Socket): void => void socket.end(JSON.stringify({ ...stats, uptime: 7 }));
const hang = (): void => undefined;

/** Leaves a socket file without a listener, as a killed switch does. */
async function leaveSocket(path: string): Promise<void> {
  const kept = join(directory, 'kept');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(kept, resolve));
  linkSync(kept, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('control socket', () => {
  it('answers every client, is for its owner only, and is gone when closed', async () => {
    const control = await ControlSocket.open(() => stats, folders);
    expect(control.path).toBe(pathOf(first, process.pid));
    expect(statSync(control.path).mode & 0o777).toBe(0o600);
    expect(await askSwitches(undefined, folders)).toEqual([{ pid: process.pid, stats }]);
    expect(await askSwitches(process.pid, folders)).toEqual([{ pid: process.pid, stats }]);
    await control.close();
    expect(existsSync(control.path)).toBe(false);
  });

  it('is closed although a client neither reads nor hangs up', async () => {
    const control = await ControlSocket.open(() => stats, folders);
    const idler = connect({ path: control.path, allowHalfOpen: true });
    await new Promise((resolve) => idler.once('readable', resolve));
    await control.close();
    expect(existsSync(control.path)).toBe(false);
    idler.destroy();
  });

  it('removes the sockets of killed switches when it is opened, none that is in use', async () => {
    const [dead, other] = [pathOf(first, 999999), pathOf(second, 999997)];
    await leaveSocket(dead);
    await leaveSocket(other);
    // A switch in another container has a process number that is unused here. Process 1 runs; it may be about to
    // listen.
    await pretend(second, 999998, (socket) => socket.destroy());
    await leaveSocket(pathOf(first, 1));
    const control = await ControlSocket.open(() => stats, folders);
    expect([dead, other, pathOf(second, 999998), pathOf(first, 1)].map(existsSync)).toEqual([false, false, true, true]);
    await control.close();
  });

  it('replaces a socket that was left under its own process number', async () => {
    await leaveSocket(pathOf(first, process.pid));
    const control = await ControlSocket.open(() => stats, folders);
    expect(await askSwitches(undefined, folders)).toEqual([{ pid: process.pid, stats }]);
    await control.close();
  });

  it('is in the folder of the user if there is one, otherwise in /tmp', () => {
    const before = process.env.XDG_RUNTIME_DIR;
    try {
      process.env.XDG_RUNTIME_DIR = first;
      expect(controlFolders()).toEqual([first, '/tmp']);
      process.env.XDG_RUNTIME_DIR = join(first, 'none');
      expect(controlFolders()).toEqual(['/tmp', join(first, 'none')]);
      delete process.env.XDG_RUNTIME_DIR;
      expect(controlFolders()).toEqual(['/tmp']);
    } finally {
      if (before !== undefined) process.env.XDG_RUNTIME_DIR = before;
    }
  });
});

describe('asking for counters', () => {
  let printed: string[];
  let logged: string[];

  beforeEach(() => {
    printed = [];
    logged = [];
  });

  const print = (options: { pid?: number; json?: boolean } = {}): Promise<void> =>
    printStats({ ...options, folders, print: (line) => printed.push(line), log: (line) => logged.push(line) });

  it('reports each switch of both folders, also while one hangs', async () => {
    await pretend(first, 77, answer);
    await pretend(second, 78, answer);
    await pretend(first, 79, hang);
    await print();
    expect(printed.filter((line) => line.startsWith('switch'))).toEqual(['switch 77:', 'switch 78:']);
    expect(printed[1]).toContain('forwarded 2');
    expect(logged).toEqual(['switch 79 does not answer (waited 3 s)']);
    await expect(print({ pid: 79 })).rejects.toThrow('switch 79 does not answer');
  });

  it('gives programs the snapshot of one switch, or of several with their numbers', async () => {
    await pretend(second, 77, answer);
    await print({ json: true });
    expect(JSON.parse(printed[0] ?? '')).toEqual({ ...stats, uptime: 7 });
    await pretend(first, 78, answer);
    await print({ json: true });
    expect(JSON.parse(printed[1] ?? '')).toEqual([77, 78].map((pid) => ({ pid, stats: { ...stats, uptime: 7 } })));
    await print({ json: true, pid: 78 });
    expect(JSON.parse(printed[2] ?? '')).toEqual({ ...stats, uptime: 7 });
  });

  it('says that no switch runs, and where it has looked', async () => {
    await expect(print()).rejects.toThrow(
      `no switch is running (no socket in ${first} or ${second}); start one: tspmd switch FILE.bess`,
    );
    await expect(print({ pid: 1 })).rejects.toThrow(/^no switch runs as process 1 \(no socket .*first.* or .*second/);
  });

  it('removes what a killed switch has left, and nothing else', async () => {
    const [stale, file] = [pathOf(second, 999999), pathOf(first, 999998)];
    await leaveSocket(stale);
    writeFileSync(file, 'not a socket');
    await expect(print()).rejects.toThrow(/no switch is running/);
    expect([existsSync(stale), existsSync(file)]).toEqual([false, true]);
  });

  it.each([
    ['ends while it answers', (socket: Socket) => socket.end('{"uptime":'), 'ended while it answered'],
    ['says something else', (socket: Socket) => socket.end('null'), 'ended while it answered'],
  ])('reports a switch that %s', async (_, serve, expected) => {
    await pretend(first, 77, serve);
    await expect(print()).rejects.toThrow(`switch 77 ${expected}`);
  });

  it('cuts off a switch that sends without end', async () => {
    await pretend(first, 77, (socket) => {
      const more = (error?: Error | null): void => void (error || socket.write('x'.repeat(1 << 20), more));
      socket.on('error', () => undefined);
      more();
    });
    await expect(print()).rejects.toThrow('switch 77 answers with something other than counters');
  });
});

describeWith('switches of another user', [root], () => {
  it('are named, with who may ask them; dead ones are not mentioned', async () => {
    for (const pid of [process.pid, 999999]) {
      await pretend(first, pid, answer);
      chownSync(pathOf(first, pid), 4242, 4242);
    }
    await expect(askSwitches(undefined, folders)).resolves.toEqual([
      {
        pid: process.pid,
        problem: expect.stringMatching(
          /^switch \d+ belongs to user 4242, so this user may not ask it; try: sudo -u '#4242' /,
        ),
      },
    ]);
    await pretend(second, 78, answer);
    expect(await askSwitches(undefined, folders)).toHaveLength(2);
  });
});
