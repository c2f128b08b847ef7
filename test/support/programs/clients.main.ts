/**
 * A program whose HTTP clients ask a server, and print what they got: a JSON object for each step. Arguments: URL of an
 * HTTP server, URL of a server with TLS and HTTP/2, path of its certificate, bytes of the file `file.bin` of both.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { Client, Agent as Dispatcher, fetch as fetchByUndici, Pool, request } from 'undici';

const [plain = '', secure = '', certificate = '', size = ''] = process.argv.slice(2);
const PARALLEL = 50;
const ca = readFileSync(certificate);
const print = (step: string, result: unknown): void => console.log(`${step} ${JSON.stringify(result)}`);

async function hashOf(parts: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of parts) hash.update(part);
  return hash.digest('hex');
}

async function textOf(parts: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all).toString();
}

/** The code of what a promise rejects with: that of the cause, if it has one. */
function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing was thrown',
    ({ name, code, cause }: NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException }) =>
      cause?.code ?? (typeof code === 'string' ? code : name),
  );
}

async function byFetch(): Promise<void> {
  const page = await fetch(`${plain}/index.txt`);
  print('fetch', { status: page.status, type: page.headers.get('content-type'), text: await page.text() });
  print('fetch-large', await hashOf((await fetch(`${plain}/file.bin`)).body as unknown as AsyncIterable<Uint8Array>));
  const many = Array.from({ length: PARALLEL }, async (_, n) => (await fetch(`${plain}/index.txt?${n}`)).text());
  print('fetch-parallel', new Set(await Promise.all(many)).size);
  print('fetch-secure', await (await fetch(`${secure}/index.txt`)).text());
  print('fetch-404', (await fetch(`${plain}/nothing`)).status);
  const stop = new AbortController();
  const aborted = await fetch(`${plain}/file.bin`, { signal: stop.signal });
  stop.abort();
  print('fetch-aborted', await codeOf(aborted.arrayBuffer()));
  print('fetch-refused', await codeOf(fetch(plain.replace(/:\d+$/, ':8009'))));
}

async function byHttps(): Promise<void> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca });
  const ports = new Set<number | undefined>();
  const get = async (path: string): Promise<http.IncomingMessage> => {
    const [response] = (await once(https.get(`${secure}${path}`, { agent }), 'response')) as [http.IncomingMessage];
    ports.add(response.socket.localPort);
    return response;
  };
  print('https', await textOf(await get('/index.txt')));
  for (let n = 0; n < 20; n++) await textOf(await get('/index.txt'));
  print('https-sockets', ports.size);
  print('https-large', await hashOf(await get('/file.bin')));
  agent.destroy();
  print('https-unknown', await codeOf(once(https.get(secure, { ca: [], agent: false }), 'response')));
}

async function byHttp2(): Promise<void> {
  const session = http2.connect(secure, { ca });
  const ask = async (path: string): Promise<string> => hashOf(session.request({ ':path': path }));
  const hashes = await Promise.all(Array.from({ length: 5 }, () => ask('/file.bin')));
  print('http2', { protocol: session.alpnProtocol, hashes: [...new Set(hashes)] });
  session.close();
  await once(session, 'close');
}

async function byUndici(): Promise<void> {
  const { statusCode, body } = await request(`${plain}/file.bin`);
  print('undici', { statusCode, hash: await hashOf(body) });
  const pool = new Pool(plain, { connections: 5, pipelining: 4 });
  const many = Array.from({ length: PARALLEL * 4 }, async () => {
    const { body } = await pool.request({ path: '/index.txt', method: 'GET' });
    return body.text();
  });
  print('undici-pool', new Set(await Promise.all(many)).size);
  await pool.close();
  const dispatcher = new Dispatcher({ connect: { ca }, allowH2: true });
  print('undici-h2', await (await fetchByUndici(`${secure}/index.txt`, { dispatcher })).text());
  await dispatcher.close();
  const client = new Client(plain);
  const controller = new AbortController();
  const asked = client.request({ path: '/file.bin', method: 'GET', signal: controller.signal });
  controller.abort();
  print('undici-aborted', await codeOf(asked));
  await client.destroy();
}

print('size', size);
await byFetch();
await byHttps();
await byHttp2();
await byUndici();
print('done', null);
