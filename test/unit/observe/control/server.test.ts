/** The control socket of a process, and how it bounds those who ask. */
import { existsSync, linkSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { controlPath } from '../../../../observe/control/files.js';
import { MAX_REQUEST, parseRequest, type Request, RequestError } from '../../../../observe/control/requests.js';
import { ControlServer, Stream } from '../../../../observe/control/server.js';
import { Throttle } from '../../../../observe/control/throttle.js';

let folder: string;
let path: string;
let server: ControlServer | null;
const clients: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'control-'));
  path = controlPath(folder, 'run', process.pid);
  server = null;
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server?.close();
  rmSync(folder, { recursive: true });
});

/** The requests that were answered. */
let asked: Request[];

async function open(): Promise<void> {
  asked = [];
  server = await ControlServer.open(path, [folder], async (request) => {
    asked.push(request);
    if (request.command === 'stream') return new Stream({}, async () => {});
    if (request.command === 'no') throw new RequestError('no such thing');
    return { is: request.command };
  });
}

/** Connects, sends the text, and returns the first lines that come back; fewer when the connection ends. */
async function lines(text: string, count: number): Promise<string[]> {
  const socket = connect(path);
  clients.push(socket);
  socket.setEncoding('utf8');
  socket.write(text);
  let got = '';
  for await (const part of socket) {
    got += part as string;
    if (got.split('\n').length > count) break;
  }
  return got.split('\n').slice(0, count);
}

async function leaveSocket(left: string): Promise<void> {
  const kept = join(folder, 'kept');
  const leaver = createServer();
  await new Promise<void>((resolve) => leaver.listen(kept, resolve));
  linkSync(kept, left);
  await new Promise((resolve) => leaver.close(resolve));
}

describe('the control socket', () => {
  it('answers each line, is for its owner only, and is gone when it is closed', async () => {
    await open();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual([`tspmd-run-${process.pid}.sock`]);
    const text = '{"command":"one"}\n{"command":"no"}\n{"command":"two","more":1}\n';
    expect(await lines(text, 3)).toEqual([
      '{"ok":true,"result":{"is":"one"}}',
      '{"ok":false,"error":"no such thing"}',
      '{"ok":true,"result":{"is":"two"}}',
    ]);
    expect(asked[2]).toEqual({ command: 'two', more: 1 });
    await server?.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is closed although a client neither reads nor hangs up', async () => {
    await open();
    const idler = connect({ path, allowHalfOpen: true });
    clients.push(idler);
    await new Promise((resolve) => idler.once('connect', resolve));
    await server?.close();
    expect(existsSync(path)).toBe(false);
  });

  it('removes the sockets of killed processes, and its own of an earlier process', async () => {
    const [dead, alive] = [controlPath(folder, 'exec', 999999), controlPath(folder, 'switch', 1)];
    for (const left of [dead, alive, path]) await leaveSocket(left);
    await open();
    expect([dead, alive, path].map(existsSync)).toEqual([false, true, true]);
    expect(await lines('{"command":"x"}\n', 1)).toHaveLength(1);
  });

  it('is refused where another process answers, which keeps its socket', async () => {
    await open();
    await expect(ControlServer.open(path, [folder], async () => ({}))).rejects.toThrow(
      `control socket ${path}: another process has it`,
    );
    expect(await lines('{"command":"x"}\n', 1)).toEqual(['{"ok":true,"result":{"is":"x"}}']);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('cannot be made in a folder that does not exist: one line', async () => {
    const missing = join(folder, 'none', 'tspmd-run-1.sock');
    await expect(ControlServer.open(missing, [folder], async () => ({}))).rejects.toThrow(
      /^control socket \S+none\S+: ENOENT.*$/,
    );
  });
});

describe('whoever asks', () => {
  it.each([
    ['nonsense', 'a request is a line of JSON, such as {"command":"info"}'],
    ['null', 'a request has a command, such as {"command":"info"}'],
    ['{"command":7}', 'a request has a command, such as {"command":"info"}'],
  ])('%s is told what a request is', (line, expected) => {
    expect(() => parseRequest(line)).toThrow(expected);
  });

  it('for a line without end is told so, and hung up on', async () => {
    await open();
    const expected = `{"ok":false,"error":"a request has at most ${MAX_REQUEST} characters"}`;
    expect(await lines('x'.repeat(MAX_REQUEST + 1), 2)).toEqual([expected, '']);
    expect(await lines(`${'x'.repeat(MAX_REQUEST + 1)}\n{"command":"x"}\n`, 2)).toEqual([
      expected,
      '{"ok":true,"result":{"is":"x"}}',
    ]);
    expect(asked).toHaveLength(1);
  });

  it('half a request gets no answer, and delays nobody', async () => {
    await open();
    const half = connect(path);
    clients.push(half);
    half.write('{"command"');
    expect(await lines('{"command":"x"}\n', 1)).toHaveLength(1);
    expect(asked).toHaveLength(1);
  });

  it('10,000 times without reading is answered as far as the socket takes it', async () => {
    await open();
    const greedy = connect(path);
    clients.push(greedy);
    greedy.pause();
    greedy.on('error', () => undefined);
    greedy.write('{"command":"x"}\n'.repeat(10_000));
    // Others wait their turn, and get it.
    expect(await lines('{"command":"y"}\n', 1)).toEqual(['{"ok":true,"result":{"is":"y"}}']);
    expect(asked.length).toBeLessThan(1000);
  });

  it('that was answered by a stream leaves a connection that ends when nobody reads', async () => {
    const limits = vi.spyOn(Socket.prototype, 'setTimeout');
    await open();
    expect(await lines('{"command":"stream"}\n', 1)).toEqual(['{"ok":true,"result":{}}']);
    expect(limits.mock.calls.map(([ms]) => ms)).toEqual([30_000, 0, 30_000]);
    limits.mockRestore();
  });

  it('on too many connections at once is turned away', async () => {
    await open();
    const all = Array.from({ length: 100 }, () => lines('{"command":"x"}\n', 1).catch(() => ['']));
    const answers = (await Promise.all(all)).filter(([line]) => line !== '');
    expect(answers.length).toBeGreaterThanOrEqual(64);
    expect(await lines('{"command":"x"}\n', 1)).toHaveLength(1);
  });
});

describe('the rate of requests', () => {
  it('is bounded, after a burst', async () => {
    const throttle = new Throttle(1000, 5);
    let passed = 0;
    const all = Array.from({ length: 50 }, () => throttle.turn().comes.then(() => passed++));
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toBeLessThan(20);
    await Promise.all(all);
    expect(passed).toBe(50);
  });

  it('gives a place that was given up to the next one', async () => {
    const throttle = new Throttle(20, 0);
    const start = performance.now();
    const turns = Array.from({ length: 2000 }, () => throttle.turn());
    const last = throttle.turn();
    for (const turn of turns) turn.giveUp();
    await last.comes;
    // All of them would have taken 100 s.
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
