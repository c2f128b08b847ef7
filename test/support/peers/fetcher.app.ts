/**
 * An HTTP client on each core: it opens COUNT connections at once, asks for `path` of `address`:`port` on each, and when
 * all have ended, prints a line with what came: how many answers, and the SHA-256 of each that differs.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Core } from '../../../src/link/core.js';
import type { StackOptions } from '../../../src/stack.js';
import type { TcpHandlers } from '../../../src/tcpip/tcp/state/api.js';
import { TcpIp } from '../../../src/tcpip/tcpip.js';

const COUNT = 20;
const HEAD_END = '\r\n\r\n';

interface Answer {
  /** What has come of the head; null behind it. */
  head: string | null;
  readonly hash: Hash;
}

export default function createFetcher(core: Core, { address, port, path }: StackOptions): TcpIp {
  const net = new TcpIp(core);
  const request = Buffer.from(`GET ${path} HTTP/1.0\r\n\r\n`);
  const found: string[] = [];
  const handlers = {
    open: (c) => void c.write(request),
    data(c, bytes, offset, length) {
      const answer = c.context as Answer;
      let body = bytes.subarray(offset, offset + length);
      if (answer.head !== null) {
        answer.head += Buffer.from(body).toString('latin1');
        const end = answer.head.indexOf(HEAD_END);
        if (end < 0) return;
        body = Buffer.from(answer.head.slice(end + HEAD_END.length), 'latin1');
        answer.head = null;
      }
      answer.hash.update(body);
    },
    end: (c) => c.end(),
    close(c, error) {
      found.push(error === null ? (c.context as Answer).hash.digest('hex') : error.message);
      if (found.length < COUNT) return;
      process.stdout.write(`core ${core.index}: ${found.length} answers: ${[...new Set(found)].join(', ')}\n`);
    },
  } satisfies TcpHandlers;
  for (let i = 0; i < COUNT; i++) {
    const c = net.tcp.connect({ address: String(address), port: Number(port) }, handlers);
    c.context = { head: '', hash: createHash('sha256') } satisfies Answer;
  }
  return net;
}
