/** `tspmd get`: its URL, its downloads and its load generator, on connections without a network. */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PATTERN, PATTERN_BYTES } from '../../../../../src/apps/http/pattern-body.js';
import { HttpServer } from '../../../../../src/apps/http/server.js';
import { Download } from '../../../../../src/cli/get/download.js';
import { Latencies } from '../../../../../src/cli/get/latencies.js';
import { Load, type LoadOptions } from '../../../../../src/cli/get/load.js';
import { loadJson, loadText } from '../../../../../src/cli/get/load-report.js';
import { Output } from '../../../../../src/cli/get/output.js';
import { parseTarget } from '../../../../../src/cli/get/target.js';
import { FakeWire } from '../../../../support/apps/fake-wire.js';
import { temporaryDirectory } from '../../../../support/resources.js';

let folder: { path: string; remove: () => void };
const file = (name: string): string => join(folder.path, name);

beforeEach(() => {
  folder = temporaryDirectory();
});

afterEach(() => folder.remove());

describe('a URL', () => {
  it('is read with its defaults', () => {
    expect(parseTarget('http://10.0.0.2')).toMatchObject({
      address: '10.0.0.2',
      port: 80,
      host: '10.0.0.2',
      path: '/',
    });
    expect(parseTarget('HTTP://10.0.0.2:8080/a b?c=d#e')).toMatchObject({
      ...{ address: '10.0.0.2', port: 8080, host: '10.0.0.2:8080', path: '/a%20b?c=d' },
    });
  });

  it('may have a name that the file of hosts knows', () => {
    writeFileSync(file('hosts'), '# 10.0.0.3 web\n::1 web\n10.0.0.4\tother  Web # comment\n10.0.0.5 web\n');
    expect(parseTarget('http://WEB:81/', file('hosts'))).toMatchObject({
      address: '10.0.0.4',
      port: 81,
      host: 'web:81',
    });
    expect(() => parseTarget('http://none/', file('hosts'))).toThrow(/there is no DNS yet.*no IPv4 address of none/);
    expect(() => parseTarget('http://web/', file('nothing'))).toThrow(/there is no DNS yet/);
  });

  it.each([
    ['10.0.0.2', /not a URL/],
    ['https://10.0.0.2/', /only http: is possible, not https:/],
    ['http://u:p@10.0.0.2/', /a user and a password/],
    ['http://', /not a URL/],
  ])('%s is refused', (url, message) => {
    expect(() => parseTarget(url)).toThrow(message);
  });
});

