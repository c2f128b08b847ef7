/** The peer `node-net` of the bulk rows: a server with Node's `net` on the kernel's network. */
import { createServer, type Socket } from 'node:net';
import { makeBlock, RepeatedBlock } from './block.js';
import { DISCARD_PORT, SOURCE_PORT, VERDICT_BYTES, VERIFY_PORT } from './setup.js';

const block = makeBlock();

function source(socket: Socket): void {
  const send = (): void => {
    while (socket.write(block));
  };
  socket.on('drain', send).resume();
  send();
}

function discard(socket: Socket): void {
  socket.on('data', () => {});
  socket.on('end', () => socket.end());
}

function verify(socket: Socket): void {
  const stream = new RepeatedBlock(block);
  socket.on('data', (chunk) => stream.take(chunk, 0, chunk.length));
  socket.on('end', () => {
    const verdict = Buffer.alloc(VERDICT_BYTES);
    verdict.writeUInt32BE(stream.bytes, 0);
    verdict.writeUInt32BE(stream.wrong, 4);
    socket.end(verdict);
  });
}

async function listen(port: number, serve: (socket: Socket) => void): Promise<void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // The load resets a connection when its window is over.
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
}

await listen(SOURCE_PORT, source);
await listen(DISCARD_PORT, discard);
await listen(VERIFY_PORT, verify);
process.stdout.write('ready\n');
process.once('SIGTERM', () => process.exit());
// It ends with the benchmark, which closes its input.
process.stdin.on('end', () => process.exit()).resume();
