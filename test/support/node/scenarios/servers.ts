/** Servers: where they listen, how many connections they take, how they close. */
import net from 'node:net';
import { portOf, scenarios, settle, when } from '../scenario.js';

export const SERVERS = scenarios({
  'listen(0), address(), close': async (w) => {
    const server = w.createServer();
    w.note('server', server.listening, server.address());
    w.note('server', server.listen(0, () => w.note('server', 'listener')) === server, server.listening);
    await when(server, 'listening');
    w.note('server', Object.keys(server.address() as object).join(), portOf(server) > 0, server.listening);
    w.note('server', server.close((error) => w.note('server', 'closed', error)) === server, server.listening);
    await when(server, 'close');
    w.note('server', server.address(), server.listening);
  },
  'close twice, and close before listen': async (w) => {
    const server = w.createServer();
    server.close((error) => w.note('server', 'never listened', error));
    await settle();
    await w.listen(server);
    server.close((error) => w.note('server', 'first', error));
    server.close((error) => w.note('server', 'second', error));
    await when(server, 'close');
  },
  'listen twice': async (w) => {
    const server = w.createServer();
    await w.listen(server);
    try {
      server.listen(0);
    } catch (error) {
      w.note('server', error);
    }
    server.close();
    await when(server, 'close');
    await w.listen(server);
    w.note('server', server.listening);
    server.close();
    await when(server, 'close');
  },
  'the port is in use': async (w) => {
    const first = w.createServer();
    const port = await w.listen(first);
    const second = w.watch('second', w.server.createServer());
    second.listen(port, w.isKernel ? w.address : undefined);
    await when(second, 'error');
    w.note('second', second.listening, second.address());
    first.close();
    await when(first, 'close');
    second.listen(port, w.isKernel ? w.address : undefined);
    await when(second, 'listening');
    w.note('second', portOf(second) === port);
    second.close();
    await when(second, 'close');
  },
  'options of listen: backlog, exclusive, signal': async (w) => {
    const host = w.isKernel ? { host: w.address } : {};
    const abort = new AbortController();
    const server = w.createServer({}, (socket) => socket.resume());
    server.listen({ port: 0, backlog: 3, exclusive: true, signal: abort.signal, ...host });
    await when(server, 'listening');
    const accepting = when(server, 'connection');
    const client = w.connect(portOf(server));
    client.resume();
    await Promise.all([accepting, when(client, 'ready')]);
    client.destroy();
    abort.abort();
    await when(server, 'close');
  },
  'wrong ports throw': async (w) => {
    for (const port of [-1, 65_536, 1.5, Number.NaN, {}]) {
      try {
        w.server.createServer().listen(port as number);
        w.note('server', 'listens');
      } catch (error) {
        w.note('server', error);
      }
    }
  },
  'getConnections counts': async (w) => {
    w.ignore('finish', 'end', 'close');
    const { server, port, client, accepted } = await w.pair();
    const count = (): Promise<void> =>
      new Promise((resolve) => {
        server.getConnections((error, connections) => {
          w.note('server', error, connections);
          resolve();
        });
      });
    await count();
    const accepting = when(server, 'connection');
    const other = w.connect(port, {}, 'other');
    await Promise.all([accepting, when(other, 'ready')]);
    await count();
    client.resume();
    accepted.resume();
    other.destroy();
    client.end();
    await Promise.all([when(client, 'close'), when(accepted, 'close'), settle()]);
    await count();
  },
  'close waits for open connections': async (w) => {
    const { server, port, client, accepted } = await w.pair();
    server.close((error) => w.note('server', 'closed', error));
    w.note('server', server.listening);
    const late = w.connect(port, {}, 'late');
    await when(late, 'close');
    client.resume();
    accepted.write('still there');
    await when(client, 'data');
    accepted.end();
    accepted.resume();
    await w.closed(server, client);
  },
  'close with connections that ended': async (w) => {
    const { server, client, accepted } = await w.pair();
    client.resume();
    accepted.resume();
    client.end();
    await w.closed(client, accepted);
    server.close();
    await when(server, 'close');
  },
  'maxConnections drops with an event': async (w) => {
    const server = w.createServer();
    server.maxConnections = 1;
    const port = await w.listen(server);
    const first = w.connect(port, {}, 'first');
    await when(server, 'connection');
    const dropped = when(server, 'drop');
    const second = w.connect(port, {}, 'second');
    second.resume();
    const [data] = await dropped;
    w.note('server', Object.keys(data as object).join());
    await w.closed(second);
    first.destroy();
  },
  'options of createServer reach the sockets': async (w) => {
    const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, highWaterMark: 1000 };
    const { accepted } = await w.pair(options);
    w.note('accepted', accepted.allowHalfOpen, accepted.readableHighWaterMark, accepted.writableHighWaterMark);
    w.note('accepted', (accepted as unknown as { server: net.Server }).server instanceof net.Server);
    w.note('accepted', accepted.connecting, accepted.pending, accepted.readyState);
  },
  'ref and unref return the server': async (w) => {
    const server = w.createServer();
    w.note('server', server.unref() === server, server.ref() === server);
    await w.listen(server);
    w.note('server', server.unref() === server, server.ref() === server);
    server.close();
    await when(server, 'close');
  },
  'a thousand connections': async (w) => {
    const server = w.server.createServer((socket) => socket.resume().end('x'));
    const port = await w.listen(server);
    let bytes = 0;
    for (let round = 0; round < 10; round++) {
      const clients = Array.from({ length: 100 }, () => w.client.connect(port, w.address));
      for (const client of clients) client.on('data', (part) => (bytes += part.length));
      await Promise.all(clients.map((client) => when(client, 'close')));
    }
    w.note('clients', bytes);
    server.close();
    await when(server, 'close');
    server.getConnections((_error, count) => w.note('server', count));
  },
  asyncDispose: async (w) => {
    const server = w.createServer();
    await w.listen(server);
    await (server as unknown as { [Symbol.asyncDispose](): Promise<void> })[Symbol.asyncDispose]();
    w.note('server', server.listening);
  },
});
