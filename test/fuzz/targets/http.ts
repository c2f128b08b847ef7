/** HTTP/1.1 as text: requests to our server, and responses to our client. How the bytes are split must not matter. */
import { CLIENT_HANDLERS, type ClientOwner, getRequest, HttpClient } from '../../../src/apps/http/client.js';
import { HttpServer } from '../../../src/apps/http/server.js';
import { FakeWire } from '../../support/apps/fake-wire.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const PORT = 80;
/** Of a longer answer only the beginning is read. */
const MAX_ANSWER = 20_000;
const SEND_BUFFER = 4096;
/** Lengths of the pieces in which a case comes, beside all at once. */
const PIECES = [1, 2, 3, 7, 64, 1460];

const FIELDS = [
  ...['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'Connection: keep-alive\r\n'],
  ...['\r\n', '\r\n\r\n', ': ', '0\r\n\r\n', '5\r\nhello\r\n', 'a;b=c\r\n', 'HTTP/1.1', 'HTTP/1.0', ' ', '\n', '\r'],
];

/** Returns what the server answers to the bytes, in pieces of this length. */
function answerOf(bytes: Uint8Array, piece: number): Buffer {
  const wire = new FakeWire({ sendBuffer: SEND_BUFFER, piece: (all) => (piece === 0 ? all : piece) });
  const server = new HttpServer(null);
  wire.tcp.listen({ port: PORT }, server);
  const parts: Buffer[] = [];
  let length = 0;
  let closes = 0;
  let sent = 0;
  const c = wire.tcp.connect(
    { address: '10.0.0.2', port: PORT },
    {
      open: () => send(),
      drain: () => send(),
      data(connection, from, offset, count) {
        parts.push(Buffer.from(from.subarray(offset, offset + count)));
        length += count;
        if (length > MAX_ANSWER) connection.abort();
      },
      close: () => closes++,
    },
  );
  const send = (): void => {
    sent += c.write(bytes, sent);
    if (sent === bytes.length) c.end();
  };
  wire.run();
  check(closes === 1, 'the connection has not ended');
  check(server.report().http_open === 0, 'the server keeps a connection');
  return Buffer.concat(parts);
}

const STATUS_LINE = /^HTTP\/1\.1 [1-5]\d\d [A-Za-z 0-9-]+\r\n/;

export const httpRequests: FuzzTarget = {
  name: 'http-requests',
  summary: 'text to the HTTP server, whole and in pieces: the same answer, and nothing is left behind',
  maxBytes: 600,
  dictionary: [
    ...FIELDS,
    ...[
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /bytes/5000 HTTP/1.1\r\nHost: a\r\n',
      'HEAD ',
      'POST /sink',
      'PUT ',
      'Host: a\r\n',
    ],
    ...['?hash=sha256', 'Range: bytes=1-2\r\n', 'If-Range: x\r\n', 'Expect: 100-continue\r\n', 'http://a/', '/bytes/9'],
  ],
  prepare: () => ({
    run(input: Input): void {
      const piece = input.pick(PIECES);
      const bytes = input.take(input.left);
      const whole = answerOf(bytes, 0);
      const split = answerOf(bytes, piece);
      const common = Math.min(whole.length, split.length, MAX_ANSWER);
      check(whole.length > MAX_ANSWER === split.length > MAX_ANSWER, 'one answer is long, the other is not');
      check(whole.length > MAX_ANSWER || whole.length === split.length, 'the answers have different lengths');
      check(whole.compare(split, 0, common, 0, common) === 0, `the answer depends on pieces of ${piece}`);
      check(whole.length === 0 || STATUS_LINE.test(whole.toString('latin1', 0, 80)), 'the answer is no response');
    },
  }),
};

/** What a client tells about one response. */
class Log implements ClientOwner {
  text = '';
  head({ response }: HttpClient): void {
    this.text += `head ${response.status} ${response.reason}\n`;
  }
  content(_client: HttpClient, bytes: Uint8Array, offset: number, length: number): void {
    this.text += Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1');
  }
  done(client: HttpClient): void {
    this.text += '\ndone';
    client.end();
  }
  failed(_client: HttpClient, why: string): void {
    this.text += `\nfailed ${why}`;
  }
  closed(): void {
    this.text += '\nclosed';
  }
}

/** Returns what the client tells about the bytes as a response, which comes in pieces of this length. */
function readingOf(bytes: Uint8Array, piece: number): string {
  const wire = new FakeWire({ sendBuffer: 1 << 16, piece: (all) => (piece === 0 ? all : piece) });
  wire.tcp.listen(
    { port: PORT },
    {
      open(c) {
        c.write(bytes);
        c.end();
      },
    },
  );
  const log = new Log();
  new HttpClient(getRequest('a', '/', true), log).attach(
    wire.tcp.connect({ address: '10.0.0.2', port: PORT }, CLIENT_HANDLERS),
  );
  wire.run();
  return log.text;
}

export const httpResponses: FuzzTarget = {
  name: 'http-responses',
  summary: 'text to the HTTP client as a response, whole and in pieces: the same result, told once',
  maxBytes: 600,
  dictionary: [...FIELDS, 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', ' 204 ', ' 304 ', '9999999999999999'],
  prepare: () => ({
    run(input: Input): void {
      const piece = input.pick(PIECES);
      const bytes = input.take(input.left);
      const whole = readingOf(bytes, 0);
      check(whole === readingOf(bytes, piece), `the result depends on pieces of ${piece}`);
      check(/\n(done|failed \w+)\nclosed$/.test(whole), 'the end of the request was not told');
      check(whole.match(/\n(done|failed \w+)\nclosed$/g)?.length === 1, 'the end of the request was told twice');
    },
  }),
};
