/** The HTTP client, with our server and with servers that a test plays. */
import { describe, expect, it } from 'vitest';
import { CLIENT_HANDLERS, type ClientOwner, getRequest, HttpClient } from '../../../../../src/apps/http/client.js';
import { isPatternAt } from '../../../../../src/apps/http/pattern-body.js';
import { HttpServer } from '../../../../../src/apps/http/server.js';
import { FakeWire } from '../../../../support/apps/fake-wire.js';

const PORT = 80;

class Recorder implements ClientOwner {
  readonly events: string[] = [];
  received = Buffer.alloc(0);
  /** How often the request is sent again. */
  repeats = 0;

  head({ response }: HttpClient): void {
    this.events.push(`head ${response.status} ${response.reason}`.trim());
  }

  content(_client: HttpClient, bytes: Uint8Array, offset: number, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(offset, offset + length)]);
  }

  done(client: HttpClient): void {
    this.events.push('done');
    if (this.repeats-- > 0 && client.canSend) client.send();
    else client.end();
  }

  failed(_client: HttpClient, why: string, message: string): void {
    this.events.push(`${why}: ${message}`);
  }

  closed(): void {
    this.events.push('closed');
  }
}

function connect(wire: FakeWire, path = '/', repeats = 0): Recorder {
  const recorder = new Recorder();
  recorder.repeats = repeats;
  const client = new HttpClient(getRequest('a', path, true), recorder);
  client.attach(wire.tcp.connect({ address: '10.0.0.2', port: PORT }, CLIENT_HANDLERS));
  wire.run();
  return recorder;
}

/** A server that sends this to each client, whatever it asks, in pieces, and then ends or does not. */
function answered(text: string, piece: number, ends: boolean): Recorder {
  const wire = new FakeWire({ piece: () => piece });
  wire.tcp.listen(
    { port: PORT },
    {
      open: (c) => {
        c.write(Buffer.from(text, 'latin1'));
        if (ends) c.end();
      },
      end: (c) => c.end(),
    },
  );
  return connect(wire);
}

