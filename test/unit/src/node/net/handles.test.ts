import { once } from 'node:events';
import { type AddressInfo, type Server, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NetHost } from '../../../../../src/node/host.js';
import { setHost } from '../../../../../src/node/net/hooks.js';
import { type CabledHosts, openCabledHosts, SERVER_ADDRESS } from '../../../../support/node/cabled-hosts.js';
import { when } from '../../../../support/node/scenario.js';
import { until } from '../../../../support/until.js';

const connections = ({ stack }: NetHost): number => stack.report().tcp_connections!;

describe('handles of connections and listeners', () => {
  let hosts: CabledHosts;
  beforeAll(async () => {
    hosts = await openCabledHosts();
  });
  afterAll(() => hosts.close());

  async function listen(server: Server): Promise<number> {
    server.listen();
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  function connect(port: number): Socket {
    return hosts.client.net.connect({ port, host: SERVER_ADDRESS });
  }

  /** Ends a test: nothing of it is left in the server's stack. */
  async function end(server: Server, ...sockets: Socket[]): Promise<void> {
    for (const socket of sockets) socket.destroy();
    server.close();
    await until('it is over', () => connections(hosts.server) === 0);
  }

  it('keeps a text that waits for room when another socket writes texts', async () => {
    const server = hosts.server.net.createServer();
    const port = await listen(server);
    const client = connect(port).pause();
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const other = connect(port).resume();
    const [otherAccepted] = (await once(server, 'connection')) as [Socket];
    let written = 0;
    while (accepted.writableLength === 0) {
      accepted.write('a'.repeat(20_000));
      written += 20_000;
    }
    otherAccepted.write('b'.repeat(20_000));
    accepted.end();
    let read = '';
    client.setEncoding('latin1').on('data', (text: string) => {
      read += text;
    });
    client.resume();
    await once(client, 'end');
    expect(read.length).toBe(written);
    expect(/[^a]/.test(read)).toBe(false);
    await end(server, client, other, accepted, otherAccepted);
  });

  it('leaves nothing of connections beyond maxConnections', async () => {
    const server = hosts.server.net.createServer();
    server.maxConnections = 1;
    const port = await listen(server);
    const first = connect(port);
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const dropped = connect(port).resume();
    await once(dropped, 'close');
    await until('it is over', () => connections(hosts.server) === 1);
    await end(server, first, accepted);
  });

  it('leaves nothing of a connection that is destroyed as it comes', async () => {
    const server = hosts.server.net.createServer((socket) => socket.unref().pause().destroy());
    const client = connect(await listen(server)).resume();
    client.on('error', () => {});
    await once(client, 'close');
    await end(server);
  });

  it('leaves nothing of a connection that its owner destroys as it opens', async () => {
    const server = hosts.server.net.createServer((socket) => socket.on('error', () => {}).resume());
    const client = connect(await listen(server));
    client.once('connect', () => client.destroy());
    await once(client, 'close');
    await until('it is over', () => connections(hosts.client) === 0);
    await end(server);
  });

  it('tells that a closed connection has something to send', async () => {
    const server = hosts.server.net.createServer();
    const client = connect(await listen(server)).pause();
    const [accepted] = (await once(server, 'connection')) as [Socket];
    while (accepted.writableLength === 0) accepted.write(Buffer.alloc(20_000));
    accepted.destroy();
    const unsent = (): boolean => [...hosts.server.open].some(({ isUnsent }) => isUnsent);
    expect(unsent()).toBe(true);
    client.resume();
    await once(client, 'end');
    expect(unsent()).toBe(false);
    await end(server, client);
  });

  it('tells a closed server nothing of a handshake that began before', async () => {
    const server = hosts.server.net.createServer();
    let isTold = false;
    server.on('connection', () => {
      isTold = true;
    });
    const client = connect(await listen(server)).resume();
    client.on('error', () => {});
    const halfOpen = (): boolean => connections(hosts.server) > 0;
    await until('the SYN comes', halfOpen);
    expect(isTold).toBe(false);
    server.close();
    await when(client, 'close');
    await until('it is over', () => !halfOpen());
    expect(isTold).toBe(false);
  });

  it('does not count a socket that was unreferenced before its address was known', async () => {
    const server = hosts.server.net.createServer((socket) => socket.resume());
    const port = await listen(server);
    const client = new Socket();
    setHost(client, hosts.client);
    client.connect({ port, host: SERVER_ADDRESS, lookup: (_name, _options, done) => done(null, SERVER_ADDRESS, 4) });
    client.unref();
    await once(client, 'connect');
    expect(hosts.client.refs.isReferenced).toBe(false);
    await end(server, client);
  });

  it('takes any backlog, and any time for keep-alive, as the kernel', async () => {
    const server = hosts.server.net.createServer((socket) => socket.end());
    server.listen({ port: 0, backlog: 2 ** 31 - 1 });
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port)
      .setKeepAlive(true, 2 ** 41)
      .resume();
    await once(client, 'end');
    await end(server, client);
  });

  it('tells of a connect after promises that were settled before', async () => {
    const server = hosts.server.net.createServer((socket) => socket.end());
    const port = await listen(server);
    const { core } = hosts.server as unknown as { core: { isAsleep: boolean } };
    await until('the core sleeps', () => core.isAsleep);
    const client = hosts.server.net.connect(port, SERVER_ADDRESS).resume();
    let isOpen = false;
    client.once('connect', () => {
      isOpen = true;
    });
    for (let i = 0; i < 100; i++) await null;
    expect(isOpen).toBe(false);
    await once(client, 'close');
    await end(server, client);
  });
});
