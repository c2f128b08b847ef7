/**
 * Sends UDP datagrams by the kernel's sockets, for what no VXLAN of a sound host would send. Arguments: the address to
 * send from, the address to send to, and the contents of each datagram in hexadecimal. Prints `sent`.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const PORT = 4789;
const [from, to, ...contents] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.bind(0, from);
await once(socket, 'listening');
socket.setBroadcast(true);
for (const content of contents) {
  await new Promise<void>((resolve, reject) =>
    socket.send(Buffer.from(content, 'hex'), PORT, to, (error) => (error === null ? resolve() : reject(error))),
  );
}
socket.close(() => process.stdout.write('sent\n'));
