/** Programs under `tspmd exec` on a tap interface, for curl on the kernel's end, as the page docs/node.md shows it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const SIZE = 5_000_000;
const KERNELS = '10.0.0.9';
const DEVICE = ['--device', `tap:tap0,host=${KERNELS}/24`, '--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01'];
const needs = [root, tun, ...['ip', 'curl', 'openssl', 'dnsmasq'].map(command)];

describeWith('tspmd exec on a tap interface', needs, () => {
  let namespace: NetworkNamespace;
  let folder: ReturnType<typeof temporaryDirectory>;
  let program: Child;

  beforeEach(() => {
    namespace = NetworkNamespace.create();
    folder = temporaryDirectory();
  });

  afterEach(async () => {
    await program?.stop();
    namespace.remove();
    folder.remove();
  });

  async function start(text: string, ...options: string[]): Promise<void> {
    const file = join(folder.path, 'program.mjs');
    writeFileSync(file, text);
    program = namespace.tspmd('exec', ...DEVICE, ...options, file);
    await program.waitFor(/^listening/m);
  }

  async function curl(...args: string[]): Promise<string> {
    const child = namespace.spawn('curl', '-sS', '--fail', '--max-time', '15', ...args);
    const { code } = await child.exited;
    expect(code, child.output).toBe(0);
    return child.stdout;
  }

  it('serves and takes large bodies', async () => {
    writeFileSync(join(folder.path, 'bytes'), patternBytes(0, SIZE));
    await start(`
      import { createHash } from 'node:crypto';
      import { readFileSync } from 'node:fs';
      import { createServer } from 'node:http';
      const bytes = readFileSync('${join(folder.path, 'bytes')}');
      createServer((request, response) => {
        if (request.method === 'GET') return response.end(bytes);
        const hash = createHash('sha256');
        request.on('data', (chunk) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
      }).listen(80, () => console.log('listening'));`);
    await curl('http://10.0.0.1/', '-o', join(folder.path, 'copy'));
    const copy = execFileSync('sha256sum', [join(folder.path, 'copy')], { encoding: 'utf8' });
    expect(copy.split(' ')[0]).toBe(createHash('sha256').update(patternBytes(0, SIZE)).digest('hex'));
    expect(await curl('http://10.0.0.1/', '-T', join(folder.path, 'bytes'))).toBe(patternHash(SIZE));
  });

  it('serves https and http2, and is its client', async () => {
    const [key, certificate] = [join(folder.path, 'key.pem'), join(folder.path, 'certificate.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:10.0.0.1', '-days', '1'];
    execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    await start(`
      import { readFileSync } from 'node:fs';
      import { createSecureServer } from 'node:http2';
      import https from 'node:https';
      import net from 'node:net';
      import tls from 'node:tls';
      const GET = 'GET / HTTP/1.0\\r\\n\\r\\n';
      const key = readFileSync('${key}'), cert = readFileSync('${certificate}');
      const answer = (request, response) => response.end('version ' + request.httpVersion);
      createSecureServer({ key, cert, allowHTTP1: true }, answer).listen(443, () => {
        for (const host of ['10.0.0.1', 'localhost']) {
          https.get({ host, ca: cert }, (response) => response.on('data', (data) => console.log(host + ' ' + data)));
          // TLS over a socket that has not connected yet.
          const socket = net.connect(443, host);
          const above = tls.connect({ socket, ca: cert, servername: 'localhost' }, () => above.end(GET));
          above.on('data', (data) => console.log('tls to ' + host + ': ' + String(data).split('\\r\\n')[0]));
        }
        console.log('listening');
      });`);
    expect(await curl('-k', '--http1.1', 'https://10.0.0.1/')).toBe('version 1.1');
    expect(await curl('-k', '--http2', 'https://10.0.0.1/')).toBe('version 2.0');
    await program.waitFor(/^10\.0\.0\.1 version 1\.1/m);
    await program.waitFor(/^localhost version 1\.1/m);
    await program.waitFor(/^tls to 10\.0\.0\.1: HTTP\/1\.1 200/m);
    await program.waitFor(/^tls to localhost: HTTP\/1\.1 200/m);
  });

  it('fetches from a server of the kernel by its name in DNS, and ends by itself', async () => {
    const serve = `require('http').createServer((q, r) => r.end('I see ' + q.socket.remoteAddress)).listen(8000, '0.0.0.0')`;
    const server = namespace.spawn(process.execPath, '-e', serve);
    const dns = namespace.spawn(
      ...(['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-dynamic'] as const),
      ...[`--listen-address=${KERNELS}`, `--address=/app.test/${KERNELS}`],
    );
    try {
      await start(
        `
        import { setTimeout as wait } from 'node:timers/promises';
        console.log('listening');
        for (let text = null; text === null; await wait(100)) {
          text = await fetch('http://app.test:8000/').then((response) => response.text(), () => null);
          if (text !== null) console.log(text);
        }`,
        '--dns',
        KERNELS,
      );
      expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(program.stdout).toBe('listening\nI see 10.0.0.1\n');
    } finally {
      await server.stop();
      await dns.stop();
    }
  });
});
