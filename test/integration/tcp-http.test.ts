/** The app `http` with the kernel's clients: curl, wrk and ab, in each thread layout. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { coreTotals } from '../support/observe/core-totals.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { KERNELS, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

/** Bytes of the large transfers. */
const LARGE = process.env.TSPMD_LONG === undefined ? 50_000_000 : 1_000_000_000;
/** Seconds that one of them may take. */
const LIMIT_S = LARGE / 2_500_000;
const LIMIT = { timeout: LIMIT_S * 1000 + 20_000 };
const SMALL = 5_000_000;
const PARALLEL = 100;
const FIRST_SIZE = 100_001;
const SERVER = `http://${OURS}`;
/** What no segment of ours may be. */
const FAULTS = ['bad checksum', 'malformed', 'zero window', 'reset'] as const;
/** What is looked at of a report. */
const REPORTED = ['http_open', 'http_connections', 'tcp_connections', 'tcp_memory'] as const;
/** Tail loss probes: at most one for each of two transfers. */
const PROBES = 2;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describeWith('http for the clients of the Linux kernel', [...TCP_PEERS, command('curl'), command('wrk')], () => {
  let lab: KernelLab;

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('large'), patternBytes(0, LARGE));
    writeFileSync(lab.file('small'), patternBytes(0, SMALL));
  });

  afterAll(async () => {
    await lab?.close();
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    let endpoint: Child;

    beforeAll(async () => {
      endpoint = await lab.endpoint('--app', 'http', ...MODES[mode]);
    });

    afterAll(async () => {
      await endpoint?.stop();
    });

    it('serves a page', async () => {
      const { code, output } = await lab.run(10, 'curl', '-sS', '-i', '--fail', `${SERVER}/`);
      expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('HTTP/1.1 200 OK') });
    });

    it(`sends ${LARGE} bytes`, LIMIT, async () => {
      const { code, output } = await lab.shell(LIMIT_S, `curl -sS --fail ${SERVER}/bytes/${LARGE} | sha256sum`);
      expect({ code, output }).toEqual({ code: 0, output: `${patternHash(LARGE)}  -\n` });
    });

    it(`receives ${LARGE} bytes`, LIMIT, async () => {
      const put = ['-sS', '--fail', '-T', lab.file('large'), `${SERVER}/sink?hash=sha256`];
      const { code, output } = await lab.run(LIMIT_S, 'curl', ...put);
      expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining(patternHash(LARGE)) });
    });

    it(`serves ${PARALLEL} parallel downloads`, async () => {
      const urls = `${SERVER}/bytes/[${FIRST_SIZE}-${FIRST_SIZE + PARALLEL - 1}]`;
      const parallel = ['--parallel', '--parallel-immediate', '--parallel-max', String(PARALLEL)];
      const { code, output } = await lab.run(15, 'curl', '-sS', '--fail', ...parallel, '-o', lab.file('part-#1'), urls);
      expect(code, output).toBe(0);
      for (let size = FIRST_SIZE; size < FIRST_SIZE + PARALLEL; size++) {
        expect(sha256(readFileSync(lab.file(`part-${size}`)))).toBe(patternHash(size));
      }
    });

    it('answers wrk with 50 connections', async () => {
      const { code, output } = await lab.run(15, 'wrk', '-t', '1', '-c', '50', '-d', '1s', `${SERVER}/`);
      expect(code, output).toBe(0);
      expect(Number(/^\s*(\d+) requests in/m.exec(output)?.[1]), output).toBeGreaterThan(0);
      expect(output).not.toMatch(/Socket errors|Non-2xx/);
    });
  });
});

// With offloads, a capture has packets whose checksums are not done yet, and segments that do not exist on any wire.
describeWith('http without offloads, in a capture', [...TCP_PEERS, command('curl'), command('ethtool')], () => {
  let lab: KernelLab;

  beforeAll(async () => {
    lab = await KernelLab.start();
    await lab.endOffloads();
    writeFileSync(lab.file('small'), patternBytes(0, SMALL));
  });

  afterAll(async () => {
    await lab?.close();
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    let endpoint: Child;

    beforeAll(async () => {
      endpoint = await lab.endpoint('--app', 'http', '--offloads', 'off', ...MODES[mode]);
    });

    afterAll(async () => {
      await endpoint?.stop();
    });

    it('sends nothing twice, no bad checksum and no zero window', async () => {
      const before = await lab.dropsToKernel();
      const capture = await lab.capture(`clean-${mode}`);
      const transfers = `curl -sS --fail ${SERVER}/bytes/${SMALL} | sha256sum; curl -sS --fail -T ${lab.file('small')} ${SERVER}/sink`;
      const { code, output } = await lab.shell(30, transfers);
      const findings = await capture.finish();
      expect(code, output).toBe(0);
      expect(output).toContain(patternHash(SMALL));
      expect(findings.lines(['bad checksum', 'malformed'], KERNELS)).toEqual([]);
      const faults = findings.lines(FAULTS, OURS);
      expect(faults.length, faults.slice(0, 20).join('\n')).toBe(0);
      // A segment is repeated because it was dropped, or as a tail loss probe, when a busy machine delays the ACK.
      const repeated = findings.lines(['retransmission'], OURS);
      const dropped = (await lab.dropsToKernel()) - before;
      expect(repeated.length, repeated.join('\n')).toBeLessThanOrEqual(dropped + PROBES);
    });
  });
});

