/**
 * A program with an ordinary kernel socket: sends UDP datagrams of all sizes to port 7, one by one, and checks the echoes.
 * Arguments: address, how many. Prints `echoed N`, or what went wrong, and exits with 1.
 */
import { createSocket } from 'node:dgram';

const LIMIT_MS = 20_000;
const MAX_PAYLOAD = 1472;

const [address = '', count = '0'] = process.argv.slice(2);
const socket = createSocket('udp4');
let number = 0;

function payload(i: number): Buffer {
  return Buffer.alloc(1 + ((i * 37) % MAX_PAYLOAD), i + 1);
}

function fail(why: string): void {
  process.stdout.write(`${why} ${number}\n`);
  process.exit(1);
}

const timer = setTimeout(() => fail('timed out at'), LIMIT_MS);
const send = (): void => socket.send(payload(number), 7, address);
socket.on('message', (message) => {
  if (!message.equals(payload(number))) fail('wrong echo of');
  if (++number < Number(count)) {
    send();
    return;
  }
  process.stdout.write(`echoed ${number}\n`);
  clearTimeout(timer);
  socket.close();
});
send();
