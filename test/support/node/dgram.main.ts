/**
 * UDP over a device with the module `tspmd/dgram`: `node dgram.main.js DEVICE IP ask ADDRESS` asks a kernel's echo server
 * a few times, and ends by itself; `… serve` answers until it is told `stop`.
 */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createSocket } from '../../../src/node/dgram/index.js';
import { openHost } from '../../../src/node/open-host.js';

const PORT = 7;
const SIZES = [0, 1, 1472, 1473, 30_000, 65_507];

const [device, ip, what, address] = process.argv.slice(2) as [string, string, string, string];
await openHost({ device, ip, hugepages: 'never' });
const socket = createSocket('udp4');
if (what === 'ask') await ask(socket);
else serve(socket);

/** The device alone does not keep the process alive: with its socket closed, it ends. */
async function ask(asker: Socket): Promise<void> {
  for (const size of SIZES) {
    // The loop of the stack has gone to sleep meanwhile.
    await pause(50);
    const message = Buffer.alloc(size, size & 0xff);
    asker.send(message, PORT, address);
    const [answer, from] = (await once(asker, 'message')) as [Buffer, { address: string; port: number }];
    console.log(`${size} ${answer.equals(message)} ${from.address}:${from.port}`);
  }
  const connected = createSocket('udp4');
  connected.connect(PORT + 1, address);
  await once(connected, 'connect');
  const failed = once(connected, 'error').catch((error: unknown) => [error]);
  connected.send('nobody listens');
  const [error] = (await failed) as [NodeJS.ErrnoException];
  console.log(`${error.syscall} ${error.code}`);
  connected.close();
  asker.close();
}

function serve(server: Socket): void {
  server.on('message', (message, from) => {
    server.send(message, from.port, from.address, () => {
      if (message.toString() === 'stop') server.close();
    });
  });
  server.bind(PORT, () => console.log('ready'));
}
