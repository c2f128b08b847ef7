/** How sockets connect, and what they connect to. */
import { AsyncLocalStorage } from 'node:async_hooks';
import net from 'node:net';
import { scenarios, settle, type World, when } from '../scenario.js';

/** A port that nothing listens at. */
async function freePort(w: World): Promise<number> {
  const server = w.server.createServer();
  const port = await w.listen(server);
  server.close();
  await when(server, 'close');
  return port;
}

/** A server whose sockets read and end. */
async function sink(w: World): Promise<{ server: net.Server; port: number }> {
  const server = w.createServer({}, (socket) => socket.resume());
  return { server, port: await w.listen(server) };
}

export const CONNECTS = scenarios({
  'nothing listens there': async (w) => {
    const client = w.connect(await freePort(w));
    w.note('client', client.readyState, client.connecting, client.pending);
    await when(client, 'close');
    w.state('client', 'closed', client);
  },
  'the listener of connect, and the event': async (w) => {
    const { port } = await sink(w);
    const client = w.client.connect(port, w.address, () => w.note('client', 'listener'));
    w.watch('client', client);
    client.resume();
    await when(client, 'ready');
    client.end();
    await when(client, 'close');
  },
  'new Socket().connect, with its options and its arguments': async (w) => {
    const { port } = await sink(w);
    for (const args of [[{ port, host: w.address }], [port, w.address], [String(port), w.address]]) {
      const client = w.watch('client', new w.client.Socket());
      w.state('client', 'before', client);
      const connect = client.connect as unknown as (...all: unknown[]) => net.Socket;
      w.note('client', 'returns itself', connect.apply(client, args) === client);
      w.note('client', client.connecting, client.pending, client.readyState);
      await when(client, 'ready');
      client.resume();
      client.end();
      await when(client, 'close');
    }
  },
  'wrong arguments throw': async (w) => {
    const attempts: unknown[][] = [[{ port: -1 }], [{ port: 65_536 }], [{ port: 'x' }], [{}], [undefined]];
    for (const args of [...attempts, [{ port: 80, localAddress: 'no address' }], [{ port: 80, localPort: -1 }]]) {
      const client = new w.client.Socket();
      try {
        (client.connect as unknown as (...all: unknown[]) => void).apply(client, args);
        w.note('client', 'connects');
      } catch (error) {
        w.note('client', error);
      }
      client.on('error', () => {}).destroy();
    }
  },
  'destroy while it connects': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port);
    client.destroy();
    w.state('client', 'destroyed', client);
    await when(client, 'close');
  },
  'destroy with an error while it connects': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port);
    client.destroy(new Error('of the test'));
    await when(client, 'close');
  },
  'end while it connects': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port);
    client.resume();
    client.end('x');
    w.note('client', client.readyState, client.writable);
    await when(client, 'close');
  },
  'a signal aborts while it connects': async (w) => {
    const { port } = await sink(w);
    const abort = new AbortController();
    const client = w.connect(port, { signal: abort.signal } as object);
    abort.abort();
    await when(client, 'close');
  },
  'a signal that has aborted before': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port, { signal: AbortSignal.abort() } as object);
    await when(client, 'close');
  },
  'a signal aborts later': async (w) => {
    const abort = new AbortController();
    const { client, accepted } = await w.pair({}, { signal: abort.signal } as object);
    accepted.resume();
    abort.abort(new Error('reason'));
    await w.closed(client, accepted);
  },
  'a lookup function': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port, {
      host: 'name.test',
      lookup: (name, options, done) => {
        w.note('client', 'asked for', name, JSON.stringify(options));
        if (options.all) done(null, [{ address: w.address, family: 4 }]);
        else done(null, w.address, 4);
      },
    });
    client.resume();
    await when(client, 'ready');
    client.end();
    await when(client, 'close');
  },
  'a lookup that fails': async (w) => {
    const client = w.connect(80, {
      host: 'name.test',
      lookup: (_name, _options, done) => done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 4),
    });
    await when(client, 'close');
  },
  'localPort and localAddress': async (w) => {
    const { port } = await sink(w);
    const localPort = await freePort(w);
    const first = w.connect(port, w.isKernel ? { localPort, localAddress: '127.0.0.1' } : { localPort }, 'first');
    await when(first, 'ready');
    w.note('first', first.localPort === localPort);
    const second = w.connect(port, { localPort }, 'second');
    await when(second, 'close');
    first.resume();
    first.end();
    await when(first, 'close');
  },
  'an address of somebody else as localAddress': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port, { localAddress: '192.0.2.77' });
    await when(client, 'close');
  },
  'a block list': async (w) => {
    const { port } = await sink(w);
    const blockList = new net.BlockList();
    blockList.addAddress(w.address);
    const client = w.connect(port, { blockList } as object);
    client.resume();
    await Promise.race([when(client, 'close'), when(client, 'ready')]);
    await settle();
    client.destroy();
  },
  'a socket connects again after its close': async (w) => {
    const { port } = await sink(w);
    const client = w.connect(port);
    client.resume();
    await when(client, 'ready');
    client.end('one');
    await when(client, 'close');
    client.connect(port, w.address);
    await when(client, 'ready');
    w.state('client', 'again', client);
    client.end('two');
    await when(client, 'close');
  },
  'options of the socket return the socket': async (w) => {
    const { client, accepted } = await w.pair({}, { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 });
    const calls = [
      client.setNoDelay(),
      client.setNoDelay(false),
      client.setKeepAlive(true, 1000),
      client.setKeepAlive(false),
      client.setTimeout(0),
      client.ref(),
      client.unref().ref(),
      client.setEncoding('latin1'),
      client.pause(),
      client.resume(),
    ];
    for (const [at, value] of calls.entries()) w.note('client', at, value === client);
    accepted.resume();
    client.end();
    await w.closed(client, accepted);
    w.note('client', client.setNoDelay() === client, client.setKeepAlive(true) === client, client.unref() === client);
  },
  'an idle socket times out, and again': async (w) => {
    const { client, accepted } = await w.pair();
    client.setTimeout(30, () => w.note('client', 'listener'));
    await when(client, 'timeout');
    w.note('client', client.destroyed, client.timeout);
    client.write('x');
    await when(client, 'timeout');
    accepted.resume();
    client.setTimeout(0);
    client.resume();
    client.end();
    await w.closed(client, accepted);
  },
  'the asynchronous context of the callbacks': async (w) => {
    w.ignore('finish');
    const storage = new AsyncLocalStorage<string>();
    const note = (who: string, what: string): void => w.note(who, what, storage.getStore());
    const server = storage.run('listen', () =>
      w.createServer({}, (socket) => {
        note('accepted', 'connection');
        socket.on('data', () => note('accepted', 'data'));
        socket.on('end', () => note('accepted', 'end'));
        socket.on('close', () => note('accepted', 'close'));
        storage.run('answer', () => socket.write('x', () => note('accepted writes', 'written')));
      }),
    );
    const port = await storage.run('listening', () => w.listen(server));
    const client = storage.run('connect', () => w.connect(port));
    for (const event of ['connect', 'ready', 'data', 'end', 'close']) client.on(event, () => note('client', event));
    await when(client, 'ready');
    storage.run('write', () => client.write('x', () => note('client writes', 'written')));
    await settle();
    storage.run('end', () => client.end(() => note('client', 'ended')));
    await when(client, 'close');
    storage.run('close', () => server.close(() => note('server', 'closed')));
    await when(server, 'close');
  },
});
