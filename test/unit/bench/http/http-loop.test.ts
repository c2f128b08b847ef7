/** The load of `bench -- http`, without a network. */
import { describe, expect, it } from 'vitest';
import { HttpLoop } from '../../../../bench/http/http-loop.js';
import { CONNECTIONS, HTTP_PORT } from '../../../../bench/http/setup.js';
import { PAGE } from '../../../../src/apps/http/answers.js';
import { HttpServer } from '../../../../src/apps/http/server.js';
import { FakeWire } from '../../../support/apps/fake-wire.js';

const REQUESTS = 1000;

/** A load whose requests take a millisecond each, and which stops by itself. */
function loadOf(wire: FakeWire, bodyBytes: number): HttpLoop {
  let ms = 0;
  const now = (): number => {
    if (loop.done === REQUESTS) loop.stop();
    return ms++;
  };
  const loop: HttpLoop = new HttpLoop(wire.tcp, now, bodyBytes);
  return loop;
}

/** Answers each request with this. */
function serverOf(response: string): FakeWire {
  const wire = new FakeWire();
  wire.tcp.listen(
    { port: HTTP_PORT },
    { data: (c) => void c.write(Buffer.from(response, 'latin1')), end: (c) => c.end() },
  );
  return wire;
}

function run(loop: HttpLoop, wire: FakeWire): void {
  loop.open();
  wire.run();
  loop.start();
  wire.run();
}

describe('a load of HTTP requests', () => {
  it('takes the page of the app http', () => {
    const wire = new FakeWire();
    const server = new HttpServer(null);
    wire.tcp.listen({ port: HTTP_PORT }, server);
    const loop = loadOf(wire, PAGE.length);
    run(loop, wire);
    expect(loop).toMatchObject({ errors: 0, underWay: 0 });
    expect(server.report()).toMatchObject({ http_connections: CONNECTIONS });
  });

  it('goes on after a pause, on the same connections', () => {
    const wire = serverOf('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    const loop = loadOf(wire, 5);
    run(loop, wire);
    expect(loop).toMatchObject({ errors: 0, fault: '', underWay: 0, isReady: true });
    expect(loop.done).toBeGreaterThanOrEqual(REQUESTS);
    // All connections have one request under way at each time.
    expect(loop.p99Us).toBeGreaterThanOrEqual(1000);
    expect(loop.p99Us).toBeLessThanOrEqual(CONNECTIONS * 1000);
    const opened = wire.connections.length;
    const { done } = loop;
    loop.open();
    loop.start();
    loop.stop();
    wire.run();
    expect(wire.connections).toHaveLength(opened);
    expect(loop).toMatchObject({ done, underWay: 0 });
  });

  it.each([
    ['status', 'HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello', 'status 404, 5 bytes of content'],
    ['length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'status 200, 2 bytes of content'],
  ])('tells of a wrong %s', (_, response, fault) => {
    const wire = serverOf(response);
    const loop = loadOf(wire, 5);
    loop.open();
    wire.run();
    expect(loop).toMatchObject({ errors: CONNECTIONS, fault });
  });

  it('tells of a server that ends the connection, and opens another one', () => {
    const wire = serverOf('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello');
    const loop = loadOf(wire, 5);
    run(loop, wire);
    expect(loop).toMatchObject({ errors: CONNECTIONS, underWay: 0 });
    expect(loop.fault).toBe('the server ends the connection after a response');
    loop.open();
    expect(loop).toMatchObject({ errors: 0, fault: '' });
  });

  it('opens connections again that ended while they were idle', () => {
    const wire = serverOf('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    const loop = loadOf(wire, 5);
    loop.open();
    wire.run();
    for (const end of wire.connections.filter(({ localPort }) => localPort === HTTP_PORT)) end.end();
    wire.run();
    expect(loop.isReady).toBe(false);
    loop.open();
    wire.run();
    expect(loop).toMatchObject({ isReady: true, errors: 0 });
  });
});
