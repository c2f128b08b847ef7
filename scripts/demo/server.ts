/** The stack of the demo's second endpoint: TCP/IP, which answers pings, with UDP echo and an HTTP server. */
import { HttpServer } from '../../src/apps/http/server.js';
import { createTcpApp } from '../../src/apps/tcp/tcp-app.js';
import type { Core } from '../../src/link/core.js';
import type { Stack } from '../../src/stack.js';

export { layer, offloads } from '../../src/apps/tcp/tcp-app.js';

const ECHO_PORT = 7;
const HTTP_PORT = 80;

export default function createServer(core: Core): Stack {
  return createTcpApp('demo', core, {}, [], ({ tcp, udp }) => {
    const server = new HttpServer(null);
    tcp.listen({ port: HTTP_PORT, noDelay: true }, server);
    udp.bind(
      { port: ECHO_PORT },
      {
        message(socket, bytes, offset, length, address, port) {
          // Two echo servers would answer each other for ever.
          if (port !== ECHO_PORT && port !== 0) socket.send(bytes, offset, length, address, port);
        },
      },
    );
    return server;
  });
}
