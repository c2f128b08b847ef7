/** TLS and HTTP/2 over sockets. Their writes come from C++. */
import { createHash, randomBytes } from 'node:crypto';
import http2 from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import tls from 'node:tls';
import { portOf, scenarios, settle, type World, when } from '../scenario.js';
import { TEST_CERTIFICATE, TEST_KEY } from '../test-certificate.js';

const IDENTITY = { key: TEST_KEY, cert: TEST_CERTIFICATE };
const EVENTS = ['secureConnect', 'secure', 'data', 'end', 'finish', 'error', 'close', 'timeout', 'session'] as const;
const SERVER_EVENTS = ['secureConnection', 'tlsClientError', 'close', 'error'] as const;
const WITHOUT_SESSION = EVENTS.filter((event) => event !== 'session');

type OnSocket = (socket: tls.TLSSocket) => void;

/** Waits until the client and the server's side of it have closed. */
async function over(w: World, client: tls.TLSSocket, accepting: Promise<unknown[]>): Promise<void> {
  const [accepted] = await accepting;
  await w.closed(client, accepted as tls.TLSSocket);
}

async function serve(w: World, options: tls.TlsOptions = {}, onSocket: OnSocket = () => {}): Promise<tls.Server> {
  const server = w.overHost(tls.createServer({ ...IDENTITY, ...options }));
  w.watchOnly('server', server, SERVER_EVENTS);
  server.on('secureConnection', (socket) => {
    w.watchOnly('accepted', socket, WITHOUT_SESSION);
    onSocket(socket);
  });
  await w.listen(server);
  return server;
}

function connect(w: World, server: net.Server, options: tls.ConnectionOptions = {}): tls.TLSSocket {
  const socket = w.client.connect(portOf(server), w.address);
  socket.on('error', (error) => w.note('below', error));
  return w.watchOnly('client', tls.connect({ socket, rejectUnauthorized: false, ...options }), WITHOUT_SESSION);
}

async function finish(w: World, server: net.Server): Promise<void> {
  server.close();
  await w.closed(server);
}

