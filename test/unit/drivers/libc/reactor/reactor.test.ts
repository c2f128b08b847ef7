/**
 * Descriptors in Node's event loop: each event is reported once, to the right handler, and nothing holds up the others.
 */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { abi, closeFile, eventfd, Reactor, signalEventfd } from '../../../../../drivers/libc/index.js';
import { Child } from '../../../../../scripts/child.js';
import { openFds, untilFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';

const EDGE = (abi.EPOLLIN | abi.EPOLLET) >>> 0;
const BUILT = new URL('../../../../../dist/drivers/libc/index.js', import.meta.url).href;

let before = 0;
const reactors: Reactor[] = [];
const fds: number[] = [];

beforeEach(() => {
  before = openFds();
});

afterEach(async () => {
  for (const reactor of reactors.splice(0)) reactor.close();
  for (const fd of fds.splice(0)) closeFile(fd);
  await untilFds(before);
});

function newReactor(): Reactor {
  const reactor = new Reactor();
  reactors.push(reactor);
  return reactor;
}

function newEventfd(): number {
  const fd = eventfd();
  fds.push(fd);
  return fd;
}

describe('Reactor', () => {
  it('reports an edge-triggered eventfd once per signal, without reading the counter', async () => {
    const reactor = newReactor();
    const fd = newEventfd();
    let calls = 0;
    let bits = 0;
    reactor.watch(fd, EDGE, (events) => {
      calls++;
      bits = events;
    });
    for (let i = 1; i <= 5; i++) {
      signalEventfd(fd);
      await until(`signal ${i} is told`, () => calls === i);
    }
    expect(bits & abi.EPOLLIN).toBe(abi.EPOLLIN);
    // The wait after the last report reports nothing again: the event of another descriptor comes alone.
    const other = newEventfd();
    let otherCalls = 0;
    reactor.watch(other, EDGE, () => otherCalls++);
    signalEventfd(other);
    await until('the other is told', () => otherCalls === 1);
    expect(calls).toBe(5);
  });

  it('reports a descriptor that was ready before it was watched', async () => {
    const fd = newEventfd();
    signalEventfd(fd);
    let calls = 0;
    newReactor().watch(fd, EDGE, () => calls++);
    await until('the old signal is told', () => calls === 1);
  });

  it('reports no descriptor that a handler of the same batch has unwatched', async () => {
    const reactor = newReactor();
    const [a, b] = [newEventfd(), newEventfd()];
    const told: string[] = [];
    reactor.watch(a, EDGE, () => {
      told.push('a');
      reactor.unwatch(b);
    });
    reactor.watch(b, EDGE, () => {
      told.push('b');
      reactor.unwatch(a);
    });
    signalEventfd(a);
    signalEventfd(b);
    await until('one of them is told', () => told.length > 0);
    expect(told).toHaveLength(1);
    expect(reactor.size).toBe(1);
  });

  it('does not give the event of a closed file to the next owner of its number', async () => {
    const reactor = newReactor();
    const [a, b] = [eventfd(), eventfd()];
    const stale: number[] = [];
    let calls = 0;
    const replace = (other: number): void => {
      if (calls++ > 0) return;
      reactor.unwatch(other);
      closeFile(other);
      // The kernel gives the lowest free number: the one that was just closed.
      const reused = newEventfd();
      expect(reused).toBe(other);
      reactor.watch(reused, EDGE, () => stale.push(reused));
    };
    reactor.watch(a, EDGE, () => replace(b));
    reactor.watch(b, EDGE, () => replace(a));
    signalEventfd(a);
    signalEventfd(b);
    await until('one of the two is told', () => calls === 1);
    expect(stale).toEqual([]);
    const [kept] = [a, b].filter((fd) => !fds.includes(fd));
    if (kept !== undefined) fds.push(kept);
  });

  it('reports to the others when a handler throws; the error is an uncaught exception', async () => {
    const uncaught: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    try {
      const reactor = newReactor();
      const watched = [newEventfd(), newEventfd(), newEventfd()];
      const told: number[] = [];
      watched.forEach((fd, i) => {
        reactor.watch(fd, EDGE, () => {
          told.push(i);
          throw new Error(`handler ${i}`);
        });
      });
      for (const fd of watched) signalEventfd(fd);
      await until('all three are told', () => told.length === 3 && uncaught.length === 3);
      signalEventfd(watched[1] as number);
      await until('a later signal is told as well', () => told.length === 4);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  it('can be closed while it waits, in a handler, and twice; then it watches nothing', async () => {
    const waiting = newReactor();
    waiting.watch(newEventfd(), EDGE, () => {});
    waiting.close();
    waiting.close();
    expect(waiting.size).toBe(0);
    expect(() => waiting.watch(newEventfd(), EDGE, () => {})).toThrow('reactor: already closed');

    const reactor = newReactor();
    const fd = newEventfd();
    let calls = 0;
    reactor.watch(fd, EDGE, () => {
      calls++;
      reactor.close();
    });
    signalEventfd(fd);
    await until('the handler closes its reactor', () => calls === 1);
    signalEventfd(fd);
    await untilFds(before + 3);
    expect(calls).toBe(1);
  });

  it('goes on for the others when one of several reactors is closed', async () => {
    const [a, b] = [newReactor(), newReactor()];
    const [fdA, fdB] = [newEventfd(), newEventfd()];
    let [callsA, callsB] = [0, 0];
    a.watch(fdA, EDGE, () => callsA++);
    b.watch(fdB, EDGE, () => callsB++);
    a.close();
    signalEventfd(fdA);
    signalEventfd(fdB);
    await until('the open one is told', () => callsB === 1);
    expect(callsA).toBe(0);
  });

  it('leaves the thread pool to others, however many reactors wait', async () => {
    for (let i = 0; i < 12; i++) newReactor().watch(newEventfd(), EDGE, () => {});
    await expect(readFile('/proc/self/comm', 'utf8')).resolves.not.toBe('');
  });

  it('refuses to watch a descriptor twice, or one that is not open, and names it', () => {
    const reactor = newReactor();
    const fd = newEventfd();
    reactor.watch(fd, EDGE, () => {});
    expect(() => reactor.watch(fd, EDGE, () => {})).toThrow(`epoll_ctl descriptor ${fd}: file already exists (EEXIST)`);
    expect(() => reactor.watch(9999, EDGE, () => {})).toThrow('epoll_ctl descriptor 9999');
    expect(reactor.size).toBe(1);
    reactor.unwatch(9999);
    reactor.unwatch(fd);
    expect(reactor.size).toBe(0);
  });
});

describe('a process with an open reactor', () => {
  const script = (then: string): string =>
    `import { abi, eventfd, Reactor } from '${BUILT}';
     const reactor = new Reactor();
     reactor.watch(eventfd(), (abi.EPOLLIN | abi.EPOLLET) >>> 0, () => {});
     setTimeout(() => { ${then} }, 50);`;

  it.each([
    ['ends with its code at process.exit', 'process.exit(7)', 7],
    ['ends by itself when the reactor is closed', 'reactor.close()', 0],
    ['ends by itself when the reactor does not keep it alive', 'reactor.keepAlive(false)', 0],
    ['ends with code 1 at an uncaught error', 'throw new Error("x")', 1],
  ])('%s', async (_, then, code) => {
    const child = Child.spawn(process.execPath, ['--input-type=module', '-e', script(then)]);
    expect(await child.exited).toEqual({ code, signal: null });
  });

  it('can end a worker that has an open reactor', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       import('${BUILT}').then(({ abi, eventfd, Reactor }) => {
         new Reactor().watch(eventfd(), (abi.EPOLLIN | abi.EPOLLET) >>> 0, () => {});
         parentPort.postMessage('watching');
       });`,
      { eval: true },
    );
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await expect(worker.terminate()).resolves.toBe(1);
    // The three descriptors of the worker belong to its thread. They end with the process, and this test does not count
    // them.
    before = openFds();
  });
});
