/** The same echo as a plain Node program on the kernel. */
import { createServer } from 'node:net';
import { ECHO_PORT } from './setup.js';

/** The kernel lowers it to net.core.somaxconn. */
const BACKLOG = 65_535;

createServer({ noDelay: true }, (socket) => {
  socket.on('data', (bytes) => socket.write(bytes));
  socket.on('error', () => socket.destroy());
}).listen(ECHO_PORT, '0.0.0.0', BACKLOG, () => process.stdout.write('listening\n'));
process.once('SIGTERM', () => process.exit());
