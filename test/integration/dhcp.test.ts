/** `--ip dhcp` against dnsmasq on the Linux kernel's side: over the switch in all thread layouts, and over a tap. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { KERNELS, KernelLab, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const DHCP = ['--ip', 'dhcp'];
/** The shortest lease that dnsmasq gives, and the shortest time that it lets a client wait before it renews, in s. */
const LEASE = 120;
const RENEW_AFTER = 3;

/** Serves the address of a host that DNS knows, until it is told to end. */
const PROGRAM = `
const { lookup } = require('node:dns');
const server = require('node:http').createServer((request, response) => {
  lookup('kernel', { family: 4 }, (error, address) => response.end(error ? error.code : address));
  if (request.url === '/end') server.close();
});
server.listen(80, () => console.log('listening'));
`;

/** Options of dnsmasq, which serves a range of 10.0.0.0/24 and nothing else. */
function dnsmasq(first: string, last: string, leases: string, ...more: string[]): string[] {
  return [
    ...['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--interface=tap0', '--bind-dynamic'],
    ...['--user=root', '--no-ping', '--dhcp-authoritative', `--dhcp-leasefile=${leases}`],
    ...[`--dhcp-range=${first},${last},255.255.255.0,${LEASE}`, `--dhcp-option=option:router,${KERNELS}`],
    ...['--dhcp-option=option:dns-server,10.0.0.9,10.0.0.8', '--dhcp-option=option:domain-name,example.test'],
    ...[`--dhcp-option-force=option:T1,${RENEW_AFTER}`, ...more],
  ];
}

describeWith(
  'DHCP from dnsmasq over the switch',
  [...TCP_PEERS, ...['dnsmasq', 'curl', 'busybox'].map(command)],
  () => {
    let lab: KernelLab;

    beforeEach(async () => {
      lab = await KernelLab.start();
    });

    afterEach(async () => {
      await lab.close();
    });

    async function serve(first: string, last: string, ...more: string[]): Promise<Child> {
      const [program, ...args] = dnsmasq(first, last, lab.file('leases'), ...more);
      const server = lab.start(program!, ...args);
      await server.waitFor(/DHCP, sockets bound/);
      return server;
    }

    async function page(address: string): Promise<string> {
      return (await lab.run(20, 'curl', '-sS', '--max-time', '15', `http://${address}/`)).output;
    }

    it.each(['single', '1kb', '2kb'])('%s: a lease, its renewals, and its release at the end', async (mode) => {
      const server = await serve('10.0.0.50', '10.0.0.60', '--dhcp-option=26,1400');
      const endpoint = await lab.endpoint(...DHCP, '--mode', mode, '--app', 'http');
      const [, address] = /^ready: ([0-9.]+)\/24 at 52:54:00:00:00:01/m.exec(endpoint.stdout)!;
      const terms = `for ${LEASE} s, gateway 10.0.0.9, dns 10.0.0.9 10.0.0.8, domain example.test, mtu 1400`;
      expect(endpoint.stdout).toMatch(`lease: ${address}/24 from 10.0.0.9 ${terms}\nready: `);
      expect(await page(address!)).toContain('It works');
      await server.waitFor(/(DHCPACK[\s\S]*){3}/);
      expect(await page(address!)).toContain('It works');
      expect((await endpoint.stop()).code).toBe(0);
      await server.waitFor(new RegExp(`DHCPRELEASE\\(tap0\\) ${address!.replaceAll('.', '\\.')} 52:54:00:00:00:01`));
      // It was asked for once, and was renewed without another line.
      expect(server.output.match(/DHCPDISCOVER/g)).toHaveLength(1);
      expect(endpoint.output.match(/^lease:/gm)).toHaveLength(1);
      expect(endpoint.output).not.toMatch(/DECLINE|NAK/);
    });

    it.each(['single', '1kb'])('%s: another address when the range of the server changes under it', async (mode) => {
      const before = await serve('10.0.0.50', '10.0.0.50');
      const endpoint = await lab.endpoint(...DHCP, '--mode', mode, '--app', 'http');
      expect(await page('10.0.0.50')).toContain('It works');
      await before.stop();
      await lab.run(5, 'rm', '-f', lab.file('leases'));
      const after = await serve('10.0.0.100', '10.0.0.100');
      await endpoint.waitFor(/^lease: none: 10\.0\.0\.9 does not renew the lease: .+\nlease: 10\.0\.0\.100\/24 from/m);
      expect(after.output).toMatch(/DHCPNAK\(tap0\) 10\.0\.0\.50/);
      expect(await page('10.0.0.100')).toContain('It works');
      expect((await lab.run(10, 'curl', '-sS', '--max-time', '2', 'http://10.0.0.50/')).code).not.toBe(0);
      await endpoint.stop();
      await after.waitFor(/DHCPRELEASE\(tap0\) 10\.0\.0\.100/);
    });

    it.each(['single', '1kb'])(
      'exec, %s: a program has the address, and asks the DNS servers of the lease',
      async (mode) => {
        // dnsmasq also answers for the name of a host in the domain of the lease.
        const server = await serve('10.0.0.50', '10.0.0.50', '--host-record=kernel.example.test,10.0.0.9');
        writeFileSync(lab.file('program.cjs'), PROGRAM);
        const options = [...lab.device, ...DHCP, '--mode', mode];
        const child = lab.start(...Child.commandLine('exec', ...options, lab.file('program.cjs')));
        await child.waitFor(
          /^tspmd: lease: 10\.0\.0\.50\/24 from 10\.0\.0\.9 for .*\ntspmd: offloads: .*\ntspmd: 10\.0\.0\.50\/24 at .*sockets use/m,
        );
        await child.waitFor(/^listening$/m);
        expect(await page('10.0.0.50')).toBe('10.0.0.9');
        expect((await lab.run(20, 'curl', '-sS', '--max-time', '15', 'http://10.0.0.50/end')).stdout).toBe('10.0.0.9');
        expect((await child.exited).code).toBe(0);
        await server.waitFor(/DHCPRELEASE\(tap0\) 10\.0\.0\.50/);
      },
      60_000,
    );

    it('ping and get, each with a lease of its own; the content goes to stdout alone', async () => {
      await serve('10.0.0.50', '10.0.0.60');
      const ping = await lab.tspmd(30, 'ping', ...DHCP, '--to', KERNELS, '--count', '3', '--interval', '0.1');
      expect(ping.output).toMatch(/^lease: 10\.0\.0\.\d+\/24 from 10\.0\.0\.9 /m);
      expect(ping.output).toMatch(/^PING 10\.0\.0\.9 with 56 bytes of data from 10\.0\.0\.\d+\/24 on /m);
      expect(ping.output).toContain('3 packets transmitted, 3 received');
      await lab.shell(5, `echo hello >${lab.file('page.txt')}`);
      lab.start('busybox', 'httpd', '-f', '-p', '8080', '-h', lab.file('.'));
      await lab.untilListening(8080);
      const get = await lab.tspmd(30, 'get', ...DHCP, `http://${KERNELS}:8080/page.txt`);
      expect(get.code).toBe(0);
      expect(get.stdout).toBe('hello\n');
      expect(get.output).toMatch(/^tspmd: lease: 10\.0\.0\.\d+\/24 from 10\.0\.0\.9 /m);
    });
  },
);

