/**
 * A program that clients treat badly: an HTTP server, one with a short timeout at port 81, and an echo at port 7. It tells
 * what the stack holds, blocks its thread when it is told to, and opens many sockets at once.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import net from 'node:net';

/** What is used of `tspmd/net`: the host of this program under `tspmd exec`. */
interface TspmdNet {
  currentHost(): { report(): Record<string, number> };
}

const OWN_PACKAGE = 'tspmd/net';
const { currentHost } = (await import(OWN_PACKAGE)) as TspmdNet;
const TIMEOUT_MS = 1000;

const server = createServer((request, response) => void answer(request, response));
const hurried = createServer({ connectionsCheckingInterval: 100 }, (_request, response) => response.end());
hurried.headersTimeout = TIMEOUT_MS;
let aborted = 0;

const connections = (of: net.Server): Promise<number> =>
  new Promise((resolve, reject) => of.getConnections((error, count) => (error ? reject(error) : resolve(count))));

/** Opens `count` sockets at once, counts how they end up, at the latest after `ms`, and closes them. */
async function openMany(count: number, port: number, host: string, ms: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const late = new Promise<string>((resolve) => setTimeout(resolve, ms, 'waits').unref());
  const open = async (): Promise<net.Socket> => {
    const socket = net.connect({ port, host });
    const end = await Promise.race([
      late,
      once(socket, 'connect').then(
        () => 'connected',
        ({ code, syscall }: NodeJS.ErrnoException) => `${syscall} ${code}`,
      ),
    ]);
    counts[end] = (counts[end] ?? 0) + 1;
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: count }, open));
  for (const socket of sockets) socket.destroy();
  return counts;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://here');
  const number = (name: string): number => Number(searchParams.get(name));
  response.setHeader('Connection', 'close');
  if (request.method === 'PUT') {
    const hash = createHash('sha256');
    request.on('data', (part: Buffer) => hash.update(part));
    request.on('end', () => response.end(`${hash.digest('hex')}\n`));
    request.on('error', () => aborted++);
  } else if (pathname === '/state') {
    const report = currentHost().report();
    const { tcp_connections = 0, tcp_memory = 0 } = report;
    const counts = {
      http: await connections(server),
      echo: await connections(echo),
      aborted,
      tcp_connections,
      tcp_memory,
    };
    response.end(JSON.stringify(counts));
  } else if (pathname === '/block') {
    const until = performance.now() + number('ms');
    while (performance.now() < until);
    response.end('blocked\n');
  } else if (pathname === '/sockets') {
    response.end(
      JSON.stringify(await openMany(number('count'), number('port'), searchParams.get('address') ?? '', number('ms'))),
    );
  } else response.end('hello\n');
}

const echo = net.createServer((socket) => {
  socket.on('error', (error: NodeJS.ErrnoException) => console.log(`echo: ${error.syscall} ${error.code}`));
  socket.pipe(socket);
});

for (const [port, what] of [
  [7, echo],
  [81, hurried],
  [80, server],
] as const) {
  what.listen(port);
  await once(what, 'listening');
}
console.log('listening');
