/** The live page as a browser, and as somebody hostile, asks for it. */
import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
// The page is beside the compiled module.
import { pageRoutes } from '../../../../dist/observe/page/routes.js';
import { servedBy, tellServed } from '../../../../observe/http/address.js';
import { isOwnName } from '../../../../observe/http/hosts.js';
import { HttpServer } from '../../../../observe/http/server.js';
import { Viewers } from '../../../../observe/page/viewers.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

describe('the page', () => {
  let server: HttpServer;
  let viewers: Viewers;

  const open = async (host: string): Promise<void> => {
    viewers = new Viewers(async () => '"news"');
    server = await HttpServer.open({ host, port: 0 }, '--page', pageRoutes(viewers as never, host));
  };
  beforeEach(() => open('127.0.0.1'));
  afterEach(async () => {
    viewers.close();
    await server.close();
  });

  /** Asks, and reads until the end, or until the first news. */
  function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ port: server.port, path, method, headers, agent: false }, async (response) => {
        let text = '';
        for await (const part of response.setEncoding('utf8')) {
          text += part as string;
          if (text.includes('data: ')) break;
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      request.on('error', reject).end();
    });
  }

  it('is one file, which may load and run nothing else', async () => {
    const { status, headers, text } = await ask('/');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(text).not.toMatch(/\b(src|href)="(?!#|data:)/);
    const policy = headers['content-security-policy'] as string;
    expect(policy).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/);
    for (const element of ['style', 'script']) {
      const [, body] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(text)!;
      const hash = createHash('sha256').update(body!).digest('base64');
      expect(policy).toContain(`${element}-src 'sha256-${hash}';`);
    }
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(await ask('/', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  it('tells news as server-sent events', async () => {
    const { status, headers, text } = await ask('/events');
    expect([status, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(text).toBe('retry: 2000\n\ndata: "news"\n\n');
    expect(await ask('/events', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  it('is not for other methods, paths, host names and sites', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect(await ask('/events', {}, method)).toMatchObject({ status: 405 });
    for (const path of ['/page.html', '//', '/../events', '/events/'])
      expect(await ask(path)).toMatchObject({ status: 404 });
    for (const path of ['/', '/events'])
      expect(await ask(path, { host: 'evil.example' })).toMatchObject({ status: 403 });
    for (const site of ['cross-site', 'same-site', 'x'])
      expect(await ask('/events', { 'sec-fetch-site': site })).toMatchObject({ status: 403 });
    expect(await ask('/events', { 'sec-fetch-site': 'same-origin' })).toMatchObject({ status: 200 });
    expect(viewers.counts.refused).toBe(0);
  });

  it('of all addresses is asked by an address, or by a name of this machine', async () => {
    viewers.close();
    await server.close();
    await open('0.0.0.0');
    for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example'])
      expect(await ask('/', { host }), host).toMatchObject({ status: 403 });
    for (const host of ['10.1.2.3:9464', '[::1]:9464', 'localhost', hostname(), `${hostname()}.lan:80`])
      expect(await ask('/', { host }), host).toMatchObject({ status: 200 });
    expect(isOwnName('lab.example', 'LAB.example')).toBe(true);
  });
});

describe('what is served', () => {
  const metrics = { host: '0.0.0.0', port: 9464 };

  it.each([
    [{}, null, []],
    [{ metrics }, '--metrics', ['metrics: http://0.0.0.0:9464/metrics']],
    [{ page: true }, '--page', ['page: http://127.0.0.1:9464/']],
    [{ metrics, page: true }, '--metrics', ['metrics: http://0.0.0.0:9464/metrics', 'page: http://0.0.0.0:9464/']],
    [
      { metrics: { host: '::1', port: 1 }, page: true },
      '--metrics',
      ['metrics: http://[::1]:9464/metrics', 'page: http://[::1]:9464/'],
    ],
  ])('with %j is said in lines', (options, option, lines) => {
    expect(servedBy(options, 'm')?.option ?? null).toBe(option);
    const told: string[] = [];
    tellServed(options, 9464, (line) => told.push(line));
    expect(told).toEqual(lines);
  });
});
