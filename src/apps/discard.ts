/** discard: reads and drops what comes to a TCP port (RFC 863). Options: `port` (default 9), `connections`. */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { DiscardHandlers } from './tcp/discard-handlers.js';
import { createTcpApp, portOption } from './tcp/tcp-app.js';

const DISCARD_PORT = 9;

export { layer, offloads } from './tcp/tcp-app.js';

export default function createDiscard(core: Core, options: StackOptions = {}): Stack {
  return createTcpApp('discard', core, options, [], ({ tcp }) => {
    const handlers = new DiscardHandlers();
    tcp.listen({ port: portOption('discard', options, DISCARD_PORT) }, handlers);
    return handlers;
  });
}
