/**
 * Serves what a process shows by HTTP: its metrics, and the live page. It runs in the thread of the observer; a client
 * that asks too often waits, and one that does not read is disconnected.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { messageOf } from '../../drivers/log/message-of.js';
import { RequestError } from '../control/requests.js';
import { Throttle } from '../control/throttle.js';
import { type ListenAddress, textOf } from './address.js';
import { hostOf, isLoopback } from './hosts.js';

/** Answers a GET; for a HEAD, the body is left out. The message of an error is told to whoever asks. */
export type Route = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const MAX_CONNECTIONS = 32;
/** How many answers per second; whoever asks more often waits, at most for all other connections. */
const ANSWERS_PER_SECOND = 20;
const BURST = 10;
/** A client may take this long to ask, and this long to read, in ms. */
const PATIENCE_MS = 10_000;

/** Refuses a request, in one line. */
export function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}

export class HttpServer {
  private constructor(private readonly server: Server) {}

  /**
   * @param option the option that asked for it, for the error
   * @param routes by path
   * @returns (rejects) with one line when the address cannot be used
   */
  static async open(address: ListenAddress, option: string, routes: ReadonlyMap<string, Route>): Promise<HttpServer> {
    const throttle = new Throttle(ANSWERS_PER_SECOND, BURST);
    const isLocal = isLoopback(address.host);
    const busy = new WeakSet<Socket>();
    const server = createServer({ requestTimeout: PATIENCE_MS, keepAliveTimeout: PATIENCE_MS }, (request, response) => {
      const { socket } = request;
      response.on('error', () => response.destroy());
      // Pipelined requests are refused: they would take the turns of other clients.
      if (busy.has(socket)) {
        socket.destroy();
        return;
      }
      busy.add(socket);
      const turn = throttle.turn();
      response.on('close', () => {
        busy.delete(socket);
        turn.giveUp();
      });
      void turn.comes.then(() => answer(request, response, isLocal, routes));
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.timeout = PATIENCE_MS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`${option} ${textOf(address)}: ${messageOf(error)}`)));
      server.listen(address.port, address.host, resolve);
    });
    return new HttpServer(server);
  }

  /** The port, which the kernel has chosen when 0 was asked for. */
  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  isLocal: boolean,
  routes: ReadonlyMap<string, Route>,
): Promise<void> {
  const paths = [...routes.keys()].join(', ');
  // DNS rebinding: a web page must not read this by a host name of its own that leads to 127.0.0.1.
  if (isLocal && !isLoopback(hostOf(request))) return refuse(response, 403, 'this address is for this machine only');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, `GET ${paths}`);
  const route = routes.get(request.url?.split('?')[0] ?? '');
  if (route === undefined) return refuse(response, 404, `there is: ${paths}`);
  try {
    await route(request, response);
  } catch (error) {
    if (error instanceof RequestError) refuse(response, 503, error.message);
    else refuse(response, 500, messageOf(error));
  }
}
