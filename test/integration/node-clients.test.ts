/** The HTTP clients of Node and undici in a program under `tspmd exec`; nginx is the server, also beyond the gateway. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { type Certificate, makeCertificate } from '../support/peers/certificate.js';
import { KERNELS, KernelLab, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { startNginx } from '../support/peers/kernel-servers.js';
import { command, describeWith } from '../support/requirements.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PROGRAM = file('dist/test/support/programs/clients.main.js');
const LIMIT = { timeout: 60_000 };
const SIZE = 2_000_000;
const HASH = patternHash(SIZE);
const TEXT = 'hello from nginx\n';
/** Of RFC 5737: no host of the world has it. */
const BEYOND = '192.0.2.2';
const ROUTER = '192.0.2.1';
const needs = [...TCP_PEERS, ...['nginx', 'openssl', 'nft', 'sysctl'].map(command)];

describeWith('a program under tspmd exec', needs, () => {
  let lab: KernelLab;
  let beyond: NetworkNamespace;
  let certificate: Certificate;
  const servers: Child[] = [];

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('index.txt'), TEXT);
    writeFileSync(lab.file('file.bin'), patternBytes(0, SIZE));
    certificate = await makeCertificate(lab, KERNELS, BEYOND);
    beyond = NetworkNamespace.create();
  });

  afterAll(async () => {
    for (const server of servers) await server.stop();
    await lab?.close();
    beyond?.remove();
  });

  /** Runs the program to its end; returns what it got, by step. */
  async function results(address: string, ...options: string[]): Promise<Map<string, unknown>> {
    const urls = [`http://${address}:8001`, `https://${address}:8002`];
    const program = await lab.program(/^size/m, [PROGRAM, ...urls, certificate.cert, String(SIZE)], {
      options,
      env: { NODE_EXTRA_CA_CERTS: certificate.cert },
    });
    expect(await program.exited, program.output).toEqual({ code: 0, signal: null });
    const lines = program.stdout.matchAll(/^(\S+) (.*)$/gm);
    return new Map([...lines].map(([, step, json]) => [step!, JSON.parse(json!) as unknown]));
  }

  const EXPECTED = {
    size: String(SIZE),
    fetch: { status: 200, type: 'text/plain', text: TEXT },
    'fetch-large': HASH,
    'fetch-parallel': 1,
    'fetch-secure': TEXT,
    'fetch-404': 404,
    'fetch-aborted': 'AbortError',
    'fetch-refused': 'ECONNREFUSED',
    https: TEXT,
    'https-sockets': 1,
    'https-large': HASH,
    'https-unknown': 'DEPTH_ZERO_SELF_SIGNED_CERT',
    http2: { protocol: 'h2', hashes: [HASH] },
    undici: { statusCode: 200, hash: HASH },
    'undici-pool': 1,
    'undici-h2': TEXT,
    'undici-aborted': 'AbortError',
    done: null,
  };

  it('gets pages and files by fetch, https, http2 and undici', LIMIT, async () => {
    servers.push(await startNginx(lab, 8001), await startNginx(lab, 8002, { certificate }));
    expect(Object.fromEntries(await results(KERNELS))).toEqual(EXPECTED);
  });

  it('gets them from a host beyond the gateway, and so does tspmd get', LIMIT, async () => {
    const { namespace } = lab;
    namespace.ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out0', 'netns', beyond.name);
    namespace.ip('addr', 'add', `${ROUTER}/24`, 'dev', 'out0');
    namespace.ip('link', 'set', 'out0', 'up');
    beyond.ip('addr', 'add', `${BEYOND}/24`, 'dev', 'out0');
    beyond.ip('link', 'set', 'out0', 'up');
    const start = beyond.spawn.bind(beyond);
    servers.push(await startNginx(lab, 8001, { address: BEYOND, start }));
    servers.push(await startNginx(lab, 8002, { address: BEYOND, start, certificate }));
    const gateway = ['--gateway', KERNELS];
    const get = ['get', ...gateway, `http://${BEYOND}:8001/file.bin`, '--hash', 'sha256', '--timeout', '2'];
    // Nobody forwards yet; and the host beyond knows no way back to 10.0.0.0/24.
    expect((await lab.tspmd(20, ...(get as [string]))).code).toBe(1);
    for (const line of wayOut()) {
      const { code, output } = await lab.shell(10, line);
      expect(code, output).toBe(0);
    }
    const got = await lab.tspmd(20, ...(get as [string]));
    expect(got.code, got.output).toBe(0);
    expect(got.output).toContain(HASH);
    expect(Object.fromEntries(await results(BEYOND, ...gateway))).toEqual(EXPECTED);
  });
});

/** The commands of docs/kernel.md, which its reader types, too. */
function wayOut(): string[] {
  const [, section = ''] = readFileSync(file('docs/kernel.md'), 'utf8').split('## The way out\n');
  const [, block = ''] = /```sh\n(.*?)```/s.exec(section) ?? [];
  const lines = block.split('\n').filter((line) => line.startsWith('sudo '));
  expect(lines).toHaveLength(3);
  return lines.map((line) => line.slice('sudo '.length));
}
