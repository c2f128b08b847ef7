/** What only sockets on a stack have: a queue, the choice between stack and kernel, and what the program throws. */
import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookDgram } from '../../../../../src/node/dgram/hooks.js';
import { makeDgram } from '../../../../../src/node/dgram/make-dgram.js';
import type { UdpHost } from '../../../../../src/node/dgram/udp-host.js';
import { StackLab } from '../../../../support/node/dgram-lab.js';
import { until } from '../../../../support/until.js';

let lab: StackLab;
const sockets: Socket[] = [];

beforeEach(async () => {
  lab = await StackLab.open();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) await new Promise<void>((resolve) => socket.close(resolve));
  expect(lab.sockets).toBe(0);
  expect(lab.hosts.map(({ refs }) => refs.isReferenced)).toEqual([false, false]);
  await lab.close();
});

function kept(socket: Socket): Socket {
  sockets.push(socket);
  return socket;
}

async function bound(end: Pick<typeof dgram, 'createSocket'>, port = 0, address?: string): Promise<Socket> {
  const socket = kept(end.createSocket('udp4'));
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return socket;
}

describe('a socket of a stack', () => {
  it('keeps datagrams that find no room, sends them in order, and calls back then', async () => {
    const receiver = await bound(lab.server);
    const sender = await bound(lab.client);
    const got: string[] = [];
    receiver.on('message', (message) => got.push(message.toString()));
    const { device } = lab.stations[1];
    device.isBlocked = true;
    const done: string[] = [];
    const calls = 1500;
    for (let i = 0; i < calls; i++) {
      sender.send(`${i}`, receiver.address().port, lab.server.address, (error, bytes) =>
        done.push(`${error} ${bytes}`),
      );
    }
    // Names are looked up first.
    await new Promise(setImmediate);
    expect(sender.getSendQueueCount()).toBeGreaterThan(0);
    expect(sender.getSendQueueSize()).toBeGreaterThan(sender.getSendQueueCount());
    device.isBlocked = false;
    await until('all callbacks', () => done.length === calls);
    expect(sender.getSendQueueCount()).toBe(0);
    expect(sender.getSendQueueSize()).toBe(0);
    expect(done).toEqual(Array.from({ length: calls }, (_, i) => `null ${`${i}`.length}`));
    // The receiver has places for some of them only.
    sender.send(`${calls}`, receiver.address().port, lab.server.address);
    await until('the last datagram', () => got.at(-1) === `${calls}`);
    const order = got.map(Number);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('gives up what waits when it is closed', async () => {
    const sender = lab.client.createSocket('udp4');
    await new Promise<void>((resolve) => sender.bind(0, resolve));
    lab.stations[1].device.isBlocked = true;
    const codes: unknown[] = [];
    for (let i = 0; i < 1500; i++) {
      sender.send('x', 9, lab.server.address, (error) => codes.push((error as NodeJS.ErrnoException | null)?.code));
    }
    await new Promise(setImmediate);
    const waiting = sender.getSendQueueCount();
    expect(waiting).toBeGreaterThan(0);
    await new Promise<void>((resolve) => sender.close(resolve));
    // As over the kernel, the callbacks come after the event.
    expect(codes).not.toContain('ECANCELED');
    await new Promise(setImmediate);
    expect(codes.filter((code) => code === 'ECANCELED')).toHaveLength(waiting);
    expect(codes).toHaveLength(1500);
  });

  it('takes at most 16 MiB that wait', async () => {
    const sender = await bound(lab.client);
    lab.stations[1].device.isBlocked = true;
    const codes: unknown[] = [];
    const block = Buffer.alloc(60_000);
    for (let i = 0; i < 400; i++) {
      sender.send(block, 9, lab.server.address, (error) => codes.push((error as NodeJS.ErrnoException | null)?.code));
    }
    expect(sender.getSendQueueSize()).toBeLessThanOrEqual(16 * 2 ** 20);
    await until('refusals', () => codes.includes('ENOBUFS'));
  });

  it('gives each message bytes of its own', async () => {
    const receiver = await bound(lab.server);
    const sender = await bound(lab.client);
    const messages: Buffer[] = [];
    receiver.on('message', (message) => messages.push(message));
    for (const text of ['one', 'two', '']) sender.send(text, receiver.address().port, lab.server.address);
    await until('three messages', () => messages.length === 3);
    expect(messages.map(String)).toEqual(['one', 'two', '']);
    expect(messages.map(({ buffer, byteLength }) => buffer.byteLength === byteLength)).toEqual([true, true, true]);
    expect(new Set(messages.map(({ buffer }) => buffer)).size).toBe(3);
  });

  it('sends to itself, and hears that nobody listens there', async () => {
    const socket = await bound(lab.client);
    const { port } = socket.address();
    for (const address of [lab.client.address, '127.0.0.1', '0.0.0.0']) {
      const arrived = once(socket, 'message');
      socket.send(`to ${address}`, port, address);
      const [message, from] = (await arrived) as [Buffer, object];
      expect(String(message)).toBe(`to ${address}`);
      expect(from).toMatchObject({ address: lab.client.address, port });
    }
    const connected = kept(lab.client.createSocket('udp4'));
    connected.connect(port === 9 ? 10 : 9, '127.0.0.1');
    await once(connected, 'connect');
    const failed = once(connected, 'error').catch((error: unknown) => [error]);
    connected.send('x');
    expect(await failed).toEqual([expect.objectContaining({ code: 'ECONNREFUSED', syscall: 'recvmsg' })]);
  });

  it('sends broadcasts once that was allowed', async () => {
    const sender = await bound(lab.client);
    const { device } = lab.stations[1];
    const before = device.frames;
    const send = (): Promise<Error | null> =>
      new Promise((resolve) => sender.send('to all', 5000, '10.0.0.255', (error) => resolve(error)));
    expect(await send()).toMatchObject({ code: 'EACCES', syscall: 'send', address: '10.0.0.255' });
    sender.setBroadcast(true);
    expect(await send()).toBeNull();
    await until('a frame', () => device.frames === before + 1);
    sender.setBroadcast(false);
    expect(await send()).toMatchObject({ code: 'EACCES' });
  });

  it('sends with the time to live that it was given, to groups with another', async () => {
    const socket = await bound(lab.client);
    const { device } = lab.stations[1];
    const seen: number[] = [];
    device.onFrame = (at) => seen.push(device.memory.u8[at + 14 + 8]!);
    const send = (address: string): void => socket.send('x', 9, address);
    const { address } = lab.server;
    send(address);
    send('224.0.0.9');
    await until('two frames', () => seen.length === 2);
    expect([socket.setTTL(7), socket.setMulticastTTL(9)]).toEqual([7, 9]);
    send(address);
    send('224.0.0.9');
    socket.send(Buffer.alloc(2000), 9, address);
    await until('six frames', () => seen.length === 6);
    expect(seen).toEqual([64, 1, 7, 9, 7, 7]);
    expect(socket.setMulticastLoopback(false)).toBe(false);
  });

  it('says that it joins no groups', async () => {
    const socket = await bound(lab.client);
    expect(() => socket.addMembership('224.0.0.251')).toThrow('addMembership ENODEV');
    expect(() => socket.setMulticastTTL(0)).toThrow('setMulticastTTL ENOTSUP');
    expect(() => socket.setMulticastLoopback(true)).toThrow('setMulticastLoopback ENOTSUP');
  });

  it('stays with the host that it was bound to', async () => {
    let isOpen = true;
    const { createSocket } = makeDgram(() => {
      if (!isOpen) throw new Error('no host is open');
      return lab.hosts[1];
    });
    const unbound = kept(createSocket('udp4'));
    const socket = await bound({ createSocket });
    isOpen = false;
    const arrived = once(await bound(lab.server, 9), 'message');
    socket.send('x', 9, lab.server.address);
    await arrived;
    expect(() => unbound.bind(0)).toThrow('no host is open');
  });

  it('cannot be of type udp6', async () => {
    const socket = kept(lab.client.createSocket('udp6'));
    const failed = once(socket, 'error').catch((error: unknown) => [error]);
    socket.bind(0);
    expect(await failed).toEqual([expect.objectContaining({ code: 'EAFNOSUPPORT', syscall: 'bind' })]);
  });

  it('counts for the life of the process while it receives and is referenced', async () => {
    const { refs } = lab.hosts[1];
    const unreferenced = kept(lab.client.createSocket('udp4')).unref();
    await new Promise<void>((resolve) => unreferenced.bind(0, resolve));
    expect(refs.isReferenced).toBe(false);
    unreferenced.ref();
    unreferenced.ref();
    expect(refs.isReferenced).toBe(true);
    unreferenced.unref();
    expect(refs.isReferenced).toBe(false);
    unreferenced.ref();
  });

  it('leaves what a listener or a callback throws to the program', async () => {
    const receiver = await bound(lab.server);
    const sender = await bound(lab.client);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught: unknown[] = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    try {
      receiver.on('message', () => {
        throw new Error('of a listener');
      });
      for (let i = 0; i < 2; i++) sender.send('x', receiver.address().port, lab.server.address);
      await until('two errors', () => caught.length === 2);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
    expect(caught).toEqual(['of a listener', 'of a listener']);
  });
});

describe('with routes', () => {
  const isLoopback = (address: string): boolean => address.startsWith('127.');

  /** Sockets of the program belong to the second stack, except on loopback and port 5353. */
  function hook(): void {
    hookDgram({
      bindUdp: (address, port): UdpHost | null => (isLoopback(address) || port === 5353 ? null : lab.hosts[1]),
      isKernelsUdp: (address, port) => isLoopback(address) && !lab.hosts[1].stack.udp.isBound(port),
    });
  }

  afterEach(() => hookDgram({ bindUdp: () => null, isKernelsUdp: () => true }));

  it('every socket of the program chooses when it is bound', async () => {
    const before = await bound(dgram);
    hook();
    const loopback = await bound(dgram, 0, '127.0.0.1');
    expect(lab.hosts[1].stack.udp.sockets).toBe(0);
    const any = await bound(dgram);
    expect(any.address().address).toBe('0.0.0.0');
    expect(lab.hosts[1].stack.udp.isBound(any.address().port)).toBe(true);
    const own = await bound(dgram, 0, lab.client.address);
    expect(own.address().address).toBe(lab.client.address);
    expect(lab.hosts[1].stack.udp.sockets).toBe(2);
    expect(before.address().port).toBeGreaterThan(0);
    expect(loopback.address().address).toBe('127.0.0.1');
    const server = await bound(lab.server);
    const arrived = once(server, 'message');
    const implicit = kept(dgram.createSocket('udp4'));
    implicit.send('by the stack', server.address().port, lab.server.address);
    const [message, from] = (await arrived) as [Buffer, { address: string; port: number }];
    expect(String(message)).toBe('by the stack');
    expect(from.address).toBe(lab.client.address);
    const udp6 = kept(dgram.createSocket('udp6'));
    await new Promise<void>((resolve) => udp6.bind(0, '::1', resolve));
    expect(lab.hosts[1].stack.udp.sockets).toBe(3);
  });

  it('a socket of the stack reaches servers of the kernel on loopback', async () => {
    const server = await bound(dgram, 0, '127.0.0.1');
    server.on('message', (message, { port, address }) => server.send(`re: ${message.toString()}`, port, address));
    hook();
    const socket = await bound(dgram);
    const answer = once(socket, 'message');
    const result = new Promise((resolve) =>
      socket.send('hello', server.address().port, '127.0.0.1', (error, bytes) => resolve([error, bytes])),
    );
    expect(await result).toEqual([null, 5]);
    const [message, from] = (await answer) as [Buffer, { address: string; port: number }];
    expect(String(message)).toBe('re: hello');
    expect(from).toMatchObject({ address: '127.0.0.1', port: server.address().port });
    // The same socket serves the stack.
    const peer = await bound(lab.server);
    const arrived = once(socket, 'message');
    peer.send('from the network', socket.address().port, lab.client.address);
    expect(String((await arrived)[0])).toBe('from the network');
  });

  it('a loopback address with a port of the stack means the stack itself', async () => {
    hook();
    const server = await bound(dgram);
    server.on('message', (message, { port, address }) => server.send(`re: ${message.toString()}`, port, address));
    const { port } = server.address();
    const asker = await bound(dgram);
    let answer = once(asker, 'message');
    asker.send('by name', port, 'localhost');
    expect(String((await answer)[0])).toBe('re: by name');
    asker.connect(port, '127.0.0.1');
    await once(asker, 'connect');
    answer = once(asker, 'message');
    asker.send('connected');
    expect(String((await answer)[0])).toBe('re: connected');
    expect(asker.remoteAddress()).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
  });

  it('a socket of the stack connects to a server of the kernel, and leaves it', async () => {
    const server = await bound(dgram, 0, '127.0.0.1');
    hook();
    const socket = await bound(dgram);
    socket.connect(server.address().port, '127.0.0.1');
    await once(socket, 'connect');
    expect(socket.remoteAddress()).toEqual({ address: '127.0.0.1', family: 'IPv4', port: server.address().port });
    expect(socket.address().address).toBe('127.0.0.1');
    let arrived = once(server, 'message');
    socket.send('hello');
    const [, from] = (await arrived) as [Buffer, { port: number }];
    arrived = once(socket, 'message');
    server.send('answer', from.port, '127.0.0.1');
    expect(String((await arrived)[0])).toBe('answer');
    socket.disconnect();
    expect(() => socket.remoteAddress()).toThrow('Not connected');
    expect(socket.address().address).toBe('0.0.0.0');
    const peer = await bound(lab.server);
    arrived = once(peer, 'message');
    socket.send('to the network', peer.address().port, lab.server.address);
    expect(String((await arrived)[0])).toBe('to the network');
  });
});
