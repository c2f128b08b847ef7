/** The captures of a process: how they begin and end, and that each is ended in the threads with the packets, once. */
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CaptureLab, readAll, requestFor } from '../../../support/observe/capture-lab.js';
import { until } from '../../../support/until.js';

const SECTION = 0x0a0d0d0a;
const [INTERFACE, STATISTICS, PACKET] = [1, 5, 6];
const LINE = '{"command":"capture"}\n';

let lab: CaptureLab;

beforeEach(async () => {
  lab = new CaptureLab();
  await lab.serve();
});

afterEach(() => lab.end());

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const isClosed = (...ids: number[]) => until('closed', () => lab.closed.length >= ids.length);

describe('a capture', () => {
  it('is a pcapng file: its head, the packets, and what was counted', async () => {
    const stream = await lab.open({ filter: 'tcp', snaplen: 96 });
    expect(lab.opened).toEqual([{ id: 1, filter: 'tcp', directions: 3, drops: false, snaplen: 96, port: null }]);
    lab.come(1, 3, { reason: 1 });
    stream.stop();
    const { types, numbers, summary, text } = await readAll(stream);
    expect(types).toEqual([SECTION, INTERFACE, PACKET, PACKET, PACKET, STATISTICS]);
    expect([numbers, summary]).toEqual([[0, 1, 2], { packets: 3, lost: 0 }]);
    for (const part of ['test 1.0', 'port0', 'the only one', 'tcp', 'no room']) expect(text).toContain(part);
    expect([text.includes('no reason'), lab.closed]).toEqual([false, [1]]);
  });

  it('has the packets of all rings and interfaces, in order', async () => {
    lab.rings = 3;
    lab.interfaces = ['a', 'b', 'c'].map((name) => ({ name, description: '' }));
    const stream = await lab.open();
    for (let i = 0; i < 9; i++) lab.come(1, 1, { from: i, ring: i % 3, number: i % 2 });
    stream.stop();
    const { types, numbers, interfaces } = await readAll(stream);
    expect(types.slice(0, 4)).toEqual([SECTION, INTERFACE, INTERFACE, INTERFACE]);
    expect(types.slice(-3)).toEqual([STATISTICS, STATISTICS, STATISTICS]);
    expect([numbers, interfaces]).toEqual([upTo(9), [0, 1, 0, 1, 0, 1, 0, 1, 0]]);
  });

  it('ends with as many packets as were asked for', async () => {
    const stream = await lab.open({ count: 5 });
    lab.come(1, 3);
    let next = 3;
    const { numbers, summary } = await readAll(stream, async () => lab.come(1, 1, { from: next++ }));
    expect([numbers, summary, lab.closed]).toEqual([upTo(5), { packets: 5, lost: 0 }, [1]]);
  });

  it('ends with its count also when that one reads nothing', async () => {
    lab.raw('{"command":"capture","count":500}\n').pause();
    await until('opened', () => lab.writers.has(1));
    // All in one look, and more than the socket holds.
    lab.come(1, 600, { length: 400 });
    await isClosed(1);
    expect(lab.closed).toEqual([1]);
  });

  it('ends after its duration', async () => {
    const stream = await lab.open({ duration: 0.05 });
    lab.come(1, 2);
    expect(await readAll(stream)).toMatchObject({ numbers: [0, 1], summary: { packets: 2, lost: 0 } });
    expect(lab.closed).toEqual([1]);
  });

  it('ends when the other side says anything, and sends what came until then', async () => {
    const stream = await lab.open();
    lab.come(1, 900, { length: 500 });
    stream.stop();
    const { numbers, summary } = await readAll(stream);
    expect([numbers, summary, lab.closed]).toEqual([upTo(900), { packets: 900, lost: 0 }, [1]]);
  });

  it('ends when the other side says so together with its request', async () => {
    let text = '';
    const socket = lab.raw(`${LINE}\n`).setEncoding('latin1');
    for await (const part of socket) text += part;
    expect(text).toContain('{"done":{"packets":0,"lost":0}}\n');
    expect(lab.closed).toEqual([1]);
  });

  it('ends when the other side goes', async () => {
    const socket = lab.raw(LINE);
    await until('opened', () => lab.writers.has(1));
    socket.destroy();
    await isClosed(1);
    expect(lab.closed).toEqual([1]);
  });

  it('ends when the other side has gone before the main thread has answered', async () => {
    let answer = (): void => {};
    lab.answers = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const socket = lab.raw(LINE);
    await until('asked', () => lab.opened.length > 0);
    const gone = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await gone;
    answer();
    await isClosed(1);
    expect(lab.closed).toEqual([1]);
  });

  it('is closed, too, when the main thread has not answered in time', async () => {
    lab.answers = Promise.reject(new Error('the main thread has not answered'));
    lab.answers.catch(() => {});
    await expect(lab.open()).rejects.toThrow(`run ${process.pid} says: the main thread has not answered`);
    expect(lab.closed).toEqual([1]);
    // It does not count as one that runs.
    lab.answers = Promise.resolve();
    const streams = await Promise.all(upTo(4).map(() => lab.open()));
    for (const stream of streams) stream.stop();
    for (const stream of streams) await readAll(stream);
    expect(lab.closed).toEqual([1, 2, 3, 4, 5]);
  });

  it('ends although the main thread does not end it', async () => {
    lab.closes = Promise.reject(new Error('hangs'));
    lab.closes.catch(() => {});
    const stream = await lab.open();
    stream.stop();
    expect((await readAll(stream)).summary).toEqual({ packets: 0, lost: 0 });
  });
});

