import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlSocket, fetchStats } from '../../bess/control.js';
import type { SwitchStats } from '../../bess/stats.js';

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

/** Leaves a socket file without a listener, as a killed switch does. */
async function leaveSocket(path: string): Promise<void> {
  const kept = join(path, '..', 'kept');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(kept, resolve));
  linkSync(kept, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('control socket', () => {
  let directory: string;
  let before: string | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'control-'));
    before = process.env.XDG_RUNTIME_DIR;
    process.env.XDG_RUNTIME_DIR = directory;
  });

  afterEach(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
    rmSync(directory, { recursive: true });
  });

  it('answers every one who asks, for its owner only, and is gone when closed', async () => {
    const control = await ControlSocket.open(() => stats);
    expect(control.path).toBe(join(directory, `tspmd-switch-${process.pid}.sock`));
    expect(statSync(control.path).mode & 0o777).toBe(0o600);
    expect(await fetchStats()).toEqual(stats);
    expect(await fetchStats(process.pid)).toEqual(stats);
    await control.close();
    expect(existsSync(control.path)).toBe(false);
  });

  it('is closed although somebody who asked neither reads nor hangs up', async () => {
    const control = await ControlSocket.open(() => stats);
    const idler = connect({ path: control.path, allowHalfOpen: true });
    await new Promise((resolve) => idler.once('readable', resolve));
    await control.close();
    expect(existsSync(control.path)).toBe(false);
    idler.destroy();
  });

  it('says that no switch runs', async () => {
    await expect(fetchStats()).rejects.toThrow(/^no switch is running .*tspmd switch FILE.bess/);
    await expect(fetchStats(1)).rejects.toThrow(/^no switch runs as process 1 /);
    process.env.XDG_RUNTIME_DIR = join(directory, 'none');
    await expect(fetchStats()).rejects.toThrow(/^no switch is running/);
  });

  it('removes what killed switches have left when it is opened, and nothing that is in use', async () => {
    const [dead, elsewhere, alive] = [999999, 999998, 1].map((pid) => join(directory, `tspmd-switch-${pid}.sock`)) as [
      string,
      string,
      string,
    ];
    await leaveSocket(dead);
    // Process 1 runs; whether it will listen is not for us to say.
    rmSync(join(directory, 'kept'), { force: true });
    await leaveSocket(alive);
    // A switch in another container has a number that is nobody's here.
    const other = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(elsewhere, resolve));
    const control = await ControlSocket.open(() => stats);
    expect([existsSync(dead), existsSync(elsewhere), existsSync(alive)]).toEqual([false, true, true]);
    await control.close();
    await new Promise((resolve) => other.close(resolve));
  });

  it('removes what a killed switch has left, and nothing else', async () => {
    const stale = join(directory, 'tspmd-switch-999999.sock');
    const file = join(directory, 'tspmd-switch-999998.sock');
    await leaveSocket(stale);
    writeFileSync(file, 'not a socket');
    await expect(fetchStats()).rejects.toThrow(/no switch is running/);
    expect([existsSync(stale), existsSync(file)]).toEqual([false, true]);
  });

  it('takes the place of a socket left under its own process number', async () => {
    await leaveSocket(join(directory, `tspmd-switch-${process.pid}.sock`));
    const control = await ControlSocket.open(() => stats);
    expect(await fetchStats()).toEqual(stats);
    await control.close();
  });

  it('asks which one where several run', async () => {
    const control = await ControlSocket.open(() => stats);
    const server = createServer((socket) => socket.end(JSON.stringify({ ...stats, uptime: 7 })));
    await new Promise<void>((resolve) => server.listen(join(directory, 'tspmd-switch-77.sock'), resolve));
    await expect(fetchStats()).rejects.toThrow(/2 switches are running; say which: .*77/);
    expect((await fetchStats(77)).uptime).toBe(7);
    await new Promise((resolve) => server.close(resolve));
    await control.close();
  });

  it('says so when a switch ends while it answers', async () => {
    const server = createServer((socket) => socket.end('{"uptime":'));
    await new Promise<void>((resolve) => server.listen(join(directory, 'tspmd-switch-77.sock'), resolve));
    await expect(fetchStats(77)).rejects.toThrow('switch 77: ended while it answered');
    await new Promise((resolve) => server.close(resolve));
  });
});
