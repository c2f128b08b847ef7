/** Viewers of the live page, over real connections: how many there may be, and what happens to those that do not read. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gather } from '../../../../observe/page/news.js';
import { MAX_VIEWERS, Viewers } from '../../../../observe/page/viewers.js';
import { until } from '../../../support/until.js';

describe('viewers', () => {
  let server: Server;
  let viewers: Viewers;
  const sockets: Socket[] = [];
  let asked = 0;
  /** Every news is so long that no buffer of the kernel holds many. */
  let news = async (): Promise<string> => JSON.stringify('x'.repeat(1 << 20));

  beforeEach(async () => {
    asked = 0;
    viewers = new Viewers(() => {
      asked++;
      return news();
    }, 1);
    server = createServer((_, response: ServerResponse) => {
      if (!viewers.add(response)) response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    viewers.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function view(): { socket: Socket; read: () => string } {
    const { port } = server.address() as { port: number };
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
    sockets.push(socket.on('error', () => undefined));
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text = (text + part).slice(0, 4000);
    });
    return { socket, read: () => text };
  }

  it('are asked for nothing before they come, and after they have gone', async () => {
    await nextTurn();
    expect(asked).toBe(0);
    const { socket, read } = view();
    await until('news', () => read().includes('data: "xxx'));
    expect(read()).toContain('retry: 2000');
    expect(viewers.counts).toEqual({ watching: 1, refused: 0, dropped: 0 });
    socket.destroy();
    await until('nobody watches', () => viewers.counts.watching === 0);
    // One question may be on its way.
    const last = asked + 1;
    for (let i = 0; i < 200; i++) await nextTurn();
    expect(asked).toBeLessThanOrEqual(last);
  });

  it('get the same news: one question for all of them', async () => {
    let answer = (_: string): void => {};
    news = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const all = Array.from({ length: 5 }, view);
    await until('all watch', () => viewers.counts.watching === 5);
    expect(asked).toBe(1);
    answer('"one"');
    await until('all have it', () => all.every(({ read }) => read().includes('data: "one"\n\n')));
  });

  it('are as many as allowed; others are refused, until one goes', async () => {
    news = async () => '1';
    const all = Array.from({ length: MAX_VIEWERS }, view);
    await until('all watch', () => viewers.counts.watching === MAX_VIEWERS);
    const { read } = view();
    await until('one is refused', () => read().includes('503'));
    expect(viewers.counts).toEqual({ watching: MAX_VIEWERS, refused: 1, dropped: 0 });
    all[0]!.socket.destroy();
    await until('a place is free', () => viewers.counts.watching === MAX_VIEWERS - 1);
    const next = view();
    await until('it is taken', () => next.read().includes('data: 1'));
  });

  it('that do not read are dropped and counted, and keep nobody from the news', async () => {
    news = async () => JSON.stringify('x'.repeat(1 << 20));
    const { socket } = view();
    socket.pause();
    let length = 0;
    const reader = view();
    reader.socket.on('data', (part: string) => {
      length += part.length;
    });
    await until('one is dropped', () => viewers.counts.dropped === 1);
    expect(viewers.counts).toEqual({ watching: 1, refused: 0, dropped: 1 });
    const before = length;
    await until('the other reads on', () => length > before + (3 << 20));
  });

  it('go on after an answer that fails', async () => {
    news = async () => {
      if (asked === 1) throw new Error('once');
      return '"again"';
    };
    const { read } = view();
    await until('news', () => read().includes('"again"'));
  });
});

describe('the news', () => {
  const about = { pid: 1, kind: 'switch', name: 'x', state: 'ready', devices: [], address: null, mode: null } as const;
  const counts = { watching: 1, refused: 0, dropped: 0 };

  it('say why a part of them is missing', async () => {
    const answer = async ({ command }: { command: string }): Promise<object> => {
      if (command === 'connections') throw new Error('tspmd switch has no connections');
      return { command };
    };
    expect(
      await gather(
        () => ({ ...about, version: '0', uptime: 1 }),
        answer,
        () => counts,
      ),
    ).toEqual({
      process: { ...about, version: '0', uptime: 1 },
      stats: { result: { command: 'stats' } },
      flows: { result: { command: 'flows' } },
      connections: { problem: 'tspmd switch has no connections' },
      viewers: counts,
    });
  });
});
