/**
 * The apps over TCP and `tspmd get`, in two endpoints over the embedded switch. test/integration/tcp-*.test.ts has Linux
 * as the peer.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { isPatternAt, PATTERN, PATTERN_BYTES } from '../../src/apps/http/pattern-body.js';
import { init } from '../../src/index.js';
import { TcpIp } from '../../src/tcpip/index.js';
import { FlowNetwork, totalsOf } from '../support/flows/flow-network.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const LIMIT = { timeout: 60_000 };
const SIZE = 10_000_000;
const EXAMPLE = fileURLToPath(new URL('../../dist/examples/tcp-echo.js', import.meta.url));

function patternHash(size: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < size; at += PATTERN_BYTES) hash.update(PATTERN.subarray(0, Math.min(PATTERN_BYTES, size - at)));
  return hash.digest('hex');
}

describe.each(ALL_MODES)('in mode %s', (mode) => {
  let network: FlowNetwork;

  beforeAll(async () => {
    network = await FlowNetwork.open();
  });

  afterEach(() => network.stopEndpoints());
  afterAll(() => network.close());

  const get = (...args: string[]): Child => network.tspmd('get', ...network.endpointWithMac(1), ...args);

  it('http: tspmd get gets 10 MB with the right hash, and loads it with requests', LIMIT, async () => {
    const server = await network.startEndpoint(2, 'http', ...MODES[mode]);
    const url = `http://10.0.0.2/bytes/${SIZE}`;

    const hashed = get(url, '--hash', 'sha256');
    expect(await hashed.exited, hashed.output).toEqual({ code: 0, signal: null });
    expect(hashed.stdout).toBe(`${patternHash(SIZE)}  ${url}\n`);

    const file = network.file('ten');
    const written = get(url, '--output', file, '--json');
    expect(await written.exited, written.output).toEqual({ code: 0, signal: null });
    expect(JSON.parse(written.stdout)).toMatchObject({ url, status: 200, bytes: SIZE });
    const content = readFileSync(file);
    expect(content).toHaveLength(SIZE);
    expect(isPatternAt(0, content, 0, SIZE)).toBe(true);

    const loaded = get('http://10.0.0.2/bytes/1000', '--connections', '8', '--requests', '1000', '--json');
    expect(await loaded.exited, loaded.output).toEqual({ code: 0, signal: null });
    const load = JSON.parse(loaded.stdout);
    expect(load).toMatchObject({ requests: 1000, done: 1000, failed: 0, connections: 8, bytes: 1_000_000, errors: {} });
    expect(load.statuses).toEqual({ 200: 1000 });
    expect(load.latencyUs.max).toBeGreaterThanOrEqual(load.latencyUs.p50);

    const short = get('http://10.0.0.2/', '--connections', '4', '--requests', '40', '--no-keep-alive');
    expect(await short.exited, short.output).toEqual({ code: 0, signal: null });
    expect(short.stdout).toMatch(/^requests +40 of 40 answered in [\d.]+ s, 0 failed; 40 connections opened$/m);
    expect(short.stdout).toMatch(/^latency +p50 [\d.]+ µs, p90 .* p99\.9 .* max [\d.]+ µs$/m);

    const { all } = await totalsOf(server);
    // Counters that are 0 are left out.
    expect({ http_errors: 0, http_open: 0, ...all }).toMatchObject({
      http_connections: 1 + 1 + 8 + 40,
      http_requests: 2 + 1000 + 40,
      http_errors: 0,
      http_open: 0,
    });
  });

  it.each([
    ['the app', 'tcp-echo'],
    ['the example', EXAMPLE],
  ])('tcp-echo: %s sends back what came, also to a peer that does not read', LIMIT, async (_name, app) => {
    await network.startEndpoint(2, app, ...MODES[mode]);
    const device = `vhost-user:${network.socket(1)}`;
    const port = await init({ device, ip: '10.0.0.1/24', mac: '52:54:00:00:00:01', hugepages: 'never' });
    const stop = new AbortController();
    const net = new TcpIp(port.core());
    const running = net.run(stop.signal);
    try {
      let sent = 0;
      let received = 0;
      let hasEnded = false;
      const size = 4_000_000;
      const error = await new Promise<Error | null>((resolve) => {
        const c = net.tcp.connect(
          { address: '10.0.0.2', port: 7, sendBuffer: 65_536, receiveBuffer: 65_536 },
          {
            open: () => send(),
            drain: () => send(),
            data(_c, bytes, offset, length) {
              for (let i = 0; i < length; i++) {
                if (bytes[offset + i] !== (received + i) % 251) return c.abort();
              }
              received += length;
            },
            end: () => {
              hasEnded = true;
            },
            close: (_c, reason) => resolve(reason),
          },
        );
        const block = Uint8Array.from({ length: 251 * 100 }, (_, i) => i % 251);
        const send = (): void => {
          while (sent < size) {
            const from = sent % 251;
            const length = Math.min(block.length - from, size - sent);
            const taken = c.write(block, from, length);
            sent += taken;
            if (taken < length) {
              // Now nothing goes any more, unless we read.
              c.pause();
              setTimeout(() => c.resume(), 20);
              return;
            }
          }
          c.end();
        };
      });
      expect(error).toBeNull();
      expect({ sent, received, hasEnded }).toEqual({ sent: size, received: size, hasEnded: true });
    } finally {
      stop.abort();
      await running;
      await port.stop();
    }
  });
});

describe('tspmd get', () => {
  let network: FlowNetwork;

  beforeAll(async () => {
    network = await FlowNetwork.open();
    writeFileSync(network.file('hello.txt'), 'hello\n');
    const root = network.file('');
    await network.startEndpoint(2, 'http', '--app-option', `root=${root}`);
  });

  afterAll(() => network.close());

  const get = async (...args: string[]) => {
    const child = network.tspmd('get', ...network.endpointWithMac(1), ...args);
    const { code } = await child.exited;
    return { code, stdout: child.stdout, errors: child.output.replace(child.stdout, '') };
  };

  it('writes the content to stdout', LIMIT, async () => {
    expect(await get('http://10.0.0.2/hello.txt')).toMatchObject({ code: 0, stdout: 'hello\n' });
    const hashed = await get('http://10.0.0.2/hello.txt', '--output', '-', '--hash', 'md5');
    expect(hashed).toMatchObject({ code: 0, stdout: 'hello\n' });
    expect(hashed.errors).toContain('b1946ac92492d2347c6235b4d2611184  http://10.0.0.2/hello.txt');
  });

  it.each([
    ['http://10.0.0.2/none', 'http://10.0.0.2/none: 404 Not Found'],
    ['http://10.0.0.2:81/', 'http://10.0.0.2:81/: ECONNREFUSED'],
    ['http://10.0.0.77/', 'http://10.0.0.77/: ', 'ARP was never answered'],
    ['http://10.1.0.1/', 'http://10.1.0.1/: ', 'no route to 10.1.0.1: it is not on our link'],
  ])('fails with one line and code 1: %s', LIMIT, async (url, message, reason = '') => {
    const { code, stdout, errors } = await get(url, '--timeout', '2');
    expect(code, errors).toBe(1);
    expect(stdout).toBe('');
    const lines = errors.split('\n').filter((line) => line.includes('http://'));
    expect(lines, errors).toHaveLength(1);
    expect(lines[0]).toContain(`tspmd: ${message}`);
    expect(lines[0]).toContain(reason);
  });

  it.each([
    [['https://10.0.0.2/'], 'only http: is possible'],
    [['http://no-such-name/'], 'there is no DNS yet'],
    [['http://10.0.0.2/', '--hash', 'crc'], "'crc' is invalid"],
    [['http://10.0.0.2/', '--requests', '0'], "'0' is not a whole number"],
  ])('refuses %j with code 2', LIMIT, async (args, message) => {
    const { code, errors } = await get(...args);
    expect(code, errors).toBe(2);
    expect(errors).toContain(message);
  });

  it('fails when the load has failures', LIMIT, async () => {
    const { code, stdout } = await get('http://10.0.0.2:81/', '--connections', '2', '--requests', '4');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed +connect: 4, such as: ECONNREFUSED/m);
  });
});