/** The first line that comes back; empty when the connection ends before. */
function replyTo(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.setEncoding('utf8').once('data', (text: string) => resolve(text));
    socket.once('close', () => resolve(''));
  });
}

describe('a reader that is too slow', () => {
  it('loses copies, which are counted, and nothing grows', async () => {
    const stream = await lab.open();
    let sent = 0;
    const before = process.memoryUsage().arrayBuffers;
    await until(
      'copies lost',
      () => lab.countsOf(1).lost > 5000,
      () => {
        lab.come(1, 100, { length: 1500, from: sent });
        sent += 100;
      },
    );
    // A piece, what the socket holds, and the ring.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20);
    stream.stop();
    const { numbers, summary } = await readAll(stream);
    expect(summary!.packets).toBe(numbers.length);
    expect(summary!.packets + summary!.lost).toBe(sent);
    expect(summary!.lost).toBeGreaterThanOrEqual(5000);
    expect(lab.closed).toEqual([1]);
  });

  it('does not get the rest when it does not read at the end, and does not delay it', async () => {
    const socket = lab.raw(LINE).pause();
    await until('opened', () => lab.writers.has(1));
    await until(
      'full',
      () => lab.countsOf(1).lost > 0,
      () => lab.come(1, 100, { length: 1500 }),
    );
    await lab.captures.end();
    expect(lab.closed).toEqual([1]);
    // The line with the summary comes last: it says what is missing.
    let text = '';
    socket.setEncoding('latin1').resume();
    for await (const part of socket) text = (text + part).slice(-200);
    const { done } = JSON.parse(text.slice(text.lastIndexOf('{"done"'))) as { done: { packets: number; lost: number } };
    expect(done.packets + done.lost).toBe(lab.countsOf(1).seen);
    expect(done.lost).toBeGreaterThan(0);
  });
});

describe('the captures of a process', () => {
  it('are at most four at a time', async () => {
    const streams = await Promise.all(upTo(4).map(() => lab.open()));
    await expect(lab.open()).rejects.toThrow('4 captures of this process run already; end one of them');
    expect(lab.opened.length).toBe(4);
    streams[2]!.stop();
    await readAll(streams[2]!);
    const other = await lab.open();
    for (const stream of [streams[0]!, streams[1]!, streams[3]!, other]) {
      stream.stop();
      await readAll(stream);
    }
    expect([...lab.closed].sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('are at most four although the main thread has answered none yet', async () => {
    const { captures } = lab;
    let answer = (): void => {};
    lab.answers = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const asked = upTo(4).map(() => captures.begin(requestFor()));
    await expect(captures.begin(requestFor())).rejects.toThrow('4 captures of this process run already');
    answer();
    expect((await Promise.all(asked)).length).toBe(4);
  });

  it('asked for a hundred at a time are four; all others are told so or turned away', async () => {
    const replies = await Promise.all(upTo(100).map(() => replyTo(lab.raw(LINE))));
    expect(replies.filter((reply) => reply.startsWith('{"ok":true')).length).toBe(4);
    const refused = replies.filter((reply) => reply.includes('4 captures of this process run already'));
    // The control socket takes 64 connections.
    expect(refused.length).toBe(60);
    expect(replies.filter((reply) => reply === '').length).toBe(36);
    expect(lab.opened.length).toBe(4);
  });

  it('that are read here do not count', async () => {
    for (let i = 0; i < 9; i++) await lab.captures.open(requestFor());
    await lab.captures.close(3);
    const stream = await lab.open();
    stream.stop();
    await readAll(stream);
    expect(lab.closed).toEqual([3, 10]);
  });

  it('end in good order with the process', async () => {
    const streams = await Promise.all([lab.open(), lab.open()]);
    for (const id of [1, 2]) lab.come(id, 3);
    const reading = streams.map((stream) => readAll(stream));
    await lab.captures.end();
    for (const read of reading) expect(await read).toMatchObject({ numbers: [0, 1, 2], summary: { packets: 3 } });
    expect([...lab.closed].sort()).toEqual([1, 2]);
  });

  it('do not begin any more when the process ends', async () => {
    await lab.captures.end();
    const { summary } = await readAll(await lab.open());
    expect([summary, lab.closed]).toEqual([{ packets: 0, lost: 0 }, [1]]);
  });

  it('is ended again and again while the main thread hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      lab.closes = Promise.reject(new Error('hangs'));
      lab.closes.catch(() => {});
      await lab.captures.close(7);
      await vi.advanceTimersByTimeAsync(2000);
      expect(lab.closed).toEqual([7, 7, 7]);
      lab.closes = Promise.resolve();
      await vi.advanceTimersByTimeAsync(10_000);
      expect(lab.closed).toEqual([7, 7, 7, 7]);
    } finally {
      vi.useRealTimers();
    }
  });
});
