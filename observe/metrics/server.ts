/**
 * Serves the metrics of a process by HTTP, for Prometheus and others. It runs in the thread of the observer; a client that
 * asks too often waits, and one that does not read is disconnected.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BlockList, isIP, type Socket } from 'node:net';
import { messageOf } from '../../drivers/log/message-of.js';
import { RequestError } from '../control/requests.js';
import { Throttle } from '../control/throttle.js';
import { contentTypeFor, expose } from './exposition.js';
import type { Family } from './family.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const MAX_CONNECTIONS = 32;
/** How many answers per second; whoever asks more often waits, at most for all other connections. */
const ANSWERS_PER_SECOND = 20;
const BURST = 10;
/** A client may take this long to ask, and this long to read, in ms. */
const PATIENCE_MS = 10_000;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const textOf = ({ host, port }: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Returns where the metrics of a process are. @param port the one that it has, if the address says 0 */
export const metricsUrl = ({ host }: ListenAddress, port: number): string => `http://${textOf({ host, port })}/metrics`;

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0 ? host === 'localhost' : LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

export class MetricsServer {
  private constructor(private readonly server: Server) {}

  /** Rejects with one line when the address cannot be used. */
  static async open(address: ListenAddress, families: () => Promise<readonly Family[]>): Promise<MetricsServer> {
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
      void turn.comes.then(() => answer(request, response, isLocal, families));
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.timeout = PATIENCE_MS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`--metrics ${textOf(address)}: ${messageOf(error)}`)));
      server.listen(address.port, address.host, resolve);
    });
    return new MetricsServer(server);
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
  families: () => Promise<readonly Family[]>,
): Promise<void> {
  const refuse = (status: number, why: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
  };
  // DNS rebinding: a web page must not read metrics by a host name of its own that leads to 127.0.0.1.
  if (isLocal && !isLoopback(hostOf(request))) return refuse(403, 'this address is for this machine only');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'GET /metrics');
  if (request.url?.split('?')[0] !== '/metrics') return refuse(404, 'the metrics are at /metrics');
  try {
    const type = contentTypeFor(request.headers.accept);
    const text = await expose(await families(), type);
    response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  } catch (error) {
    if (error instanceof RequestError) refuse(503, error.message);
    else refuse(500, messageOf(error));
  }
}

/** The host that the client has asked for, without the port and the brackets of IPv6. */
function hostOf({ headers: { host = '' } }: IncomingMessage): string {
  return /^\[(.*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '');
}
