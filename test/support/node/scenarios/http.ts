/** http over sockets: keep-alive, pipelines, what clients and servers break off, and the limits against slow clients. */
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import type net from 'node:net';
import { portOf, scenarios, settle, type World, when } from '../scenario.js';

async function listen(w: World, options: http.ServerOptions, act: http.RequestListener): Promise<http.Server> {
  const server = w.overHost(http.createServer(options, act));
  w.watchOnly('server', server, ['connection', 'close']);
  await w.listen(server);
  return server;
}

/** An agent whose sockets are those of the world, written down as `socket`. */
function agentOf(w: World, options: http.AgentOptions = {}): http.Agent {
  const agent = new http.Agent(options);
  const connect = (to: net.TcpNetConnectOpts): net.Socket => w.connect(to.port, {}, w.nextName('socket'));
  (agent as unknown as { createConnection: typeof connect }).createConnection = connect;
  return agent;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function request(w: World, server: net.Server, options: http.RequestOptions, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = http.request({ host: w.address, port: portOf(server), ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, body: text }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const note = (w: World, { status, body }: Answer): void =>
  w.note('client', status, body.length > 60 ? body.length : body);

/** Sends bytes, and writes down what comes back until the end. */
async function raw(w: World, server: net.Server, text: string): Promise<net.Socket> {
  const socket = w.connect(portOf(server), { allowHalfOpen: true }, 'raw');
  let got = '';
  socket.setEncoding('latin1').on('data', (part) => {
    got += part;
  });
  socket.on('close', () => w.note('answer', got.replace(/^Date:.*$/gm, 'Date')));
  await when(socket, 'connect');
  socket.write(text);
  return socket;
}

async function end(w: World, server: http.Server, ...rest: (net.Socket | http.Agent)[]): Promise<void> {
  for (const one of rest) one.destroy();
  server.close();
  await w.closed(server);
}

export const HTTP = scenarios({
  'requests over one connection (keep-alive)': async (w) => {
    const server = await listen(w, {}, (asked, answer) => answer.end(`${asked.method} ${asked.url}`));
    const agent = agentOf(w, { keepAlive: true, maxSockets: 1 });
    for (const path of ['/one', '/two', '/three']) note(w, await request(w, server, { agent, path }));
    agent.destroy();
    await end(w, server);
  },
  'bodies in both directions, chunked and with a length': async (w) => {
    const server = await listen(w, {}, (asked, answer) => {
      if (asked.url === '/length') answer.setHeader('content-length', 300_000);
      asked.pipe(answer);
    });
    const agent = agentOf(w, { keepAlive: true, maxSockets: 1 });
    w.ignore('data', 'finish');
    for (const path of ['/length', '/chunked']) {
      note(w, await request(w, server, { agent, path, method: 'POST' }, Buffer.alloc(300_000, 'ab')));
    }
    await end(w, server, agent);
  },
  'connection: close, HTTP/1.0, HEAD, 204': async (w) => {
    const server = await listen(w, {}, (asked, answer) => {
      if (asked.url === '/204') answer.statusCode = 204;
      answer.end(asked.url === '/204' ? undefined : 'body');
    });
    note(w, await request(w, server, { agent: agentOf(w), headers: { connection: 'close' } }));
    note(w, await request(w, server, { agent: agentOf(w), method: 'HEAD' }));
    note(w, await request(w, server, { agent: agentOf(w), path: '/204' }));
    const socket = await raw(w, server, 'GET / HTTP/1.0\r\n\r\n');
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'three requests in one segment (pipelining)': async (w) => {
    const server = await listen(w, {}, (asked, answer) => setTimeout(() => answer.end(asked.url), 5));
    const ask = (path: string, how = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${how}\r\n`;
    const socket = await raw(w, server, ask('/1') + ask('/2') + ask('/3', 'Connection: close\r\n'));
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'Expect: 100-continue': async (w) => {
    const server = await listen(w, {}, (asked, answer) => asked.pipe(answer));
    w.ignore('finish', 'end');
    const asked = http.request({
      ...{ port: portOf(server), agent: agentOf(w), method: 'POST' },
      headers: { expect: '100-continue', connection: 'close' },
    });
    w.watchOnly('client', asked, ['continue', 'response', 'close', 'finish']);
    asked.flushHeaders();
    await when(asked, 'continue');
    asked.end('body');
    const [answer] = (await when(asked, 'response')) as [http.IncomingMessage];
    answer.resume();
    await when(answer, 'end');
    await end(w, server);
  },
  'an upgrade': async (w) => {
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    server.on('upgrade', (_asked, socket: net.Socket, head: Buffer) => {
      w.note('server', 'head', head.toString());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello');
      socket.pipe(socket);
    });
    const asked = http.request({
      ...{ port: portOf(server), agent: agentOf(w) },
      headers: { connection: 'upgrade', upgrade: 'echo' },
    });
    asked.end();
    const [answer, socket, head] = (await when(asked, 'upgrade')) as [http.IncomingMessage, net.Socket, Buffer];
    let text = head.toString();
    socket.on('data', (part) => {
      text += part;
    });
    w.note('client', answer.statusCode);
    socket.write('echo me');
    socket.end();
    await when(socket, 'end');
    w.note('client', text);
    await end(w, server);
  },
  'an upgrade with its first data in the same segment': async (w) => {
    w.ignore('finish');
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    server.on('upgrade', (_asked, socket: net.Socket, head: Buffer) => {
      w.note('server', 'head', head.toString(), socket.bytesRead);
      socket.on('data', (part: Buffer) => socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${head}${part}`));
    });
    const socket = await raw(w, server, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhead');
    await when(server, 'upgrade');
    socket.on('end', () => socket.end());
    socket.write(' and more');
    await w.closed(socket);
    await end(w, server);
  },
  'a program reads the socket of a request': async (w) => {
    w.ignore('finish');
    const server = await listen(w, {}, (asked) => {
      const { socket } = asked;
      socket.once('data', (part: Buffer) => {
        w.note('server', part.toString(), socket.bytesRead);
        socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nraw');
      });
    });
    const socket = await raw(w, server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.on('end', () => socket.end());
    await when(server, 'request');
    await settle();
    socket.write('GET /again HTTP/1.1\r\nHost: x\r\n\r\n');
    await w.closed(socket);
    await end(w, server);
  },
  'what is wrong goes to clientError': async (w) => {
    w.ignore('finish');
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: net.Socket) => {
      w.note('server', error.code, error.rawPacket?.toString());
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    });
    const socket = await raw(w, server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await when(server, 'request');
    await settle();
    socket.on('end', () => socket.end());
    socket.write('no HTTP at all\r\n\r\n');
    await w.closed(socket);
    await end(w, server);
  },
  'the context of each request, and of what it starts': async (w) => {
    const storage = new AsyncLocalStorage<string>();
    const server = await listen(w, {}, (asked, answer) => {
      w.note('server', storage.getStore());
      storage.run(asked.url!, () => {
        asked.on('end', () => w.note('server', 'end', storage.getStore()));
        setImmediate(() => answer.end(storage.getStore(), () => w.note('server', 'finish', storage.getStore())));
      });
    });
    const agent = agentOf(w, { keepAlive: true, maxSockets: 1 });
    for (const path of ['/one', '/two']) note(w, await request(w, server, { agent, path, method: 'POST' }, 'body'));
    await end(w, server, agent);
  },
  CONNECT: async (w) => {
    w.ignore('finish');
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    server.on('connect', (_asked, socket: net.Socket) => socket.end('HTTP/1.1 200 OK\r\n\r\ntunnel'));
    const asked = http.request({ port: portOf(server), agent: agentOf(w), method: 'CONNECT', path: 'host:1' }).end();
    const [answer, socket] = (await when(asked, 'connect')) as [http.IncomingMessage, net.Socket];
    socket.resume();
    w.note('client', answer.statusCode);
    socket.end();
    await w.closed(socket);
    await end(w, server);
  },
  'the client aborts an upload': async (w) => {
    const over = new Promise<void>((resolve) => {
      void listen(w, {}, (asked) => {
        asked.resume();
        for (const event of ['aborted', 'error', 'close']) asked.on(event, (error) => w.note('request', event, error));
        asked.on('close', resolve);
        w.note('request', 'begins');
      }).then((server) => {
        const options = { agent: agentOf(w), method: 'POST', headers: { 'content-length': 1000 } };
        const asked = http.request({ port: portOf(server), ...options });
        w.watchOnly('client', asked, ['error', 'close']);
        asked.write('some');
        server.once('request', () => asked.destroy());
      });
    });
    await over;
    await settle();
  },
  'the server breaks off an answer': async (w) => {
    const server = await listen(w, {}, (_asked, answer) => {
      answer.setHeader('content-length', 1000);
      answer.write('some', () => answer.destroy());
    });
    const asked = http.request({ port: portOf(server), agent: agentOf(w) }).end();
    const [answer] = (await when(asked, 'response')) as [http.IncomingMessage];
    w.watchOnly('client', answer, ['aborted', 'error', 'close', 'end']);
    answer.resume();
    await w.closed(answer);
    w.note('client', answer.complete);
    await end(w, server);
  },
  'the server resets': async (w) => {
    const server = await listen(w, {}, (asked) => asked.socket.resetAndDestroy());
    const asked = http.request({ port: portOf(server), agent: agentOf(w) }).end();
    w.watchOnly('client', asked, ['error', 'close']);
    await w.closed(asked);
    await end(w, server);
  },
  'nobody listens': async (w) => {
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    const port = portOf(server);
    await end(w, server);
    const asked = http.request({ port, agent: agentOf(w) }).end();
    w.watchOnly('client', asked, ['error', 'close']);
    await w.closed(asked);
  },
  'no HTTP at all': async (w) => {
    const server = await listen(w, {}, (_asked, answer) => answer.end());
    const socket = await raw(w, server, 'what is this\r\n\r\n');
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'headers that never end (headersTimeout)': async (w) => {
    const limits = { headersTimeout: 60, requestTimeout: 120, connectionsCheckingInterval: 20 };
    const server = await listen(w, limits, (_asked, answer) => answer.end());
    const socket = await raw(w, server, 'GET / HTTP/1.1\r\nHost: x\r\nSlow');
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'a body that never ends (requestTimeout)': async (w) => {
    const limits = { headersTimeout: 60, requestTimeout: 80, connectionsCheckingInterval: 20 };
    const server = await listen(w, limits, (asked) => asked.resume());
    const socket = await raw(w, server, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx');
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'a connection that stays idle (keepAliveTimeout)': async (w) => {
    const server = await listen(w, { keepAliveTimeout: 40 }, (_asked, answer) => answer.end('x'));
    const socket = await raw(w, server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.on('end', () => socket.end());
    await w.closed(socket);
    await end(w, server);
  },
  'server.setTimeout': async (w) => {
    const server = await listen(w, {}, (asked) => asked.resume());
    server.setTimeout(40, (socket) => {
      w.note('server', 'timeout');
      socket.destroy();
    });
    const asked = http.request({ port: portOf(server), agent: agentOf(w), timeout: 10_000 }).end();
    w.watchOnly('client', asked, ['error', 'close']);
    await w.closed(asked);
    await end(w, server);
  },
  'the timeout of a request': async (w) => {
    const server = await listen(w, {}, (asked) => asked.resume());
    const asked = http.request({ port: portOf(server), agent: agentOf(w), timeout: 40 }).end();
    w.watchOnly('client', asked, ['timeout', 'error', 'close']);
    await when(asked, 'timeout');
    asked.destroy();
    await w.closed(asked);
    await end(w, server);
  },
  'closeIdleConnections and closeAllConnections': async (w) => {
    const server = await listen(w, {}, (asked, answer) => {
      if (asked.url === '/now') answer.end('x');
    });
    const idle = agentOf(w, { keepAlive: true });
    note(w, await request(w, server, { agent: idle, path: '/now' }));
    const asked = http.request({ port: portOf(server), agent: agentOf(w), path: '/never' }).end();
    w.watchOnly('busy', asked, ['error', 'close']);
    await when(server, 'request');
    server.closeIdleConnections();
    await settle(30);
    w.note('busy', asked.destroyed);
    server.closeAllConnections();
    await w.closed(asked);
    await end(w, server, idle);
  },
  'close ends idle connections, and waits for busy ones': async (w) => {
    w.ignore('end', 'finish');
    let finish = (): void => {};
    const server = await listen(w, {}, (asked, answer) => {
      if (asked.url === '/now') answer.end('x');
      else finish = () => answer.end('late');
    });
    const idle = agentOf(w, { keepAlive: true });
    note(w, await request(w, server, { agent: idle, path: '/now' }));
    const busy = request(w, server, { agent: agentOf(w), path: '/later' });
    await when(server, 'request');
    server.close(() => w.note('server', 'closed'));
    await settle(20);
    finish();
    note(w, await busy);
    await w.closed(server);
    idle.destroy();
  },
  maxRequestsPerSocket: async (w) => {
    const server = await listen(w, {}, (_asked, answer) => answer.end('x'));
    server.maxRequestsPerSocket = 1;
    const agent = agentOf(w, { keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 2; i++) note(w, await request(w, server, { agent }));
    await end(w, server, agent);
  },
  'a long answer to a client that reads slowly': async (w) => {
    w.ignore('data', 'finish', 'end');
    const server = await listen(w, {}, (_asked, answer) => {
      for (let i = 0; i < 50; i++) answer.write(Buffer.alloc(100_000, i));
      answer.end(() => w.note('server', 'sent'));
    });
    const asked = http.request({ port: portOf(server), agent: agentOf(w) }).end();
    const [answer] = (await when(asked, 'response')) as [http.IncomingMessage];
    let bytes = 0;
    for await (const part of answer) {
      bytes += (part as Buffer).length;
      if (bytes % 7 === 0) await settle(1);
    }
    w.note('client', bytes);
    await end(w, server);
  },
});
