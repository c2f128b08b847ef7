/**
 * iperf3: the server's side of iperf3 for TCP in both directions: `iperf3 -c ADDRESS [-R] [--bidir] [-P N]`. The control
 * connection and the streams must come to one core: give the port one. Options: `port` (default 5201), `connections`.
 */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { IPERF_PORT } from './iperf3/protocol.js';
import { Iperf3Server } from './iperf3/server.js';
import { createTcpApp, portOption } from './tcp/tcp-app.js';

export { layer, offloads } from './tcp/tcp-app.js';

export default function createIperf3(core: Core, options: StackOptions = {}): Stack {
  return createTcpApp('iperf3', core, options, [], ({ tcp }) => {
    const server = new Iperf3Server();
    tcp.listen({ port: portOption('iperf3', options, IPERF_PORT), noDelay: true }, server);
    return server;
  });
}