export const TLS = scenarios({
  'a handshake, data, and the end': async (w) => {
    w.ignore('finish');
    const server = await serve(w, {}, (socket) => socket.pipe(socket));
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server);
    await when(client, 'secureConnect');
    w.note('client', client.getProtocol(), client.authorized, client.encrypted, client.isSessionReused());
    w.note('client', client.remoteFamily, typeof client.remotePort, typeof client.localPort, client.readyState);
    client.end('hello');
    client.setEncoding('utf8').on('data', (text) => w.note('client', text));
    await over(w, client, accepting);
    w.note('client', client.bytesRead > 5, client.bytesWritten > 5);
    await finish(w, server);
  },
  'TLS 1.2': async (w) => {
    w.ignore('finish');
    const server = await serve(w, { maxVersion: 'TLSv1.2' }, (socket) => socket.pipe(socket));
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server);
    await when(client, 'secureConnect');
    w.note('client', client.getProtocol(), client.getCipher().name);
    client.resume();
    client.end('hello');
    await over(w, client, accepting);
    await finish(w, server);
  },
  ALPN: async (w) => {
    const server = await serve(w, { ALPNProtocols: ['b', 'a'] }, (socket) => socket.resume().end());
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server, { ALPNProtocols: ['a', 'b'] });
    await when(client, 'secureConnect');
    w.note('client', client.alpnProtocol);
    client.resume();
    await over(w, client, accepting);
    await finish(w, server);
  },
  'a session is used again': async (w) => {
    const server = await serve(w, {}, (socket) => socket.resume().end('x'));
    const first = connect(w, server);
    const [session] = (await when(first, 'session')) as [Buffer];
    first.resume();
    await w.closed(first);
    const second = connect(w, server, { session });
    await when(second, 'secureConnect');
    w.note('client', second.isSessionReused());
    second.resume();
    await w.closed(second);
    await finish(w, server);
  },
  'texts and buffers, alone and corked, and what their callbacks see': async (w) => {
    w.ignore('data');
    const sum = createHash('sha256');
    const server = await serve(w, {}, (socket) => {
      socket.on('data', (part) => sum.update(part));
      socket.on('end', () => w.note('server', sum.digest('hex'), socket.bytesRead));
    });
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server);
    const early = new Promise((resolve) => client.write('before the handshake', resolve));
    await when(client, 'secureConnect');
    await early;
    const wrote = (what: string) => (error?: Error | null) =>
      w.note('client', what, error, client.bytesWritten, client.writableLength);
    client.write('é€😀', wrote('utf8'));
    client.write('é', 'latin1', wrote('latin1'));
    client.write('é', 'utf16le', wrote('utf16le'));
    client.write('', wrote('nothing'));
    client.write(Buffer.from('buffer'), wrote('buffer'));
    client.write('€'.repeat(50_000), wrote('a long text'));
    client.cork();
    for (const part of ['one', 'é', Buffer.from('two'), '']) client.write(part, wrote('corked'));
    const last = new Promise((resolve) => client.write('666f6f', 'hex', resolve));
    client.uncork();
    await last;
    client.resume().write('the last but one', () => client.end('the last'));
    await over(w, client, accepting);
    await finish(w, server);
  },
  'a write whose callback destroys the socket': async (w) => {
    const server = await serve(w, {}, (socket) => socket.resume());
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server);
    await when(client, 'secureConnect');
    client.write('one', (error) => {
      w.note('client', 'one', error);
      client.destroy();
    });
    client.write('two', (error) => w.note('client', 'two', error));
    await over(w, client, accepting);
    await finish(w, server);
  },
  'a client that trusts nobody': async (w) => {
    const server = await serve(w);
    const client = connect(w, server, { rejectUnauthorized: true });
    await w.closed(client);
    await settle();
    await finish(w, server);
  },
  'protocols that do not meet': async (w) => {
    w.ignore('close');
    const server = await serve(w, { minVersion: 'TLSv1.3' });
    const client = connect(w, server, { maxVersion: 'TLSv1.2' });
    await when(client, 'error');
    await settle();
    server.close();
  },
  '5 MB in both directions at once': async (w) => {
    w.ignore('data', 'finish');
    const bytes = randomBytes(5 << 20);
    const hash = (socket: tls.TLSSocket, who: string): void => {
      const sum = createHash('sha256');
      socket.on('data', (part) => sum.update(part));
      const wanted = createHash('sha256').update(bytes).digest('hex');
      socket.on('end', () => w.note(who, 'hash is right', sum.digest('hex') === wanted));
    };
    const server = await serve(w, { allowHalfOpen: true } as tls.TlsOptions, (socket) => {
      hash(socket, 'accepted');
      socket.end(bytes);
    });
    const accepting = when(server, 'secureConnection');
    const client = connect(w, server, { allowHalfOpen: true } as tls.ConnectionOptions);
    hash(client, 'client');
    client.end(bytes);
    await over(w, client, accepting);
    await finish(w, server);
  },
  'destroy during the handshake': async (w) => {
    w.ignore('tlsClientError', 'secureConnect', 'secure');
    const server = await serve(w);
    const accepting = when(server, 'connection');
    const client = connect(w, server);
    await accepting;
    client.destroy();
    await w.closed(client);
    await settle();
    server.close();
  },
  'the peer below is reset': async (w) => {
    let below: net.Socket | undefined;
    const server = await serve(w, {}, (socket) => socket.resume());
    server.on('connection', (socket) => {
      below = socket;
    });
    const client = connect(w, server);
    client.resume();
    const [accepted] = await when(server, 'secureConnection');
    await settle();
    below?.resetAndDestroy();
    await w.closed(client, accepted as tls.TLSSocket);
    await finish(w, server);
  },
  'no TLS at all': async (w) => {
    w.ignore('close');
    const server = await serve(w);
    const client = w.client.connect(portOf(server), w.address);
    client.on('error', () => {});
    client.end('GET / HTTP/1.1\r\n\r\n');
    await when(server, 'tlsClientError');
    client.destroy();
    server.close();
  },
  'a handshake that takes too long': async (w) => {
    w.ignore('close');
    const server = await serve(w, { handshakeTimeout: 50 });
    const client = w.watch('raw', w.client.connect(portOf(server), w.address));
    client.resume();
    await when(server, 'tlsClientError');
    client.destroy();
    server.close();
  },
  'https with keep-alive': async (w) => {
    const server = w.overHost(https.createServer(IDENTITY, (asked, answer) => asked.pipe(answer)));
    await w.listen(server);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    (agent as unknown as { createConnection(): tls.TLSSocket }).createConnection = () => connect(w, server);
    for (const body of ['one', 'x'.repeat(200_000)]) {
      const asked = https.request({ agent, method: 'POST', port: portOf(server) }).end(body);
      const [answer] = (await when(asked, 'response')) as [import('node:http').IncomingMessage];
      let bytes = 0;
      for await (const part of answer) bytes += (part as Buffer).length;
      w.note('client', answer.statusCode, bytes);
    }
    agent.destroy();
    server.close();
    await when(server, 'close');
  },
});

