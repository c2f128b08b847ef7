/** The other end of a capture, against processes that say anything: everything has a bound, and nothing is left open. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CaptureStream } from '../../../../observe/control/capture-stream.js';
import type { ControlFile } from '../../../../observe/control/files.js';
import { until } from '../../../support/until.js';

let folder: string;
let server: Server;
let file: ControlFile;
/** The connections that the other side has, and what it was asked. */
let sockets: Socket[];
let asked: string;
/** What the process sends, in these parts. */
let parts: (string | Buffer)[];
let endsThen: boolean;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stream-'));
  file = { kind: 'run', pid: 77, path: join(folder, 'sock'), owner: 0 };
  [sockets, asked, parts, endsThen] = [[], '', [], false];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      asked += data.toString();
    });
    // Parts that are sent at once would come as one.
    const own = [...parts];
    const next = (): void => {
      const part = own.shift();
      if (part !== undefined) socket.write(part, () => setImmediate(next));
      else if (endsThen) socket.end();
    };
    next();
  });
  await new Promise<void>((resolve) => server.listen(file.path, resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const OK = '{"ok":true,"result":{}}\n';
const DONE = '{"done":{"packets":2,"lost":1}}\n';
const piece = (bytes: string): string => `{"pcapng":${bytes.length}}\n${bytes}`;

/** All pieces, and the summary. */
async function read(request: object = {}) {
  const stream = await CaptureStream.open(file, request);
  const pieces: string[] = [];
  const summary = await stream.read(async (bytes) => void pieces.push(bytes.toString('latin1')));
  return { pieces, summary };
}

/** The other side sees that the connection is closed. */
const isClosed = () => until('closed', () => sockets.length > 0 && sockets.every(({ destroyed }) => destroyed));

describe('the stream of a capture', () => {
  it('asks, and gets pieces and a summary, wherever these are cut', async () => {
    const all = Buffer.from(`${OK}${piece('abc')}${piece('')}${piece('{"pcapng":1}\n\n')}${DONE}`);
    for (const size of [1, 2, 3, 7, 20, 1000]) {
      parts = [];
      for (let at = 0; at < all.length; at += size) parts.push(all.subarray(at, at + size));
      const { pieces, summary } = await read({ filter: 'tcp' });
      expect([pieces, summary]).toEqual([['abc', '', '{"pcapng":1}\n\n'], { packets: 2, lost: 1 }]);
    }
    expect(asked.split('\n')[0]).toBe('{"command":"capture","filter":"tcp"}');
    await isClosed();
  });

  it('waits until a piece is written before it takes the next one', async () => {
    parts = [`${OK}${piece('1')}${piece('2')}${DONE}`];
    const stream = await CaptureStream.open(file, {});
    let open = 0;
    await stream.read(async () => {
      expect(++open).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
    });
  });

  it('asks for the end with a line', async () => {
    parts = [OK];
    const stream = await CaptureStream.open(file, {});
    stream.stop();
    await until('asked', () => asked.endsWith('}\n\n'));
    sockets[0]!.end(DONE);
    expect(await stream.read(async () => {})).toEqual({ packets: 2, lost: 1 });
  });

  it.each([
    ['in the middle of a piece', '{"pcapng":10}\nabc'],
    ['in the middle of a line', '{"pcap'],
    ['between pieces', piece('abc')],
    ['at once', ''],
  ])('has no summary when the process ends %s', async (_, text) => {
    [parts, endsThen] = [[OK, text].filter((part) => part !== ''), true];
    expect((await read()).summary).toBe(null);
  });

  it.each([
    '{"pcapng":-1}',
    '{"pcapng":1.5}',
    '{"pcapng":2097153}',
    '{"pcapng":"1"}',
    '{"done":{"packets":-1,"lost":0}}',
    '{"done":{"packets":1}}',
    '{"done":null}',
    '{}',
    'null',
    '[]',
    'no json',
    '',
  ])('ends with an error when a line is %j', async (line) => {
    parts = [`${OK}${line}\n`];
    await expect(read()).rejects.toThrow('run 77 sends something that is no capture');
    await isClosed();
  });

  it('ends with an error when a line has no end', async () => {
    parts = [OK, ...Array<string>(9).fill('x'.repeat(1000))];
    await expect(read()).rejects.toThrow('run 77 sends a line without end');
    await isClosed();
  });

  it('ends when a piece cannot be taken', async () => {
    parts = [`${OK}${piece('1')}${piece('2')}`];
    const stream = await CaptureStream.open(file, {});
    await expect(stream.read(() => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
    await isClosed();
  });

  it('does not begin when the process refuses it', async () => {
    parts = ['{"ok":false,"error":"4 captures run already"}\n'];
    await expect(read()).rejects.toThrow('run 77 says: 4 captures run already');
    await isClosed();
  });

  it.each(['hello\n', '{"ok":1}\n', '\n'])('does not begin when the reply is %j', async (text) => {
    parts = [text];
    await expect(read()).rejects.toThrow('run 77 answers with something that is no reply');
    await isClosed();
  });

  it('does not begin when the reply has no end', async () => {
    parts = Array<string>(9).fill('x'.repeat(1000));
    await expect(read()).rejects.toThrow('run 77 sends a line without end');
    await isClosed();
  });

  it('does not begin when the process ends before it replies, or is not there', async () => {
    [parts, endsThen] = [['{"ok":'], true];
    await expect(read()).rejects.toThrow('run 77 has ended');
    await expect(CaptureStream.open({ ...file, path: `${file.path}x` }, {})).rejects.toThrow('run 77 has ended');
  });

  it('does not begin when there is no reply in time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const reading = expect(read()).rejects.toThrow('run 77 does not answer (waited 3 s)');
      await until('asked', () => asked !== '');
      vi.advanceTimersByTime(3000);
      await reading;
      await isClosed();
    } finally {
      vi.useRealTimers();
    }
  });
});
