/** The HTTP server on connections without a network. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isPatternAt, PATTERN_BYTES } from '../../../../../src/apps/http/pattern-body.js';
import { HttpServer } from '../../../../../src/apps/http/server.js';
import { FakeWire, type FakeWireOptions, PlainPeer } from '../../../../support/apps/fake-wire.js';

const PORT = 80;
const GET = 'GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\n';
const FIVE = /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)+\r\n.{5}$/s;

interface Lab {
  wire: FakeWire;
  server: HttpServer;
  peer: PlainPeer;
}

function lab(options: FakeWireOptions = {}): Lab {
  const wire = new FakeWire(options);
  const server = new HttpServer(null);
  wire.tcp.listen({ port: PORT }, server);
  return { wire, server, peer: new PlainPeer(wire, PORT) };
}

/** Sends text over a new connection, and returns what comes back. */
function ask(text: string, options: FakeWireOptions = {}): PlainPeer {
  const { wire, peer } = lab(options);
  peer.write(text);
  wire.run();
  return peer;
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

const EXCHANGES: Record<string, string> = {
  'two requests': GET + GET,
  'an empty line first': `\r\n${GET}`,
  'HEAD and HTTP/1.0': `HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${GET}`,
  'content with a length': `POST /sink?hash=sha256 HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world${GET}`,
  'content in chunks': `PUT /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x="y"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n${GET}`,
  'content that nobody wants': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd${GET}`,
  '100-continue': `POST /sink HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc${GET}`,
  'a range, and close': `GET /bytes/90 HTTP/1.1\r\nHost: a\r\nRange: bytes=-4\r\nConnection: x, Close\r\n\r\n${GET}`,
  'the absolute form': `GET http://a:80/bytes/2?x HTTP/1.1\r\nHost: a\r\n\r\n`,
  malformed: `${GET}nonsense\r\n\r\n${GET}`,
};

describe('a request', () => {
  it.each(Object.keys(EXCHANGES))('%s: is answered in the same way when it is split at any byte', (name) => {
    const text = EXCHANGES[name]!;
    const whole = ask(text).text;
    expect(whole).toMatch(/^HTTP\/1\.1 \d{3} /);
    for (let first = 1; first < text.length; first++) {
      const { wire, peer } = lab();
      peer.write(text.slice(0, first));
      wire.run();
      peer.write(text.slice(first));
      wire.run();
      expect(peer.text, `split at ${first}`).toBe(whole);
    }
    expect(ask(text, { piece: () => 1 }).text).toBe(whole);
  });

  it('keeps the connection in HTTP/1.1, and ends it in HTTP/1.0', () => {
    const kept = ask(GET);
    expect(kept.text).toMatch(FIVE);
    expect(kept.hasEnded).toBe(false);
    const ended = ask('GET /bytes/5 HTTP/1.0\r\n\r\n');
    expect(ended.text).toMatch(FIVE);
    expect(ended.text).toContain('Connection: close\r\n');
    expect(ended.hasEnded).toBe(true);
    expect(ask('GET /bytes/5 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n').hasEnded).toBe(false);
    expect(ask('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').hasEnded).toBe(true);
  });

  it('for HEAD gets the head alone, with the length of the content', () => {
    const { text } = ask('HEAD /bytes/1234567 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(text).toContain('Content-Length: 1234567\r\n');
    expect(bodyOf(text)).toBe('');
  });

  it('that is repeated gets the same response, byte for byte', () => {
    const many = 500;
    const { text } = ask(GET.repeat(many));
    expect(text).toBe(ask(GET).text.repeat(many));
  });

  it('gets bytes of the pattern, at any size and range', () => {
    for (const size of [0, 1, 4096, 4097, PATTERN_BYTES - 1, PATTERN_BYTES * 5 + 17]) {
      const body = Buffer.from(bodyOf(ask(`GET /bytes/${size} HTTP/1.1\r\nHost: a\r\n\r\n`).text), 'latin1');
      expect(body.length).toBe(size);
      expect(isPatternAt(0, body, 0, size)).toBe(true);
    }
    const { text } = ask('GET /bytes/300000 HTTP/1.1\r\nHost: a\r\nRange: bytes=100000-299998\r\n\r\n');
    expect(statusOf(text)).toBe(206);
    expect(text).toContain('Content-Range: bytes 100000-299998/300000\r\n');
    const part = Buffer.from(bodyOf(text), 'latin1');
    expect(part.length).toBe(199_999);
    expect(isPatternAt(100_000, part, 0, part.length)).toBe(true);
    expect(isPatternAt(100_001, part, 0, part.length)).toBe(false);
  });

  it.each([
    ['bytes=0-0', 206, 'bytes 0-0/10'],
    ['bytes=9-', 206, 'bytes 9-9/10'],
    ['bytes=-3', 206, 'bytes 7-9/10'],
    ['bytes=2-99', 206, 'bytes 2-9/10'],
    ['bytes=-99', 200, null],
    ['bytes=10-', 416, 'bytes */10'],
    ['bytes=-0', 416, 'bytes */10'],
    ['bytes=5-2', 200, null],
    ['bytes=0-1,3-4', 200, null],
    ['lines=1-2', 200, null],
    ['bytes=-', 200, null],
  ])('with Range: %s gets %i', (range, status, contentRange) => {
    const { text } = ask(`GET /bytes/10 HTTP/1.1\r\nHost: a\r\nRange: ${range}\r\n\r\n`);
    expect(statusOf(text)).toBe(status);
    expect(/^Content-Range: (.*)\r$/m.exec(text)?.[1] ?? null).toBe(contentRange);
  });

  it('with If-Range gets everything', () => {
    const { text } = ask('GET /bytes/10 HTTP/1.1\r\nHost: a\r\nIf-Range: "x"\r\nRange: bytes=1-2\r\n\r\n');
    expect(statusOf(text)).toBe(200);
  });
});

describe('content', () => {
  it('is counted and hashed at /sink, with a length and in chunks', () => {
    const content = 'x'.repeat(30_000);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const head = 'POST /sink?hash=sha256 HTTP/1.1\r\nHost: a\r\n';
    const plain = ask(`${head}Content-Length: ${content.length}\r\n\r\n${content}`, { piece: () => 1460 });
    expect(JSON.parse(bodyOf(plain.text))).toEqual({ bytes: content.length, sha256 });
    const chunks = `10\r\n${content.slice(0, 16)}\r\n${(content.length - 16).toString(16)}\r\n${content.slice(16)}\r\n0\r\n\r\n`;
    const chunked = ask(`${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`, { piece: () => 999 });
    expect(JSON.parse(bodyOf(chunked.text))).toEqual({ bytes: content.length, sha256 });
  });

  it('is asked for with 100 when the client waits for that', () => {
    const { wire, peer } = lab();
    peer.write('POST /sink HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
    wire.run();
    expect(peer.text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    peer.write('abc');
    wire.run();
    expect(peer.text).toMatch(/200 OK.*\{"bytes":3\}\n$/s);
  });

  it('is not asked for when the request fails', () => {
    const peer = ask('POST /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
    expect(statusOf(peer.text)).toBe(404);
    expect(peer.hasEnded).toBe(true);
  });

  it.each([
    ['Content-Length: 65537', 413],
    ['Content-Length: 9999999999999999', 413],
    ['Transfer-Encoding: chunked', 413],
  ])('that nobody wants and that is long (%s) is refused', (field, status) => {
    const peer = ask(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
    expect(statusOf(peer.text)).toBe(status);
    expect(peer.hasEnded).toBe(true);
  });

  it.each([
    'x\r\n',
    '\r\n',
    '5 5\r\nhello!',
    '5\r\nhelloX',
    '5\rX',
    '5;\n',
    '1234567890123\r\n',
    '0\r\n bad\r\n',
    `0\r\na: ${'x'.repeat(5000)}`,
  ])('in malformed chunks is refused: %j', (chunks) => {
    const peer = ask(`POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(statusOf(peer.text)).toBe(400);
    expect(peer.hasEnded).toBe(true);
  });
});

const line = (text: string): string => `${text}\r\nHost: a\r\n\r\n`;
const field = (text: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${text}\r\n\r\n`;

describe('a bad request', () => {
  it.each([
    [line('GET / HTTP/1.1 '), 400],
    [line('GET  / HTTP/1.1'), 400],
    [line('GET /'), 400],
    [line('GET'), 400],
    [line(' GET / HTTP/1.1'), 400],
    [line('G(T / HTTP/1.1'), 400],
    [line('GET / HTTP/x.1'), 400],
    [line('GET / http/1.1'), 400],
    [line('GET / HTTP/1.11'), 400],
    [line('GET \x7f HTTP/1.1'), 400],
    [line('GET a HTTP/1.1'), 400],
    [line('GET /#a HTTP/1.1'), 400],
    [line('OPTIONS * HTTP/1.1'), 400],
    [line('GET / HTTP/2.0'), 505],
    [line('GET / HTTP/0.9'), 505],
    [line('BREW / HTTP/1.1'), 501],
    [line('get / HTTP/1.1'), 501],
    [line('DELETE / HTTP/1.1'), 405],
    [line('PUT /bytes/1 HTTP/1.1'), 405],
    [line('GET /sink HTTP/1.1'), 405],
    [line('POST /sink?hash=md5 HTTP/1.1'), 400],
    [line('GET /none HTTP/1.1'), 404],
    [line('GET /bytes/x HTTP/1.1'), 404],
    ['GET / HTTP/1.1\n\n', 400],
    ['GET / HTTP/1.1\rX', 400],
    ['\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\n\r\n', 400],
    [field('Host: b'), 400],
    [field('A B: c'), 400],
    [field('A : c'), 400],
    [field(': c'), 400],
    [field(' folded'), 400],
    [field('no colon'), 400],
    [field('A: \x00'), 400],
    [field('A: \x7f'), 400],
    [field('Content-Length: -1'), 400],
    [field('Content-Length: 1, 1'), 400],
    [field('Content-Length: 1\r\nContent-Length: 2'), 400],
    [field('Content-Length: '), 400],
    [field('Content-Length: 1\r\nTransfer-Encoding: chunked'), 400],
    [field('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), 400],
    [field('Transfer-Encoding: gzip, chunked'), 501],
    [field('Expect: the best'), 417],
    ['GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ])('%j gets %i', (text, status) => {
    const peer = ask(text);
    expect(statusOf(peer.text)).toBe(status);
    // One response, and nothing after it is taken for another request.
    expect(peer.text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it('names the methods that are possible', () => {
    expect(ask(line('DELETE / HTTP/1.1')).text).toContain('Allow: GET, HEAD\r\n');
    expect(ask(line('GET /sink HTTP/1.1')).text).toContain('Allow: POST, PUT\r\n');
  });

  it('may have a head of 8 KiB with 100 fields, and no more', () => {
    const head = (bytes: number): string => field(`A: ${'x'.repeat(bytes - field('A: ').length)}`);
    expect(statusOf(ask(head(8192)).text)).toBe(200);
    expect(statusOf(ask(head(8193)).text)).toBe(431);
    expect(statusOf(ask(`GET /${'x'.repeat(9000)}`).text)).toBe(414);
    expect(statusOf(ask(field(Array(99).fill('a: b').join('\r\n'))).text)).toBe(200);
    expect(statusOf(ask(field(Array(100).fill('a: b').join('\r\n'))).text)).toBe(431);
  });

  it('ends the connection only after the peer could read the response', () => {
    const { wire, peer } = lab();
    peer.write(`BREW / HTTP/1.1\r\nHost: a\r\n\r\n${GET.repeat(100)}`);
    wire.run();
    expect(statusOf(peer.text)).toBe(501);
    expect(peer.hasEnded).toBe(true);
    expect(peer.isClosed).toBe(false);
    peer.c.end();
    wire.run();
    expect(peer.isClosed).toBe(true);
    expect(peer.error).toBeNull();
  });
});

describe('a slow peer', () => {
  const seconds = ({ server, wire }: Lab, count: number): void => {
    for (let i = 0; i < count; i++) {
      server.tick();
      wire.run();
    }
  };

  it('that reads nothing is paused, holds little, and is reset after 30 s', () => {
    const all = lab({ sendBuffer: 4096, piece: () => 512 });
    const { wire, peer, server } = all;
    peer.c.pause();
    const requests = 'GET /bytes/100000 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100);
    peer.write(requests);
    wire.run();
    expect(peer.c.peer.pauses).toBe(1);
    expect(peer.c.buffered).toBeGreaterThan(2000);
    seconds(all, 29);
    expect(peer.isClosed).toBe(false);
    seconds(all, 3);
    expect(peer.error).toMatchObject({ code: 'ECONNRESET' });
    expect(server.report()).toMatchObject({ http_open: 0, http_timeouts: 1, http_requests: 1 });
  });

  it('that reads slowly gets everything, in order', () => {
    const sizes = [0, 10, 100_000, 1, 70_000, 4096, 4097];
    const { wire, peer } = lab({ sendBuffer: 1000, piece: () => 333 });
    for (const size of sizes) peer.write(`GET /bytes/${size} HTTP/1.1\r\nHost: a\r\n\r\n`);
    peer.c.end();
    wire.run();
    let left = peer.text;
    for (const size of sizes) {
      expect(statusOf(left)).toBe(200);
      const body = bodyOf(left);
      const part = Buffer.from(body.slice(0, size), 'latin1');
      expect(part.length).toBe(size);
      expect(isPatternAt(0, part, 0, size)).toBe(true);
      left = body.slice(size);
    }
    expect(left).toBe('');
    expect(peer.isClosed).toBe(true);
  });

  it('that does not finish its head gets 408 after 10 s', () => {
    const all = lab();
    all.peer.write('GET / HT');
    all.wire.run();
    seconds(all, 9);
    all.peer.write('TP');
    seconds(all, 3);
    expect(statusOf(all.peer.text)).toBe(408);
    expect(all.peer.hasEnded).toBe(true);
    seconds(all, 7);
    expect(all.peer.error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('that sends its content byte by byte gets 408 after 30 s', () => {
    const all = lab();
    all.peer.write('POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
    for (let i = 0; i < 33; i++) {
      all.peer.write('x');
      seconds(all, 1);
    }
    expect(statusOf(all.peer.text)).toBe(408);
  });

  it('that sends its content steadily may take for ever', () => {
    const all = lab();
    const length = 1_000_000;
    all.peer.write(`POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);
    for (let i = 0; i < 1000; i++) {
      all.peer.write('x'.repeat(1000));
      seconds(all, 1);
    }
    expect(all.peer.text).toMatch(/200 OK.*"bytes":1000000/s);
  });

  it('that asks nothing is closed after 60 s, one that asks is not', () => {
    const idle = lab();
    seconds(idle, 59);
    expect(idle.peer.hasEnded).toBe(false);
    seconds(idle, 3);
    expect(idle.peer.hasEnded).toBe(true);
    expect(idle.peer.text).toBe('');
    const active = lab();
    for (let i = 0; i < 5; i++) {
      active.peer.write(GET);
      seconds(active, 50);
    }
    expect(active.peer.hasEnded).toBe(false);
  });

  it('leaves nothing behind when it goes at any time', () => {
    const wire = new FakeWire({ sendBuffer: 700, piece: () => 100 });
    const server = new HttpServer(null);
    wire.tcp.listen({ port: PORT }, server);
    for (let i = 0; i < 200; i++) {
      const peer = new PlainPeer(wire, PORT);
      if (i % 3 === 0) peer.c.pause();
      peer.write(`GET /bytes/5000 HTTP/1.1\r\nHost: a\r\n\r\n${GET}`.slice(0, i));
      wire.run();
      if (i % 2 === 0) peer.c.abort();
      else peer.c.end();
      peer.c.resume();
      wire.run();
    }
    expect(server.report()).toMatchObject({ http_open: 0, http_connections: 200 });
  });
});
