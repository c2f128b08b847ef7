/** Each scenario runs over node:dgram on the kernel's loopback and over tspmd/dgram on two stacks: the events are equal. */

import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { type DgramLab, EventLog, kernelLab, StackLab } from '../../../../support/node/dgram-lab.js';
import { until } from '../../../../support/until.js';

type Scenario = (lab: DgramLab, log: EventLog) => Promise<void>;

const FOREIGN = '192.0.2.1';

function bound(end: DgramLab['server'], log: EventLog, name: string, address?: string): Promise<Socket> {
  const socket = end.createSocket('udp4');
  log.watch(name, socket);
  return new Promise((resolve) => socket.bind(0, address, () => resolve(socket)));
}

const closed = (...sockets: Socket[]): Promise<unknown> =>
  Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))));

/** Sends a datagram; resolves to what the callback gets. */
const sent = (socket: Socket, ...args: unknown[]): Promise<unknown[]> =>
  new Promise((resolve) =>
    (socket.send as (...all: unknown[]) => void)(...args, (...result: unknown[]) => resolve(result)),
  );

const pattern = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8)));

const scenarios: Record<string, Scenario> = {
  async 'a question and its answer'({ server, client }, log) {
    const answerer = await bound(server, log, 'server', server.address);
    answerer.on('message', (message, { port, address }) => {
      answerer.send(`re: ${message.toString()}`, port, address, log.callback('server', 'send'));
    });
    const asker = client.createSocket('udp4');
    log.watch('client', asker);
    asker.send('question', answerer.address().port, server.address, log.callback('client', 'send'));
    log.add('client', 'after send');
    await once(asker, 'message');
    await closed(asker, answerer);
  },

  async 'datagrams of every size'({ server, client }, log) {
    const receiver = await bound(server, log, 'server');
    const sender = await bound(client, log, 'client');
    for (const size of [0, 1, 1000, 1472, 1473, 8000, 65_506, 65_507, 65_508, 100_000]) {
      const arrived = size <= 65_507 ? once(receiver, 'message') : null;
      const result = await sent(sender, pattern(size), receiver.address().port, server.address);
      log.callback('client', `send ${size}`)(...result);
      await arrived;
    }
    log.call('client', 'queue', () => [sender.getSendQueueSize(), sender.getSendQueueCount()]);
    await closed(sender, receiver);
  },

  async 'every form of send'({ server, client }, log) {
    const receiver = await bound(server, log, 'server');
    const sender = await bound(client, log, 'client');
    const { port } = receiver.address();
    const words = new Uint16Array([1, 2, 3]);
    const forms: unknown[][] = [
      ['text', port, server.address],
      [Buffer.from('a buffer'), port, server.address],
      [words, port, server.address],
      [new DataView(words.buffer, 2, 3), port, server.address],
      [['a', Buffer.from('list'), words], port, server.address],
      [[], port, server.address],
      [Buffer.from('offset and length'), 3, 6, port, server.address],
      ['\u00e4\u00f6', port, server.address],
    ];
    for (const form of forms) {
      const arrived = once(receiver, 'message');
      log.callback('client', 'send')(...(await sent(sender, ...form)));
      await arrived;
    }
    const wrong: unknown[][] = [
      ['x', 0, server.address],
      ['x', 65_536, server.address],
      [7, port, server.address],
      [[7], port, server.address],
      ['x', port, 7],
      [Buffer.alloc(4), 2, 4, port, server.address],
      ['x'],
    ];
    for (const form of wrong) log.call('client', 'send', () => (sender.send as (...all: unknown[]) => void)(...form));
    await closed(sender, receiver);
  },

  async 'connect and disconnect'({ server, client }, log) {
    const peer = await bound(server, log, 'peer');
    const stranger = await bound(server, log, 'stranger');
    const socket = client.createSocket('udp4');
    log.watch('socket', socket);
    log.call('socket', 'remoteAddress', () => socket.remoteAddress());
    log.call('socket', 'disconnect', () => socket.disconnect());
    socket.connect(peer.address().port, server.address, log.callback('socket', 'connected'));
    log.call('socket', 'connect again', () => socket.connect(1, server.address));
    await once(socket, 'connect');
    log.call('socket', 'address', () => socket.address());
    log.call('socket', 'connect again', () => socket.connect(1, server.address));
    log.call('socket', 'send to another', () => socket.send('x', 7, server.address));
    let arrived = once(peer, 'message');
    log.callback('socket', 'send')(...(await sent(socket, 'to the peer')));
    const [, from] = (await arrived) as [Buffer, { port: number }];
    // What a stranger sends before the peer's answer does not arrive.
    await sent(stranger, 'from a stranger', from.port, client.address);
    arrived = once(socket, 'message');
    await sent(peer, 'from the peer', from.port, client.address);
    await arrived;
    log.call('socket', 'disconnect', () => socket.disconnect());
    log.call('socket', 'disconnect again', () => socket.disconnect());
    log.call('socket', 'remoteAddress', () => socket.remoteAddress());
    log.call('socket', 'send without receiver', () => socket.send('x'));
    arrived = once(stranger, 'message');
    log.callback('socket', 'send')(...(await sent(socket, 'to all', stranger.address().port, server.address)));
    await arrived;
    await closed(socket, peer, stranger);
  },

  async 'a connected socket, and nobody listens'({ server, client }, log) {
    const gone = await bound(server, log, 'gone');
    const { port } = gone.address();
    await closed(gone);
    const socket = client.createSocket('udp4');
    log.watch('socket', socket);
    socket.connect(port, server.address);
    await once(socket, 'connect');
    const failed = new Promise((resolve) => socket.once('error', resolve));
    log.callback('socket', 'send')(...(await sent(socket, 'hello')));
    await failed;
    await closed(socket);
  },

  async 'an unconnected socket, and nobody listens'({ server, client }, log) {
    const gone = await bound(server, log, 'gone');
    const { port } = gone.address();
    await closed(gone);
    const socket = await bound(client, log, 'socket');
    log.callback('socket', 'send')(...(await sent(socket, 'hello', port, server.address)));
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    await closed(socket);
  },

  async 'bind, and what is wrong about it'({ server }, log) {
    const first = server.createSocket('udp4');
    log.watch('first', first);
    log.call('first', 'address', () => first.address());
    log.call('first', 'bind', () => first.bind({ port: 0, address: server.address }));
    log.call('first', 'bind again', () => first.bind(0));
    await once(first, 'listening');
    log.call('first', 'bind again', () => first.bind(0));
    const { port } = first.address();
    const second = server.createSocket('udp4');
    log.watch('second', second);
    second.bind(port, server.address);
    await once(second, 'error').catch(() => {});
    // After a failure the socket may be bound elsewhere.
    second.bind(0);
    await once(second, 'listening');
    const foreign = server.createSocket('udp4');
    log.watch('foreign', foreign);
    foreign.bind(0, FOREIGN);
    await new Promise((resolve) => foreign.once('error', resolve));
    await closed(first, second, foreign);
    // The port is free again.
    const third = server.createSocket('udp4');
    log.watch('third', third);
    third.bind(port, server.address);
    await once(third, 'listening');
    await closed(third);
  },

  async 'close at every moment'({ server, client }, log) {
    const unbound = client.createSocket('udp4');
    log.watch('unbound', unbound);
    await closed(unbound);
    log.call('unbound', 'close again', () => unbound.close());
    log.call('unbound', 'send', () => unbound.send('x', 7, server.address));
    log.call('unbound', 'bind', () => unbound.bind(0));
    log.call('unbound', 'address', () => unbound.address());
    log.call('unbound', 'ref', () => unbound.ref() === unbound);

    const binding = client.createSocket('udp4');
    log.watch('binding', binding);
    binding.bind(0);
    binding.close(log.callback('binding', 'closed'));
    await once(binding, 'close');

    const sending = client.createSocket('udp4');
    log.watch('sending', sending);
    sending.send('x', 9, server.address, () => sending.close(log.callback('sending', 'closed')));
    await once(sending, 'close');

    const queued = client.createSocket('udp4');
    log.watch('queued', queued);
    queued.send('x', 9, server.address, log.callback('queued', 'send'));
    queued.close();
    await once(queued, 'close');

    const receiving = await bound(server, log, 'receiving');
    receiving.on('message', () => receiving.close());
    const sender = await bound(client, log, 'sender');
    const { port } = receiving.address();
    for (let i = 0; i < 3; i++) sender.send(`${i}`, port, server.address);
    await once(receiving, 'close');
    await closed(sender);

    const listening = client.createSocket('udp4');
    log.watch('listening', listening);
    listening.bind(0, () => listening.close());
    await once(listening, 'close');

    const controller = new AbortController();
    const aborted = client.createSocket({ type: 'udp4', signal: controller.signal });
    log.watch('aborted', aborted);
    aborted.bind(0);
    await once(aborted, 'listening');
    controller.abort();
    await once(aborted, 'close');
  },

  async 'names that are not found'({ server, client }, log) {
    const lookup = (
      name: string,
      _: unknown,
      callback: (error: Error | null, address: string, family: number) => void,
    ) => {
      if (name === 'known.test') process.nextTick(callback, null, server.address, 4);
      else process.nextTick(callback, Object.assign(new Error(`no ${name}`), { code: 'ENOTFOUND' }), '', 4);
    };
    const receiver = await bound(server, log, 'server');
    const { port } = receiver.address();
    const socket = client.createSocket({ type: 'udp4', lookup });
    log.watch('socket', socket);
    const bindable = client.createSocket({ type: 'udp4', lookup });
    log.watch('bindable', bindable);
    bindable.bind(0, 'unknown.test');
    await new Promise((resolve) => bindable.once('error', resolve));
    await closed(bindable);
    const plain = client.createSocket({
      type: 'udp4',
      lookup: (name, options, callback) => {
        if (name === '0.0.0.0') callback(null, name, 4);
        else lookup(name, options, callback);
      },
    });
    log.watch('plain', plain);
    await new Promise<void>((resolve) => plain.bind(0, resolve));
    const arrived = once(receiver, 'message');
    log.callback('plain', 'send')(...(await sent(plain, 'x', port, 'known.test')));
    await arrived;
    log.callback('plain', 'send')(...(await sent(plain, 'x', port, 'unknown.test')));
    const failed = new Promise((resolve) => plain.once('error', resolve));
    plain.send('x', port, 'unknown.test');
    await failed;
    plain.connect(port, 'unknown.test', log.callback('plain', 'connected'));
    await new Promise(setImmediate);
    plain.connect(port, 'known.test', log.callback('plain', 'connected'));
    await once(plain, 'connect');
    await closed(plain, socket, receiver);
  },

  async options({ client }, log) {
    const early = client.createSocket('udp4');
    log.call('early', 'getRecvBufferSize', () => early.getRecvBufferSize());
    log.call('early', 'setSendBufferSize', () => early.setSendBufferSize(5000));
    log.call('early', 'setBroadcast', () => early.setBroadcast(true));
    log.call('early', 'setTTL', () => early.setTTL(64));
    await closed(early);
    const sized = client.createSocket({ type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 12_000 });
    log.watch('sized', sized);
    await new Promise<void>((resolve) => sized.bind(0, resolve));
    log.call('sized', 'sizes', () => [sized.getRecvBufferSize(), sized.getSendBufferSize()]);
    log.call('sized', 'set', () => [sized.setRecvBufferSize(20_000), sized.setSendBufferSize(1)]);
    log.call('sized', 'sizes', () => [sized.getRecvBufferSize(), sized.getSendBufferSize()]);
    log.call('sized', 'wrong size', () => sized.setRecvBufferSize(-1));
    log.call('sized', 'setTTL 64', () => sized.setTTL(64));
    log.call('sized', 'setMulticastTTL 255', () => sized.setMulticastTTL(255));
    log.call('sized', 'setTTL 0', () => sized.setTTL(0));
    log.call('sized', 'setTTL 256', () => sized.setTTL(256));
    log.call('sized', 'setTTL x', () => sized.setTTL('x' as unknown as number));
    log.call('sized', 'setMulticastTTL 256', () => sized.setMulticastTTL(256));
    log.call('sized', 'addMembership', () => sized.addMembership(''));
    log.call('sized', 'setMulticastInterface', () => sized.setMulticastInterface(FOREIGN));
    log.call('sized', 'ref and unref', () => [sized.ref() === sized, sized.unref() === sized]);
    log.callback('sized', 'broadcast')(...(await sent(sized, 'x', 9, '255.255.255.255')));
    log.call('sized', 'setBroadcast', () => sized.setBroadcast(true));
    log.call('sized', 'setBroadcast', () => sized.setBroadcast(false));
    log.callback('sized', 'broadcast')(...(await sent(sized, 'x', 9, '255.255.255.255')));
    await closed(sized);
  },

  async 'many datagrams, in order'({ server, client }, log) {
    const receiver = await bound(server, log, 'server');
    const sender = await bound(client, log, 'client');
    const { port } = receiver.address();
    let count = 0;
    receiver.on('message', () => count++);
    for (let i = 0; i < 100; i++) sender.send(Buffer.from(`datagram ${i}`), port, server.address);
    await until('all datagrams', () => count === 100);
    await closed(sender, receiver);
  },
};

it.each(Object.keys(scenarios))('%s', async (name) => {
  const run = async (lab: DgramLab): Promise<Record<string, string[]>> => {
    const log = new EventLog();
    try {
      await scenarios[name]!(lab, log);
    } finally {
      await lab.close();
    }
    return log.all;
  };
  const kernel = await run(kernelLab());
  const lab = await StackLab.open();
  expect(await run(lab)).toEqual(kernel);
  expect(lab.sockets).toBe(0);
  expect(lab.hosts.map(({ refs }) => refs.isReferenced)).toEqual([false, false]);
  expect(lab.stations.map((station) => station.held())).toEqual([0, 0]);
});