describe('a download', () => {
  function lab(path: string, name: string | null, options = {}) {
    const wire = new FakeWire({ piece: (all) => Math.min(all, 1460), ...options });
    const server = new HttpServer(null);
    wire.tcp.listen({ port: 80 }, server);
    let drained = (): void => {};
    const output = new Output(name, 'sha256', () => drained());
    const download = new Download(wire.tcp, parseTarget(`http://10.0.0.2${path}`), 1000, output);
    drained = () => download.drained();
    let isSettled = false;
    const settled = download.finished.finally(() => {
      isSettled = true;
    });
    settled.catch(() => {});
    return { wire, server, output, download, isOver: () => isSettled };
  }

  it('writes the content to a file, and hashes it', async () => {
    const size = 5_000_000;
    const { wire, output, download, isOver } = lab(`/bytes/${size}`, file('f'));
    await wire.runUntil(isOver);
    expect(await download.finished).toMatchObject({ status: 200, bytes: size, retransmitted: 0 });
    await output.end();
    const expected = Buffer.alloc(size);
    for (let at = 0; at < size; at += PATTERN_BYTES)
      expected.set(PATTERN.subarray(0, Math.min(PATTERN_BYTES, size - at)), at);
    expect(readFileSync(file('f')).equals(expected)).toBe(true);
    expect(output.digest()).toBe(createHash('sha256').update(expected).digest('hex'));
    wire.run();
    await download.gone;
  });

  it('fails with the status, and writes nothing', async () => {
    const { wire, download, isOver } = lab('/none', null);
    await wire.runUntil(isOver);
    await expect(download.finished).rejects.toThrow('404 Not Found');
    await download.gone;
  });

  it('fails when the file cannot be written', async () => {
    const { wire, download, isOver } = lab('/bytes/5000000', file('none/f'));
    await wire.runUntil(isOver);
    await expect(download.finished).rejects.toThrow(/cannot write the content: ENOENT/);
    await download.gone;
  });

  it('fails when the server is silent or refuses', async () => {
    const wire = new FakeWire();
    wire.tcp.listen({ port: 80 }, {});
    const output = new Output(null, null, () => {});
    const silent = new Download(wire.tcp, parseTarget('http://10.0.0.2/'), 1, output);
    wire.run();
    await expect(silent.finished).rejects.toThrow('10.0.0.2 port 80 did not answer in 0.001 s');
    const refused = new Download(wire.tcp, parseTarget('http://10.0.0.2:81/'), 1000, output);
    wire.run();
    await expect(refused.finished).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the load generator', () => {
  const DEFAULTS: LoadOptions = { connections: 8, requests: 1000, keepAlive: true, timeoutMs: 5000 };

  async function run(options: Partial<LoadOptions>, url: string, server: HttpServer | null) {
    const wire = new FakeWire({ piece: (all) => Math.min(all, 1460) });
    if (server !== null) wire.tcp.listen({ port: 80 }, server);
    const target = parseTarget(url);
    const load = new Load(wire.tcp, target, { ...DEFAULTS, ...options });
    let isOver = false;
    void load.finished.then(() => {
      isOver = true;
    });
    await wire.runUntil(() => isOver);
    return { result: await load.finished, target };
  }

  it('sends so many requests over so many connections', async () => {
    const server = new HttpServer(null);
    const { result, target } = await run({}, 'http://10.0.0.2/bytes/2000', server);
    expect(result).toMatchObject({
      ...{
        requests: 1000,
        done: 1000,
        failed: 0,
        connections: 8,
        bytes: 2_000_000,
        statuses: { 200: 1000 },
        errors: {},
      },
    });
    const { p50, p90, p99, p999, max } = result.latencyUs;
    expect([p50, p90, p99, p999, max]).toEqual([p50, p90, p99, p999, max].sort((a, b) => a - b));
    expect(p50).toBeGreaterThan(0);
    expect(server.report()).toMatchObject({ http_connections: 8, http_requests: 1000, http_open: 0 });
    expect(JSON.parse(JSON.stringify(loadJson(target, result)))).toMatchObject({
      ...{ url: 'http://10.0.0.2/bytes/2000', requests: 1000, requestsPerSecond: expect.any(Number) },
    });
    expect(loadText(result)).toMatch(
      /^requests {2}1,000 of 1,000 answered in \d+\.\d\d s, 0 failed; 8 connections opened$/m,
    );
  });

  it('opens a connection per request without keep-alive', async () => {
    const server = new HttpServer(null);
    const { result } = await run({ requests: 100, keepAlive: false }, 'http://10.0.0.2/', server);
    expect(result).toMatchObject({ done: 100, failed: 0, connections: 100 });
    expect(server.report()).toMatchObject({ http_connections: 100, http_requests: 100, http_open: 0 });
  });

  it('counts statuses and failures by kind', async () => {
    const { result: missing } = await run({ requests: 50 }, 'http://10.0.0.2/none', new HttpServer(null));
    expect(missing).toMatchObject({ done: 50, failed: 0, statuses: { 404: 50 } });
    const { result: refused } = await run({ requests: 50 }, 'http://10.0.0.2/', null);
    expect(refused).toMatchObject({
      done: 0,
      failed: 50,
      errors: { connect: { count: 50, example: 'ECONNREFUSED: refused' } },
    });
    expect(loadText(refused)).toContain('failed    connect: 50, such as: ECONNREFUSED: refused');
  });

  it('gives up a request that takes too long', async () => {
    const wire = new FakeWire();
    wire.tcp.listen({ port: 80 }, {});
    const load = new Load(wire.tcp, parseTarget('http://10.0.0.2/'), {
      ...DEFAULTS,
      connections: 2,
      requests: 4,
      timeoutMs: 1,
    });
    let isOver = false;
    void load.finished.then(() => {
      isOver = true;
    });
    while (!isOver) {
      wire.run();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await load.finished).toMatchObject({ done: 0, failed: 4, errors: { timeout: { count: 4 } } });
  });
});

describe('latencies', () => {
  it('have their percentiles with three digits', () => {
    const latencies = new Latencies();
    expect(latencies.summary()).toEqual({ p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
    for (let i = 1; i <= 1000; i++) latencies.record(i / 1000);
    const { p50, p90, p99, p999, max } = latencies.summary();
    for (const [value, expected] of [
      [p50, 500],
      [p90, 900],
      [p99, 990],
      [p999, 999],
      [max, 1000],
    ] as const) {
      expect(Math.abs(value - expected)).toBeLessThanOrEqual(expected / 500);
    }
  });
});
