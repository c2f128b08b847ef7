/** Metrics as text, and the server that gives it. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { RequestError } from '../../../../observe/control/requests.js';
import { isLoopback } from '../../../../observe/http/hosts.js';
import { HttpServer } from '../../../../observe/http/server.js';
import { contentTypeFor, expose } from '../../../../observe/metrics/exposition.js';
import { Families, type Family } from '../../../../observe/metrics/family.js';
import { metricsRoute } from '../../../../observe/metrics/route.js';

function some(): Family[] {
  const families = new Families();
  families.counter('tspmd_x_packets', 'some packets', 3, { core: 0, reason: 'a "quoted"\nline\\' });
  families.gauge('tspmd_held_buffers', 'buffers', 1.5);
  families.counter('tspmd_x_packets', 'some packets', 4, { core: 1, reason: '' });
  const buckets = [
    { upTo: 0.001, count: 2 },
    { upTo: Number.POSITIVE_INFINITY, count: 5 },
  ];
  return [
    ...families.all,
    { name: 'tspmd_rtt_seconds', help: 'rtt', type: 'histogram', samples: [{ labels: { core: 0 }, buckets, sum: 7 }] },
  ];
}

describe('the text of metrics', () => {
  it('is that of Prometheus, or OpenMetrics for those who accept it', async () => {
    expect(contentTypeFor(undefined)).toContain('text/plain');
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4';
    expect(contentTypeFor(accept)).toContain('application/openmetrics-text; version=1.0.0');
    const text = await expose(some(), contentTypeFor(undefined));
    expect(text.split('\n')).toEqual([
      '# HELP tspmd_x_packets_total some packets',
      '# TYPE tspmd_x_packets_total counter',
      'tspmd_x_packets_total{core="0",reason="a \\"quoted\\"\\nline\\\\"} 3',
      'tspmd_x_packets_total{core="1",reason=""} 4',
      '',
      '# HELP tspmd_held_buffers buffers',
      '# TYPE tspmd_held_buffers gauge',
      'tspmd_held_buffers 1.5',
      '',
      '# HELP tspmd_rtt_seconds rtt',
      '# TYPE tspmd_rtt_seconds histogram',
      'tspmd_rtt_seconds_bucket{core="0",le="0.001"} 2',
      'tspmd_rtt_seconds_bucket{core="0",le="+Inf"} 5',
      'tspmd_rtt_seconds_sum{core="0"} 7',
      'tspmd_rtt_seconds_count{core="0"} 5',
      '',
    ]);
    const open = await expose(some(), contentTypeFor(accept));
    expect(open).toContain('# TYPE tspmd_x_packets counter\ntspmd_x_packets_total{core="0"');
    expect(open.endsWith('\n# EOF\n')).toBe(true);
  });
});

describe('the server of metrics', () => {
  let server: HttpServer | null = null;

  afterEach(async () => {
    await server?.close();
    server = null;
  });

  const serve = (host: string, port: number, families: () => Promise<Family[]>): Promise<HttpServer> =>
    HttpServer.open({ host, port }, '--metrics', new Map([['/metrics', metricsRoute(families)]]));
  const open = async (families: () => Promise<Family[]>, host = '127.0.0.1'): Promise<void> => {
    server = await serve(host, 0, families);
  };

  function ask(path: string, method = 'GET', host?: string): Promise<{ status: number; text: string; type: string }> {
    return new Promise((resolve, reject) => {
      const headers = host === undefined ? {} : { host };
      const request = httpRequest({ port: server!.port, path, method, headers, agent: false }, async (response) => {
        let text = '';
        for await (const part of response.setEncoding('utf8')) text += part as string;
        resolve({ status: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' });
      });
      request.on('error', reject).end();
    });
  }

  it('gives the metrics, and nothing else', async () => {
    await open(async () => some());
    const { status, text, type } = await ask('/metrics?x=1');
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(text).toContain('tspmd_held_buffers 1.5');
    expect(await ask('/metrics', 'HEAD')).toMatchObject({ status: 200, text: '' });
    expect(await ask('/')).toMatchObject({ status: 404, text: 'there is: /metrics\n' });
    expect(await ask('/metrics', 'POST')).toMatchObject({ status: 405 });
  });

  it('is for this machine only, also for a web page that has a name for it', async () => {
    await open(async () => some());
    expect(await ask('/metrics', 'GET', 'evil.example:80')).toMatchObject({ status: 403 });
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:9'])
      expect(await ask('/metrics', 'GET', host)).toMatchObject({ status: 200 });
    const hosts = ['127.8.9.1', '::1', 'localhost', '0.0.0.0', '::', '10.0.0.1', 'example.test'];
    expect(hosts.filter(isLoopback)).toEqual(hosts.slice(0, 3));
  });

  it('says why there are no metrics', async () => {
    await open(async () => {
      throw new RequestError('it has not opened tap0 yet');
    });
    expect(await ask('/metrics')).toMatchObject({ status: 503, text: 'it has not opened tap0 yet\n' });
  });

  it('says in one line that an address is in use', async () => {
    await open(async () => some());
    await expect(serve('127.0.0.1', server!.port, async () => [])).rejects.toThrow(
      new RegExp(`^--metrics 127\\.0\\.0\\.1:${server!.port}: .*EADDRINUSE`),
    );
  });

  it('serves others while clients send halves, pipeline, or do not read', async () => {
    await open(async () => some());
    const sockets = Array.from({ length: 20 }, () => connect({ port: server!.port, host: '127.0.0.1' }));
    for (const [i, socket] of sockets.entries()) {
      socket.on('error', () => undefined).pause();
      socket.write(i % 2 === 0 ? 'GET /metrics HT' : 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(50));
    }
    expect(await ask('/metrics')).toMatchObject({ status: 200 });
    for (const socket of sockets) socket.destroy();
  });
});
