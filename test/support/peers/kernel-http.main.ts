/**
 * An HTTP server with ordinary kernel sockets, as a peer of `tspmd get`: `/length/N` has N bytes of the pattern and their
 * length, `/chunked/N` sends them in chunks, `/close/N` ends them with the connection. Arguments: address, port.
 */
import { createServer, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { patternBytes } from './bytes.js';

const CHUNK = 100_003;
const [address, port] = process.argv.slice(2);

function* chunks(size: number): Generator<Buffer> {
  for (let at = 0; at < size; at += CHUNK) yield patternBytes(at, Math.min(size, at + CHUNK));
}

function answer(response: ServerResponse, url: string): void {
  const [, kind, digits] = /^\/(length|chunked|close)\/(\d+)$/.exec(url) ?? [];
  const size = Number(digits);
  if (kind === undefined) {
    response.writeHead(404).end();
    return;
  }
  if (kind === 'length') response.setHeader('Content-Length', size);
  if (kind === 'close') {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
  }
  Readable.from(chunks(size)).pipe(response);
}

const server = createServer((request, response) => answer(response, request.url ?? ''));
server.listen(Number(port), address, () => process.stdout.write('ready\n'));
