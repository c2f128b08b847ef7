/**
 * tcp-echo: sends back what comes to a TCP port (RFC 862); the stack answers pings. Options: `port` (default 7),
 * `connections` (most at the same time, default 16,384).
 */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { EchoHandlers } from './tcp/echo-handlers.js';
import { createTcpApp, portOption } from './tcp/tcp-app.js';

const ECHO_PORT = 7;

export { layer, offloads } from './tcp/tcp-app.js';

export default function createTcpEcho(core: Core, options: StackOptions = {}): Stack {
  return createTcpApp('tcp-echo', core, options, [], ({ tcp }) => {
    const handlers = new EchoHandlers();
    tcp.listen({ port: portOption('tcp-echo', options, ECHO_PORT), noDelay: true }, handlers);
    return handlers;
  });
}
