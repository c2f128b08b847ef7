/** `tspmd get` from servers on the kernel's TCP: nginx, Node and nc. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { coreTotals } from '../support/observe/core-totals.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { type Finished, KERNELS, KernelLab, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { startNginx, startNodeServer } from '../support/peers/kernel-servers.js';
import { command, describeWith } from '../support/requirements.js';
import { CORE_MODES, withCores } from '../support/threads/modes.js';

const SIZE = 20_000_000;
const NGINX = 8001;
const NODE = 8002;
const NC = 8003;
const FETCHER = fileURLToPath(new URL('../../dist/test/support/peers/fetcher.app.js', import.meta.url));

const needs = [...TCP_PEERS, ...['nginx', 'nc.openbsd'].map(command)];

describeWith('tspmd get from servers of the Linux kernel', needs, () => {
  let lab: KernelLab;
  let endpoint: Child | undefined;
  const get = (port: number, path: string, ...options: string[]): Promise<Finished> =>
    lab.tspmd(20, 'get', `http://${KERNELS}:${port}${path}`, ...options);

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('file.bin'), patternBytes(0, SIZE));
    await startNginx(lab, NGINX);
    await startNodeServer(lab, NODE);
  });

  afterEach(async () => {
    await endpoint?.stop();
  });

  afterAll(async () => {
    await lab?.close();
  });

  it.each([
    ['nginx', NGINX, '/file.bin'],
    ['Node, with a length', NODE, `/length/${SIZE}`],
    ['Node, in chunks', NODE, `/chunked/${SIZE}`],
    ['Node, until the connection ends', NODE, `/close/${SIZE}`],
  ])('downloads from %s', async (_, port, path) => {
    const { code, output } = await get(port, path, '--output', lab.file('copy'), '--hash', 'sha256');
    expect(code, output).toBe(0);
    expect(output).toContain(patternHash(SIZE));
    expect(readFileSync(lab.file('copy')).equals(patternBytes(0, SIZE))).toBe(true);
  });

  it('downloads from a server that ends its half of the connection first', async () => {
    const answer = lab.file('answer');
    writeFileSync(answer, Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), patternBytes(0, 1_000_000)]));
    const server = lab.shell(20, `nc.openbsd -l -N ${KERNELS} ${NC} <${answer} >${lab.file('request')}`);
    await lab.untilListening(NC);
    const { code, output } = await get(NC, '/', '--hash', 'sha256');
    expect(code, output).toBe(0);
    expect(output).toContain(patternHash(1_000_000));
    expect((await server).code).toBe(0);
    expect(readFileSync(lab.file('request'), 'latin1')).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
  });

  it('reports a port where nothing listens', async () => {
    const { code, output } = await get(9, '/');
    expect(code).toBe(1);
    expect(output).toContain('ECONNREFUSED');
  });

  it.each([
    ['nginx', NGINX, '/index.txt'],
    ['Node', NODE, '/length/1000'],
  ])('loads %s with 20 connections', async (_, port, path) => {
    writeFileSync(lab.file('index.txt'), patternBytes(0, 1000));
    const { code, output } = await get(port, path, '--connections', '20', '--requests', '2000');
    expect(code, output).toBe(0);
    expect(output).toMatch(/2,?000/);
  });

  // tspmd get itself has one core. Here each core has connections of its own, whose ports bring the answers back to it.
  it.each(CORE_MODES)('answer each of two cores on its own connections, in mode %s', async (mode) => {
    writeFileSync(lab.file('page'), patternBytes(0, 100_000));
    const options = [`address=${KERNELS}`, `port=${NGINX}`, 'path=/page'].flatMap((option) => ['--app-option', option]);
    endpoint = await lab.endpoint('--app', FETCHER, ...options, ...withCores(mode, 2));
    for (const core of [0, 1]) {
      await endpoint.waitFor(new RegExp(`^core ${core}: 20 answers: ${patternHash(100_000)}$`, 'm'));
    }
    // At the other core an answer would have been for no connection, and a RST would have ended it.
    const totals = await coreTotals(endpoint);
    expect(totals.map(({ tcp_opened_active }) => tcp_opened_active)).toEqual([20, 20]);
  });
});
