/**
 * A program with ordinary kernel sockets: sends UDP datagrams of all sizes to port 7, one by one, from one socket after
 * the other, and checks the echoes. The ports are always the same, so that the flows come to the same cores each time.
 * Arguments: address, count. Prints `echoed N`, or what went wrong, and exits with 1.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const LIMIT_MS = 20_000;
/** With an MTU of 1500. */
const MAX_PAYLOAD = 1472;
const SOCKETS = 16;
const FIRST_PORT = 40_000;

const [address = '', count = '0'] = process.argv.slice(2);
let number = 0;

/** Steps of 37 reach each size. */
function payload(i: number): Buffer {
  return Buffer.from(Array.from({ length: (i * 37) % (MAX_PAYLOAD + 1) }, (_, at) => (i * 131 + at * 7) & 0xff));
}

function fail(why: string): void {
  process.stdout.write(`${why} ${number}\n`);
  process.exit(1);
}

async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port);
  await once(socket, 'listening');
  return socket;
}

const timer = setTimeout(() => fail('timed out at'), LIMIT_MS);
const sockets = await Promise.all(Array.from({ length: SOCKETS }, (_, i) => bound(FIRST_PORT + i)));
const send = (): void => sockets[number % SOCKETS]?.send(payload(number), 7, address);
for (const [i, socket] of sockets.entries()) {
  socket.on('message', (message) => {
    if (i !== number % SOCKETS || !message.equals(payload(number))) fail('wrong echo of');
    if (++number < Number(count)) {
      send();
      return;
    }
    process.stdout.write(`echoed ${number}\n`);
    clearTimeout(timer);
    for (const each of sockets) each.close();
  });
}
send();
