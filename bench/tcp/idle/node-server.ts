/**
 * The peer `node-net` of the row of idle connections: an echo with Node's `net` on the kernel's network. It answers `connections` with how many there are, after a full garbage collection.
 */
import { createServer } from 'node:net';
import { answerRequests } from '../../common/bench-process.js';
import { collectGarbage } from './collect-garbage.js';
import { ECHO_PORTS } from './setup.js';

/** As somaxconn of the namespace. */
const BACKLOG = 4096;

let connections = 0;
const servers = ECHO_PORTS.map(() =>
  createServer({ noDelay: true }, (socket) => {
    connections++;
    socket.on('data', (bytes) => socket.write(bytes));
    // The load resets its connections.
    socket.on('error', () => {});
    socket.on('close', () => connections--);
  }),
);

await Promise.all(
  servers.map((server, i) => new Promise<void>((resolve) => server.listen(ECHO_PORTS[i], '0.0.0.0', BACKLOG, resolve))),
);
process.once('SIGTERM', () => process.exit());
answerRequests(
  () => {
    collectGarbage();
    return connections;
  },
  () => process.exit(),
);