describeWith('DHCP from dnsmasq over a tap', [root, tun, command('ip'), command('dnsmasq'), command('curl')], () => {
  let namespace: NetworkNamespace;
  let directory: ReturnType<typeof temporaryDirectory>;
  const children: Child[] = [];

  beforeEach(() => {
    namespace = NetworkNamespace.create();
    directory = temporaryDirectory();
  });

  afterEach(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    namespace.remove();
    directory.remove();
  });

  it('gives the echo app an address, for which the kernel gets answers', async () => {
    // The interface outlives the endpoint: otherwise its last message could be lost with it.
    namespace.addTap('tap0', '10.0.0.9/24');
    const [program, ...args] = dnsmasq('10.0.0.50', '10.0.0.60', `${directory.path}/leases`);
    const server = namespace.spawn(program!, ...args);
    children.push(server);
    const endpoint = namespace.tspmd('run', '--device', 'tap:tap0', ...DHCP, '--app', 'echo');
    children.push(endpoint);
    const [, address] = await endpoint.waitFor(/^ready: ([0-9.]+)\/24 /m, 40_000);
    const ping = namespace.spawn('ping', '-c', '5', '-i', '0.1', '-W', '5', address!);
    expect((await ping.exited).code).toBe(0);
    await endpoint.stop();
    await server.waitFor(/DHCPRELEASE/);
  }, 60_000);

  it('stops at a signal while it waits for a server', async () => {
    const endpoint = namespace.tspmd('run', '--device', 'tap:tap0,host=10.0.0.9/24', ...DHCP, '--verbose');
    const asked = namespace.spawn(
      'timeout',
      '20',
      'sh',
      '-c',
      'until ip -s link show tap0 >/dev/null 2>&1; do :; done',
    );
    children.push(endpoint, asked);
    await asked.exited;
    const { code } = await endpoint.stop('SIGINT');
    expect([code, endpoint.output]).toEqual([0, '']);
  });
});