describe('a response', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', false],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a\r\nllo\r\n0\r\nx: y\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\n\r\nhello', true],
    [
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      false,
    ],
  ])('%j is read in pieces of any size', (text, ends) => {
    for (let piece = 1; piece <= text.length; piece++) {
      const { events, received } = answered(text, piece, ends);
      expect(events, `pieces of ${piece}`).toEqual(['head 200 OK', 'done', 'closed']);
      expect(received.toString()).toBe('hello');
    }
  });

  it.each([
    ['HTTP/1.1 204 No Content\r\n\r\n', 'head 204 No Content'],
    ['HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n', 'head 304 Not Modified'],
    ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', 'head 200'],
  ])('%j has no content', (text, head) => {
    expect(answered(text, 9999, false).events).toEqual([head, 'done', 'closed']);
  });

  it.each([
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello',
      'partial: the server closed the connection after 5 of 6 bytes',
    ],
    [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      'partial: the server closed the connection after 5 bytes',
    ],
    ['HTTP/1.1 200 OK\r\nContent-Le', 'partial: the server closed the connection before its response'],
    ['', 'partial: the server closed the connection before its response'],
  ])('%j that ends too early is a failure', (text, failure) => {
    const { events } = answered(text, 9999, true);
    expect(events.filter((event) => !event.startsWith('head'))).toEqual([failure, 'closed']);
  });

  it.each([
    ['SSH-2.0-x\r\n\r\n', 'it is not HTTP/1.x'],
    ['HTTP/2.0 200 OK\r\n\r\n', 'it is not HTTP/1.x'],
    ['HTTP/1.1 2x0 OK\r\n\r\n', 'its status is not a number of three digits'],
    ['HTTP/1.1 099 OK\r\n\r\n', 'its status is not a number of three digits'],
    ['HTTP/1.1\r\n\r\n', 'its status is not a number of three digits'],
    ['HTTP/1.1 200 OK\n\n', 'a line of the head does not end with CR LF'],
    ['HTTP/1.1 200 OK\r\nA\r\n\r\n', 'a field of its head is malformed'],
    ['HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n', 'a field of its head is malformed'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n', 'its Content-Length is too large'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', 'its transfer coding is not chunked'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n', 'it has two lengths'],
    [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(201)}\r\n`, 'its head has more than 200 fields'],
    [`HTTP/1.1 200 OK\r\na: ${'x'.repeat(65_536)}`, 'the head is longer than 65536 bytes'],
  ])('%.60j is malformed', (text, fault) => {
    expect(answered(text, 9999, false).events).toEqual([`malformed: the response is malformed: ${fault}`, 'closed']);
  });

  it('with malformed chunks is a failure', () => {
    const { events } = answered('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx', 9999, false);
    expect(events).toEqual(['head 200 OK', 'malformed: the chunks of the response are malformed', 'closed']);
  });

  it('is followed by others on the same connection', () => {
    const wire = new FakeWire({ sendBuffer: 5000, piece: (all) => Math.min(all, 1460) });
    const server = new HttpServer(null);
    wire.tcp.listen({ port: PORT }, server);
    const { events, received } = connect(wire, '/bytes/9000', 20);
    expect(events.filter((event) => event === 'done')).toHaveLength(21);
    expect(events.at(-1)).toBe('closed');
    for (let i = 0; i < 21; i++) expect(isPatternAt(0, received, i * 9000, 9000)).toBe(true);
    expect(server.report()).toMatchObject({ http_connections: 1, http_open: 0, http_requests: 21 });
  });
});

/** Answers the requests of one client with these texts, one each. */
function answeredInTurn(texts: readonly string[]): Recorder {
  const wire = new FakeWire();
  let next = 0;
  wire.tcp.listen(
    { port: PORT },
    { data: (c) => void c.write(Buffer.from(texts[next++] ?? '', 'latin1')), end: (c) => c.end() },
  );
  return connect(wire, '/', texts.length - 1);
}

describe('a response like the one before', () => {
  const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const head = 'head 200 OK';

  it('is told of as the first one', () => {
    const { events, received } = answeredInTurn([ok('hello'), ok('hello'), ok('world'), ok('world'), ok('hello')]);
    expect(events).toEqual([head, 'done', head, 'done', head, 'done', head, 'done', head, 'done', 'closed']);
    expect(received.toString()).toBe('hellohelloworldworldhello');
  });

  it.each([
    ['another status', 'HTTP/1.1 404 OK\r\nContent-Length: 5\r\n\r\nhello', ['head 404 OK', 'done', 'closed']],
    [
      'another head of the same length',
      ok('hello').replace('200', '2x0'),
      ['malformed: the response is malformed: its status is not a number of three digits', 'closed'],
    ],
    [
      'an end of the connection',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      [head, 'done', 'closed'],
    ],
  ])('is not mistaken for one with %s', (_, text, events) => {
    expect(answeredInTurn([ok('hello'), ok('hello'), text]).events.slice(4)).toEqual(events);
  });

  it('is no other one when two came at once', () => {
    const two = `${ok('a')}${ok('b')}`;
    const { events, received } = answeredInTurn([two, two, two, two]);
    expect(events.filter((event) => event === 'done')).toHaveLength(4);
    expect(received.toString()).toBe('abab');
  });

  it.each([
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    `${'HTTP/1.1 100\r\n\r\n'}${ok('a')}`,
  ])('may be %j', (text) => {
    const { events, received } = answeredInTurn([text, text, text]);
    expect(events).toEqual([head, 'done', head, 'done', head, 'done', 'closed']);
    expect(received.toString()).toBe('aaa');
  });
});

describe('a connection', () => {
  it('that is refused is a failure', () => {
    expect(connect(new FakeWire()).events).toEqual(['connect: ECONNREFUSED: refused', 'closed']);
  });

  it('that breaks is a failure, which says how far the response was', () => {
    const wire = new FakeWire();
    wire.tcp.listen({ port: PORT }, { data: (c) => c.abort() });
    expect(connect(wire).events).toEqual(['reset: ECONNRESET: the peer has reset it before its response', 'closed']);
  });

  it('that is silent can be given up', () => {
    const wire = new FakeWire();
    wire.tcp.listen({ port: PORT }, {});
    const recorder = new Recorder();
    const client = new HttpClient(getRequest('a', '/', true), recorder);
    client.attach(wire.tcp.connect({ address: '10.0.0.2', port: PORT }, CLIENT_HANDLERS));
    wire.run();
    expect(client.isBusy).toBe(true);
    client.timeOut('too late');
    expect(recorder.events).toEqual(['timeout: too late', 'closed']);
    client.timeOut('too late');
    expect(recorder.events).toHaveLength(2);
  });
});
