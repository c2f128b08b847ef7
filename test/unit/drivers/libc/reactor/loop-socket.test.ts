/** An epoll set behind a socket of Node: this is how the reactor waits. */
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../../../../drivers/libc/ffi/native.js';
import { abi, closeFile, eventfd, signalEventfd } from '../../../../../drivers/libc/index.js';
import { LoopSocket } from '../../../../../drivers/libc/reactor/loop-socket.js';
import { openFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';

let before: number;
let epfd: number;
let fd: number;
let socket: LoopSocket | undefined;
const event = Buffer.from(new ArrayBuffer(16));

/** Reads the events of the set, so that it is no longer ready. */
const harvest = (): number => native.epollWait(epfd, event, 1, 0);

/** A method that must not be called on a LoopSocket. */
function refuse(name: string) {
  return function (this: unknown): never {
    throw new Error(`Socket.prototype.${name} was called`);
  };
}

beforeEach(() => {
  before = openFds();
  epfd = native.epollCreate(abi.EPOLL_CLOEXEC);
  fd = eventfd();
  event.writeUInt32LE((abi.EPOLLIN | abi.EPOLLET) >>> 0, 0);
  expect(native.epollControl(epfd, abi.EPOLL_CTL_ADD, fd, event)).toBe(0);
});

afterEach(() => {
  socket?.destroy();
  socket = undefined;
  closeFile(fd);
  closeFile(epfd);
  expect(openFds()).toBe(before);
});

describe('LoopSocket', () => {
  it('reports each time that the set becomes ready, and stays open', async () => {
    let told = 0;
    socket = LoopSocket.over(epfd, () => (told += harvest()));
    for (let i = 1; i <= 20; i++) {
      signalEventfd(fd);
      await until(`signal ${i} is told`, () => told === i);
    }
    expect(socket.destroyed).toBe(false);
  });

  it('reports in every turn of the event loop while the set is ready', async () => {
    let told = 0;
    socket = LoopSocket.over(epfd, () => told++);
    signalEventfd(fd);
    await until('it is told three times', () => told >= 3);
    expect(harvest()).toBe(1);
    const last = told;
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(last);
  });

  it('reports nothing more once it is destroyed, and leaves the set to its owner', async () => {
    let told = 0;
    socket = LoopSocket.over(epfd, () => told++);
    socket.destroy();
    signalEventfd(fd);
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(0);
    expect(harvest()).toBe(1);
  });

  it('ends with an error that is not from this project', async () => {
    socket = LoopSocket.over(epfd, () => {});
    const error = new Promise((resolve) => socket?.once('error', resolve));
    socket.destroy(new Error('broken'));
    expect(await error).toMatchObject({ message: 'broken' });
    expect(socket.destroyed).toBe(true);
  });

  it('works when other code has replaced the methods of Socket', async () => {
    const own = Object.getOwnPropertyDescriptors(Socket.prototype);
    const inherited = Socket.prototype.destroy;
    for (const name of Object.keys(own)) {
      if (typeof own[name as keyof typeof own]?.value !== 'function' || name === 'constructor') continue;
      Object.defineProperty(Socket.prototype, name, { configurable: true, writable: true, value: refuse(name) });
    }
    Socket.prototype.destroy = refuse('destroy');
    try {
      let told = 0;
      socket = LoopSocket.over(epfd, () => (told += harvest()));
      socket.unref();
      socket.ref();
      signalEventfd(fd);
      await until('the signal is told', () => told === 1);
      socket.destroy();
    } finally {
      Object.defineProperties(Socket.prototype, own);
      if (!Object.hasOwn(own, 'destroy')) Reflect.deleteProperty(Socket.prototype, 'destroy');
    }
    expect(Socket.prototype.destroy).toBe(inherited);
    expect(socket.destroyed).toBe(true);
  });

  it('leaves nothing behind when it cannot be made', () => {
    expect(() => LoopSocket.over(-1, () => {})).toThrow('dup3 reactor: bad file descriptor (EBADF)');
  });
});
