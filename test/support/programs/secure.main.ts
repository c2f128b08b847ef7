/**
 * A program with servers of node:http (port 80), node:https (443), node:http2 with TLS (8443, also HTTP/1.1) and without
 * (8080). All answer in the same way; `/counts` of any tells how many requests each has answered. Arguments: paths of a
 * private key and of a certificate.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { Server } from 'node:net';
import { patternBytes } from '../peers/bytes.js';

type Request = http.IncomingMessage | http2.Http2ServerRequest;
type Response = http.ServerResponse | http2.Http2ServerResponse;

/** What an answer's body says of the number in its header: load.lua calculates it, too. */
const FACTOR = 7;

const [key = '', cert = ''] = process.argv.slice(2);
const tls = { key: readFileSync(key), cert: readFileSync(cert) };
const counts = { http: 0, https: 0, http2: 0, h2c: 0 };
let number = 0;

function bodyOf({ url = '', httpVersion }: Request): string | Buffer {
  const [, kind, digits] = /^\/(bytes|counts|version|number)\/?(\d*)$/.exec(url) ?? [];
  if (kind === 'bytes') return patternBytes(0, Number(digits));
  if (kind === 'counts') return JSON.stringify(counts);
  if (kind === 'number') return String(number * FACTOR);
  return `HTTP/${httpVersion}\n`;
}

function answer(name: keyof typeof counts, request: Request, response: Response): void {
  // HTTP/1.1 and HTTP/2 have types of their own for the same methods.
  const to = response as http.ServerResponse;
  if (request.method === 'PUT') {
    const hash = createHash('sha256');
    request.on('data', (part: Buffer) => hash.update(part));
    request.on('end', () => to.end(`${hash.digest('hex')}\n`));
    return;
  }
  number++;
  const body = bodyOf(request);
  to.writeHead(200, { 'X-Number': number, 'Content-Length': body.length });
  to.end(body);
  if (request.url !== '/counts') counts[name]++;
}

const on =
  (name: keyof typeof counts) =>
  (request: Request, response: Response): void =>
    answer(name, request, response);

async function listen(server: Server | http2.Http2Server, port: number): Promise<void> {
  server.listen(port);
  await once(server, 'listening');
}

await listen(http.createServer(on('http')), 80);
await listen(https.createServer(tls, on('https')), 443);
await listen(http2.createSecureServer({ ...tls, allowHTTP1: true }, on('http2')), 8443);
await listen(http2.createServer(on('h2c')), 8080);
console.log('listening');
