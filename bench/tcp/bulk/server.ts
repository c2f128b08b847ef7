/**
 * Our server of the bulk rows, on the API of the stack. It serves the same ports as `node-server.ts`, and answers
 * `busy` with a `BusyTime`.
 */
import { init } from '../../../src/index.js';
import { type Connection, TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { busyTimeOf } from '../../common/load/busy-time.js';
import type { ServerPlace } from '../../common/sides.js';
import { makeBlock, RepeatedBlock } from './block.js';
import { DISCARD_PORT, SOURCE_PORT, VERDICT_BYTES, VERIFY_PORT } from './setup.js';

/** The next byte of the block. */
interface Cursor {
  at: number;
}

const { cpu, ...place } = JSON.parse(process.argv[2]) as ServerPlace;
const port = await init({ ...place, cores: [cpu], idle: 'spin' });
const net = new TcpIp(port.core());
const block = makeBlock();

/** Sends the block, again and again, from where the last write has ended. */
function send(c: Connection): void {
  const cursor = c.context as Cursor;
  for (;;) {
    const length = block.length - cursor.at;
    const taken = c.write(block, cursor.at, length);
    cursor.at = (cursor.at + taken) % block.length;
    if (taken < length) return;
  }
}
net.tcp.listen(
  { port: SOURCE_PORT, noDelay: true },
  {
    open(c) {
      c.context = { at: 0 } satisfies Cursor;
      send(c);
    },
    drain: send,
  },
);

net.tcp.listen(
  { port: DISCARD_PORT, noDelay: true },
  {
    data() {},
    end: (c) => c.end(),
  },
);

net.tcp.listen(
  { port: VERIFY_PORT, noDelay: true },
  {
    open(c) {
      c.context = new RepeatedBlock(block);
    },
    data: (c, bytes, offset, length) => (c.context as RepeatedBlock).take(bytes, offset, length),
    end(c) {
      const { bytes, wrong } = c.context as RepeatedBlock;
      const verdict = Buffer.alloc(VERDICT_BYTES);
      verdict.writeUInt32BE(bytes, 0);
      verdict.writeUInt32BE(wrong, 4);
      c.write(verdict);
      c.end();
    },
  },
);

const end = new AbortController();
process.once('SIGTERM', () => end.abort());
answerRequests(
  () => busyTimeOf(port),
  () => end.abort(),
);
await net.run(end.signal);
await port.stop();
process.exit();
