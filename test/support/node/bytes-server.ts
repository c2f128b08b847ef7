/** A Node program for guests: an HTTP server that gives `GET /N` N bytes. It knows nothing of tspmd. */
import { createServer } from 'node:http';

createServer((request, response) => response.end(Buffer.alloc(Number(request.url?.slice(1)), 'tspmd'))).listen(80, () =>
  process.stdout.write('listening\n'),
);
