/** Servers of http, https and http2 under `tspmd exec`: curl, and wrk and h2load, which check every answer. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { type Certificate, makeCertificate } from '../support/peers/certificate.js';
import { type Finished, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const LUA = file('test/support/peers/load.lua');
const SIZE = 5_000_000;
const REQUESTS = 5000;
const BODY = 1000;
const LIMIT = { timeout: 60_000 };
const URLS = {
  http: `http://${OURS}`,
  https: `https://${OURS}`,
  http2: `https://${OURS}:8443`,
  h2c: `http://${OURS}:8080`,
};
const needs = [...TCP_PEERS, ...['curl', 'openssl', 'wrk', 'h2load'].map(command)];

describeWith('servers under tspmd exec', needs, () => {
  let lab: KernelLab;
  let program: Child;
  let certificate: Certificate;

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('upload'), patternBytes(0, SIZE));
    certificate = await makeCertificate(lab, OURS);
    const path = file('dist/test/support/programs/secure.main.js');
    program = await lab.program(/^listening$/m, [path, certificate.key, certificate.cert]);
  });

  afterAll(async () => {
    await program?.stop();
    await lab?.close();
  });

  async function curl(...args: string[]): Promise<string> {
    const { code, stdout, output } = await lab.run(30, 'curl', '-sS', '--fail', '--cacert', certificate.cert, ...args);
    expect(code, output).toBe(0);
    return stdout;
  }

  describe.each([
    ['HTTP/1.1', URLS.http, '--http1.1', '1.1'],
    ['HTTP/1.1 with TLS', URLS.https, '--http1.1', '1.1'],
    ['HTTP/1.1 with TLS, by ALPN', URLS.http2, '--http1.1', '1.1'],
    ['HTTP/2 with TLS, by ALPN', URLS.http2, '--http2', '2.0'],
    ['HTTP/2 without TLS', URLS.h2c, '--http2-prior-knowledge', '2.0'],
  ])('%s', (_, url, option, version) => {
    it('answers curl', async () => {
      expect(await curl(option, `${url}/version`)).toBe(`HTTP/${version}\n`);
    });

    it(`sends and receives ${SIZE} bytes`, LIMIT, async () => {
      const get = `curl -sS --fail --cacert ${certificate.cert} ${option} ${url}/bytes/${SIZE} | sha256sum`;
      expect((await lab.shell(30, get)).output).toBe(`${patternHash(SIZE)}  -\n`);
      expect(await curl(option, '-T', lab.file('upload'), url)).toBe(`${patternHash(SIZE)}\n`);
    });
  });

  // curl 7.88 fails with HTTP/2 without TLS in parallel, whatever the server.
  it.each([
    ['http', '--http1.1'],
    ['https', '--http1.1'],
    ['http2', '--http2'],
  ] as const)('answer 30 parallel requests by %s, %s', async (name, option) => {
    const parallel = ['--parallel', '--parallel-max', '30', '-w', '%{size_download}\\n', '-o', '/dev/null'];
    const sizes = await curl(option, ...parallel, `${URLS[name]}/bytes/[20000-20029]`);
    expect(sizes.trim().split('\n').map(Number).sort()).toEqual(Array.from({ length: 30 }, (_, n) => 20_000 + n));
  });

  it('refuse a client that does not know their certificate', async () => {
    const { code, output } = await lab.run(10, 'curl', '-sS', `${URLS.https}/`);
    expect({ code, output }).toEqual({ code: 60, output: expect.stringContaining('self-signed certificate') });
  });

  it('resume sessions of TLS', async () => {
    const resume = `openssl s_client -connect ${OURS}:443 -reconnect -tls1_2 </dev/null`;
    const { output } = await lab.shell(20, resume);
    expect(output.match(/^Reused, TLSv1\.2/gm), output).toHaveLength(5);
  });

  const counts = async (): Promise<Record<keyof typeof URLS, number>> =>
    JSON.parse(await curl(`${URLS.http}/counts`)) as Record<keyof typeof URLS, number>;

  it.each(['http', 'https'] as const)('answer wrk by %s, each with what belongs to it', LIMIT, async (name) => {
    const before = await counts();
    const { code, output } = await lab.run(40, 'wrk', '-t1', '-c50', '-d2s', '-s', LUA, `${URLS[name]}/number`);
    expect(code, output).toBe(0);
    const [, right, wrong, errors] = /^right (\d+) wrong (\d+) errors (\d+)$/m.exec(output)!.map(Number);
    expect({ wrong, errors }, output).toEqual({ wrong: 0, errors: 0 });
    expect(right).toBeGreaterThan(100);
    // When its time is over, wrk does not wait for the last answer of each connection.
    const answered = (await counts())[name] - before[name];
    expect(answered).toBeGreaterThanOrEqual(right!);
    expect(answered).toBeLessThanOrEqual(right! + 50);
  });

  it.each([
    ['http', ['--h1']],
    ['https', ['--h1']],
    ['http2', []],
    ['h2c', []],
  ] as const)('answer h2load by %s, none too few', LIMIT, async (name, options) => {
    const before = await counts();
    const load = ['-n', String(REQUESTS), '-c', '20', '-m', '10', ...options, `${URLS[name]}/bytes/${BODY}`];
    const { code, output }: Finished = await lab.run(50, 'h2load', ...load);
    expect(code, output).toBe(0);
    const all = REQUESTS;
    expect(output).toContain(
      `${all} total, ${all} started, ${all} done, ${all} succeeded, 0 failed, 0 errored, 0 timeout`,
    );
    expect(output).toContain(`status codes: ${all} 2xx, 0 3xx, 0 4xx, 0 5xx`);
    expect(output).toMatch(new RegExp(`^traffic:.* \\(${all * BODY}\\) data$`, 'm'));
    expect((await counts())[name] - before[name]).toBe(all);
  });
});
