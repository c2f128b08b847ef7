/** How connections end. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { scenarios, settle, when } from '../scenario.js';

export const ENDS = scenarios({
  'both ends end at once': async (w) => {
    const { server, client, accepted } = await w.pair();
    client.resume();
    accepted.resume();
    w.state('client', 'connected', client);
    w.state('accepted', 'connected', accepted);
    client.end();
    accepted.end();
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
    server.close();
    await when(server, 'close');
  },
  'the client ends with data, and the server answers its end by itself': async (w) => {
    const { server, client, accepted } = await w.pair();
    client.resume();
    accepted.setEncoding('utf8').on('data', (text) => w.note('accepted', text));
    client.end('hello');
    w.state('client', 'after end', client);
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
    w.state('accepted', 'closed', accepted);
    server.close();
    await when(server, 'close');
  },
  'the server ends with data, and the client answers its end by itself': async (w) => {
    const { client, accepted } = await w.pair();
    client.setEncoding('utf8').on('data', (text) => w.note('client', text));
    accepted.resume();
    accepted.end('bye');
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
  },
  'half-open: the client ends, the server writes on': async (w) => {
    const { client, accepted } = await w.pair({ allowHalfOpen: true });
    client.setEncoding('utf8').on('data', (text) => w.note('client', text));
    accepted.resume();
    client.end('question');
    await when(accepted, 'end');
    w.state('accepted', 'after its end', accepted);
    await settle();
    w.state('client', 'half open', client);
    accepted.write('answer');
    await when(client, 'data');
    accepted.end();
    await w.closed(client, accepted);
  },
  'half-open: the server ends, the client writes on': async (w) => {
    const { client, accepted } = await w.pair({}, { allowHalfOpen: true });
    accepted.setEncoding('utf8').on('data', (text) => w.note('accepted', text));
    client.resume();
    accepted.end('first');
    await when(client, 'end');
    w.state('client', 'after its end', client);
    client.write('late');
    await when(accepted, 'data');
    client.end();
    await w.closed(client, accepted);
  },
  'allowHalfOpen, and nobody reads the end': async (w) => {
    const { client, accepted } = await w.pair({ allowHalfOpen: true });
    client.end();
    await settle();
    w.state('accepted', 'not read', accepted);
    accepted.end();
    client.resume();
    await w.closed(client, accepted);
  },
  'destroy of the client is an end for the server': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    w.note('client', 'returns itself', client.destroy() === client);
    w.state('client', 'destroyed', client);
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
    w.state('accepted', 'closed', accepted);
  },
  'destroy with an error': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    client.destroy(new Error('of the test'));
    await w.closed(client, accepted);
  },
  'destroy in connect, in data, in end': async (w) => {
    w.ignore('finish', 'end');
    for (const event of ['connect', 'data', 'end']) {
      const server = w.createServer({}, (socket) => {
        socket.resume();
        if (event !== 'connect') socket.end('data');
      });
      const port = await w.listen(server);
      const client = w.connect(port);
      client.on(event, () => client.destroy());
      if (event === 'end') client.resume();
      await when(client, 'close');
      server.close();
      await when(server, 'close');
    }
  },
  'destroy of the accepted socket in its event': async (w) => {
    const server = w.createServer({}, (socket) => socket.destroy());
    const port = await w.listen(server);
    const client = w.connect(port);
    client.resume();
    await when(client, 'close');
    server.close();
    await when(server, 'close');
  },
  'resetAndDestroy by the client': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    w.note('client', 'returns itself', client.resetAndDestroy() === client);
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
    w.state('accepted', 'closed', accepted);
  },
  'the asynchronous context of a reset': async (w) => {
    const storage = new AsyncLocalStorage<string>();
    const { client, accepted } = await storage.run('pair', () => w.pair());
    for (const event of ['error', 'close']) client.on(event, () => w.note('client', event, storage.getStore()));
    client.resume();
    accepted.resetAndDestroy();
    await w.closed(client, accepted);
  },
  'resetAndDestroy by the server': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    accepted.resetAndDestroy();
    await w.closed(client, accepted);
  },
  'resetAndDestroy while it connects': async (w) => {
    const server = w.createServer({}, (socket) => socket.resume());
    const port = await w.listen(server);
    const accepting = when(server, 'connection');
    const client = w.connect(port);
    client.resetAndDestroy();
    const [[accepted]] = await Promise.all([accepting, when(client, 'close')]);
    await settle();
    w.note('accepted', 'is destroyed', (accepted as { destroyed: boolean }).destroyed);
  },
  'resetAndDestroy of a socket that never connected, and twice': async (w) => {
    const socket = w.watch('client', new w.client.Socket());
    socket.resetAndDestroy();
    await when(socket, 'close');
    socket.resetAndDestroy();
    await settle();
  },
  'destroySoon after a write': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.setEncoding('utf8').on('data', (text) => w.note('accepted', text));
    client.write('last words');
    client.destroySoon();
    w.state('client', 'after destroySoon', client);
    await w.closed(client, accepted);
  },
  'destroy with data that was not read resets the peer': async (w) => {
    const { client, accepted } = await w.pair();
    client.pause();
    client.write('request');
    accepted.resume();
    accepted.write('answer that nobody reads');
    await settle();
    client.destroy();
    await w.closed(client, accepted);
  },
  'write after end': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    client.resume();
    client.end();
    w.note(
      'client',
      'write returns',
      client.write('late', (error) => w.note('client', 'callback', error)),
    );
    await w.closed(client, accepted);
  },
  'write after the peer has destroyed its socket': async (w) => {
    const { client, accepted } = await w.pair({}, { allowHalfOpen: true });
    client.resume();
    accepted.destroy();
    await when(client, 'end');
    client.write('one', (error) => w.note('client', 'first callback', error));
    await settle();
    client.write('two', (error) => w.note('client', 'second callback', error));
    await w.closed(client);
    await settle();
  },
  'write after the peer has reset': async (w) => {
    const { client, accepted } = await w.pair();
    client.pause();
    accepted.resetAndDestroy();
    await when(accepted, 'close');
    await settle();
    w.state('client', 'after the reset', client);
    client.write('x', (error) => w.note('client', 'callback', error));
    await w.closed(client);
    await settle();
  },
  'end twice, with callbacks': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    client.resume();
    client.end('x', () => w.note('client', 'first callback'));
    client.end(() => w.note('client', 'second callback'));
    await w.closed(client, accepted);
    client.end((error?: Error) => w.note('client', 'third callback', error));
    await settle();
  },
});
