/** The files that the HTTP server serves. */
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { relativePath } from '../../../../../src/apps/http/files/file-tree.js';
import { HttpServer } from '../../../../../src/apps/http/server.js';
import { FakeWire, type FakeWireOptions, PlainPeer } from '../../../../support/apps/fake-wire.js';
import { temporaryDirectory } from '../../../../support/resources.js';

const PORT = 80;
/** More than the two buffers of a file together. */
const LARGE = Buffer.alloc(1_300_007).map((_, i) => (i * 31 + (i >> 8)) & 0xff);

let folder: { path: string; remove: () => void };
const root = (): string => join(folder.path, 'root');

beforeEach(() => {
  folder = temporaryDirectory();
  mkdirSync(join(root(), 'sub'), { recursive: true });
  writeFileSync(join(folder.path, 'secret.txt'), 'secret');
  writeFileSync(join(root(), 'index.html'), '<p>start');
  writeFileSync(join(root(), 'a b.txt'), 'space');
  writeFileSync(join(root(), 'empty'), '');
  writeFileSync(join(root(), 'large.bin'), LARGE);
  writeFileSync(join(root(), 'sub', 'index.html'), '<p>sub');
  symlinkSync(join(folder.path, 'secret.txt'), join(root(), 'out.txt'));
  symlinkSync(join(root(), 'a b.txt'), join(root(), 'in.txt'));
});

afterEach(() => folder.remove());

/** Sends text over a new connection, and waits until the server has closed it. */
async function ask(text: string, options: FakeWireOptions = {}): Promise<string> {
  const wire = new FakeWire(options);
  wire.tcp.listen({ port: PORT }, new HttpServer(realpathSync(root())));
  const peer = new PlainPeer(wire, PORT);
  peer.write(text);
  await wire.runUntil(() => peer.hasEnded);
  return peer.text;
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`;
const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('a file', () => {
  it.each([
    ['/', '<p>start', 'text/html; charset=utf-8'],
    ['/index.html?x=1', '<p>start', 'text/html; charset=utf-8'],
    ['/a%20b.txt', 'space', 'text/plain; charset=utf-8'],
    ['/in.txt', 'space', 'text/plain; charset=utf-8'],
    ['/./sub//', '<p>sub', 'text/html; charset=utf-8'],
    ['/empty', '', 'application/octet-stream'],
  ])('at %s is served with its type', async (path, content, type) => {
    const text = await ask(get(path));
    expect(statusOf(text)).toBe(200);
    expect(text).toContain(`Content-Type: ${type}\r\n`);
    expect(text).toMatch(/^Last-Modified: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$/m);
    expect(bodyOf(text)).toBe(content);
  });

  it('that is large comes whole, also through a small send buffer', async () => {
    for (const options of [{}, { sendBuffer: 3000, piece: () => 1460 }]) {
      const text = await ask(get('/large.bin'), options);
      expect(Buffer.from(bodyOf(text), 'latin1').equals(LARGE)).toBe(true);
    }
  });

  it('comes in parts, and after other responses on the same connection', async () => {
    const text = await ask(get('/large.bin', 'Range: bytes=700000-1300005\r\n'));
    expect(statusOf(text)).toBe(206);
    expect(text).toContain('Content-Range: bytes 700000-1300005/1300007\r\n');
    expect(Buffer.from(bodyOf(text), 'latin1').equals(LARGE.subarray(700_000, 1_300_006))).toBe(true);
    expect(statusOf(await ask(get('/large.bin', 'Range: bytes=1300007-\r\n')))).toBe(416);
    const kept = 'HTTP/1.1\r\nHost: a\r\n\r\n';
    const three = await ask(`GET /in.txt ${kept}HEAD /large.bin ${kept}GET /none ${kept}${get('/sub/')}`);
    expect(three.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
    expect(three).toContain('Content-Length: 1300007\r\n');
    expect(three.endsWith('<p>sub')).toBe(true);
  });

  it('that is small is read once a second', async () => {
    const wire = new FakeWire();
    const server = new HttpServer(realpathSync(root()));
    wire.tcp.listen({ port: PORT }, server);
    const peer = new PlainPeer(wire, PORT);
    const next = async (): Promise<string> => {
      peer.received = Buffer.alloc(0);
      peer.write('GET /in.txt HTTP/1.1\r\nHost: a\r\n\r\n');
      await wire.runUntil(() => peer.text.includes('\r\n\r\n'));
      return bodyOf(peer.text);
    };
    expect(await next()).toBe('space');
    writeFileSync(join(root(), 'a b.txt'), 'another one');
    expect(await next()).toBe('space');
    expect(await next()).toBe('space');
    server.tick();
    expect(await next()).toBe('another one');
    expect(await next()).toBe('another one');
  });

  it('is served while others are, each with its own buffers', async () => {
    const wire = new FakeWire({ sendBuffer: 60_000 });
    const server = new HttpServer(realpathSync(root()));
    wire.tcp.listen({ port: PORT }, server);
    // More than there are buffers, and every fifth goes in the middle.
    const peers = Array.from({ length: 80 }, () => new PlainPeer(wire, PORT));
    for (const peer of peers) peer.write(get('/large.bin'));
    await wire.runUntil(() => peers.some((peer) => peer.received.length > 100_000));
    peers.forEach((peer, i) => {
      if (i % 5 === 0) peer.c.abort();
    });
    await wire.runUntil(() => peers.every((peer) => peer.hasEnded || peer.isClosed));
    const whole = peers.filter((_, i) => i % 5 !== 0);
    for (const peer of whole) expect(Buffer.from(bodyOf(peer.text), 'latin1').equals(LARGE)).toBe(true);
  });

  it.each([
    ['/none', 404],
    ['/out.txt', 404],
    ['/../secret.txt', 400],
    ['/sub/../../secret.txt', 400],
    ['/%2e%2e/secret.txt', 400],
    ['/..%2fsecret.txt', 400],
    ['/a%00', 400],
    ['/%zz', 400],
    ['/empty/x', 404],
    ['/sub', 301],
    ['/empty/', 404],
  ])('at %s is refused with %i', async (path, status) => {
    const text = await ask(get(path));
    expect(statusOf(text)).toBe(status);
    expect(text).not.toContain('secret\n');
    if (status === 301) expect(text).toContain(`Location: ${path}/\r\n`);
  });

  it('has a path below the root, or none', () => {
    expect(relativePath('/a/b%2Fc')).toBe('/a/b/c');
    expect(relativePath('/a..b/...')).toBe('/a..b/...');
    for (const path of ['/..', '/a/..', '/%2E%2E', '/a%2F..%2Fb', '/\0', '/%']) expect(relativePath(path)).toBeNull();
  });
});