async function http2Streams(w: World, server: http2.Http2Server, makeSocket: () => net.Socket): Promise<void> {
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.on('error', (error) => w.note('stream', error));
    if (headers[':path'] === '/echo') stream.pipe(stream);
    else stream.resume().end(Buffer.alloc(1_000_000, 'x'));
  });
  const session = http2.connect('http://localhost', { createConnection: makeSocket });
  w.watchOnly('client', session, ['connect', 'close', 'error', 'goaway']);
  const ask = async (path: string, body?: string): Promise<void> => {
    const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' });
    stream.end(body);
    let bytes = 0;
    for await (const part of stream) bytes += (part as Buffer).length;
    w.note(path, bytes);
  };
  await Promise.all([ask('/echo', 'hello'), ask('/long'), ask('/longer'), ask('/echo2', 'x'.repeat(300_000))]);
  const cancelled = session.request({ ':path': '/cancelled' });
  cancelled.on('error', () => {});
  cancelled.on('close', () => w.note('/cancelled', cancelled.rstCode));
  await when(cancelled, 'response');
  cancelled.close(http2.constants.NGHTTP2_CANCEL);
  await when(cancelled, 'close');
  session.close();
  await w.closed(session);
  server.close();
  await when(server, 'close');
}

export const HTTP2 = scenarios({
  'streams over cleartext': async (w) => {
    const server = w.overHost(http2.createServer());
    await w.listen(server);
    await http2Streams(w, server, () => w.client.connect(portOf(server), w.address));
  },
  'streams over TLS': async (w) => {
    const server = w.overHost(http2.createSecureServer(IDENTITY));
    await w.listen(server);
    await http2Streams(w, server, () => {
      const socket = w.client.connect(portOf(server), w.address);
      return tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    });
  },
  'the session of the client is destroyed': async (w) => {
    const server = w.overHost(http2.createServer());
    server.on('session', (session) => {
      w.watchOnly('server', session, ['close', 'error']);
    });
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.respond();
    });
    await w.listen(server);
    const session = http2.connect('http://localhost', {
      createConnection: () => w.client.connect(portOf(server), w.address),
    });
    w.watchOnly('client', session, ['close', 'error']);
    const stream = session.request({ ':path': '/' });
    stream.on('error', (error) => w.note('stream', error));
    await when(stream, 'response');
    session.destroy();
    await w.closed(session);
    server.close();
    await when(server, 'close');
  },
});