describeWith('files of http for the Linux kernel', [...TCP_PEERS, command('curl'), command('ab')], () => {
  let lab: KernelLab;
  const bytes = patternBytes(7, 3_000_007);

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('file.bin'), bytes);
  });

  afterAll(async () => {
    await lab?.close();
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    let endpoint: Child;

    beforeAll(async () => {
      endpoint = await lab.endpoint('--app', 'http', '--app-option', `root=${lab.file('')}`, ...MODES[mode]);
    });

    afterAll(async () => {
      await endpoint?.stop();
    });

    /** The sums over the cores of what the app reports now. */
    async function report(): Promise<Record<(typeof REPORTED)[number], number>> {
      const cores = await coreTotals(endpoint);
      expect(cores).toHaveLength(stackCores(mode));
      const sum = (name: string): number => cores.reduce((all, core) => all + (core[name] ?? 0), 0);
      return Object.fromEntries(REPORTED.map((name) => [name, sum(name)])) as Awaited<ReturnType<typeof report>>;
    }

    it.each([
      ['a part', '1000-1999', 1000, 2000],
      ['the first byte', '0-0', 0, 1],
      ['the end', '2000000-', 2_000_000, bytes.length],
      ['the last bytes', '-12345', bytes.length - 12_345, bytes.length],
    ])('sends a range: %s', async (_, range, from, end) => {
      const { code, output } = await lab.shell(10, `curl -sS --fail -r ${range} ${SERVER}/file.bin | sha256sum`);
      expect({ code, output }).toEqual({ code: 0, output: `${sha256(bytes.subarray(from, end))}  -\n` });
    });

    it('lets a client resume a download', async () => {
      writeFileSync(lab.file('copy'), bytes.subarray(0, 1_234_567));
      const resume = ['-sS', '--fail', '-C', '-', '-o', lab.file('copy'), `${SERVER}/file.bin`];
      const { code, output } = await lab.run(10, 'curl', ...resume);
      expect(code, output).toBe(0);
      expect(sha256(readFileSync(lab.file('copy')))).toBe(sha256(bytes));
    });

    it.each([
      ['with keep-alive', ['-k']],
      ['with a connection per request', []],
    ])('answers ab %s', async (_, options) => {
      const { code, output } = await lab.run(
        15,
        'ab',
        '-q',
        '-n',
        '1000',
        '-c',
        '20',
        ...options,
        `${SERVER}/bytes/5000`,
      );
      expect(code, output).toBe(0);
      expect(output).toMatch(/^Complete requests:\s+1000$/m);
      expect(output).toMatch(/^Failed requests:\s+0$/m);
      expect(output).toMatch(/^HTML transferred:\s+5000000 bytes$/m);
      expect(output).not.toMatch(/Non-2xx/);
    });

    it.each([
      ['downloads', ['-o', '/dev/null', `${SERVER}/bytes/1000000000`]],
      ['uploads', ['-T', '/dev/zero', `${SERVER}/sink`]],
    ])('forgets the connections of %s whose client was killed', async (_, transfer) => {
      const before = await report();
      const clients = Array.from({ length: 10 }, () => lab.start('curl', '-sS', '--limit-rate', '1M', ...transfer));
      await expect.poll(async () => (await report()).http_open, { timeout: 10_000 }).toBe(10);
      for (const client of clients) await client.stop('SIGKILL');
      await expect.poll(report, { timeout: 10_000 }).toMatchObject({ http_open: 0, tcp_connections: 0, tcp_memory: 0 });
      expect((await report()).http_connections - before.http_connections).toBe(10);
      const { code, output } = await lab.run(10, 'curl', '-sS', '--fail', `${SERVER}/bytes/10`);
      expect(code, output).toBe(0);
    });
  });
});
