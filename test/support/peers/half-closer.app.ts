/**
 * A TCP server that ends its half of each connection with its first bytes, and then receives: it prints a line with the
 * number of bytes and their SHA-256 when the peer ends the other half. Port: 7000.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Core } from '../../../src/link/core.js';
import { TcpIp } from '../../../src/tcpip/tcpip.js';

const PORT = 7000;

interface Received {
  bytes: number;
  readonly hash: Hash;
}

export default function createHalfCloser(core: Core): TcpIp {
  const net = new TcpIp(core);
  net.tcp.listen(
    { port: PORT },
    {
      open(c) {
        c.context = { bytes: 0, hash: createHash('sha256') } satisfies Received;
        c.write(Buffer.from('goodbye\n'));
        c.end();
      },
      data(c, bytes, offset, length) {
        const received = c.context as Received;
        received.bytes += length;
        received.hash.update(bytes.subarray(offset, offset + length));
      },
      end(c) {
        const { bytes, hash } = c.context as Received;
        process.stdout.write(`received ${bytes} bytes, ${hash.digest('hex')}\n`);
      },
    },
  );
  return net;
}
