/**
 * http: an HTTP/1.1 server. `GET /` has a small page, `/bytes/N` has N bytes, `/sink` counts what is sent to it. Options:
 * `port` (default 80), `root` (a folder whose files are served instead of the page), `connections`.
 */
import { realpathSync, statSync } from 'node:fs';
import { AppError } from '../errors.js';
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { HttpServer } from './http/server.js';
import { createTcpApp, portOption } from './tcp/tcp-app.js';

const HTTP_PORT = 80;

export { layer, offloads } from './tcp/tcp-app.js';

/** @throws AppError when the option names no folder */
function rootOf({ root }: StackOptions): string | null {
  if (root === undefined) return null;
  try {
    const real = realpathSync(String(root));
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    throw new AppError(`http: root ${String(root)}: ${(error as Error).message}`);
  }
  throw new AppError(`http: root ${String(root)} is not a folder`);
}

export default function createHttp(core: Core, options: StackOptions = {}): Stack {
  return createTcpApp('http', core, options, ['root'], ({ tcp }) => {
    const server = new HttpServer(rootOf(options));
    tcp.listen({ port: portOption('http', options, HTTP_PORT), noDelay: true }, server);
    return server;
  });
}
