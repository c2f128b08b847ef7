/**
 * One end of a TCP connection over the kernel's sockets, for tests of what carries it: `serve ADDRESS PORT BYTES` or
 * `connect ADDRESS PORT BYTES`. Each end sends so many bytes of the pattern, and at the end prints how many it has read,
 * with their hash.
 */
import { createHash } from 'node:crypto';
import { createServer, connect as openConnection, type Socket } from 'node:net';
import { patternBytes } from './bytes.js';

const [role, address, port, bytes] = process.argv.slice(2);

function talk(socket: Socket): void {
  const hash = createHash('sha256');
  let count = 0;
  socket.on('data', (chunk) => {
    hash.update(chunk);
    count += chunk.length;
  });
  socket.on('end', () => process.stdout.write(`read ${count} ${hash.digest('hex')}\n`));
  socket.end(patternBytes(0, Number(bytes)));
}

if (role === 'serve') {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    talk(socket);
  });
  server.listen(Number(port), address, () => process.stdout.write('ready\n'));
} else {
  const socket = openConnection({ host: address, port: Number(port), allowHalfOpen: true }, () => talk(socket));
}
