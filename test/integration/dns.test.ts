/** Names that dnsmasq knows, looked up over a tap interface. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const LOOKUP = fileURLToPath(new URL('../../dist/test/support/node/lookup.main.js', import.meta.url));
const OURS = '10.0.0.1/24';
const SERVER = '10.0.0.9';
/** A program takes queries there, and says nothing. */
const SILENT = '10.0.0.8';
/** Nobody listens there. */
const CLOSED = '10.0.0.7';
const BIND_ONLY = `require('dgram').createSocket('udp4').bind(53, '${SILENT}', () => console.log('bound'))`;
const MANY = Array.from({ length: 100 }, (_, i) => `10.1.0.${i}`);

type Report = Record<string, number>;

const four = (...addresses: string[]): object[] => addresses.map((address) => ({ address, family: 4 }));
const notFound = (hostname: string): object => ({ errno: -3008, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname });

const needs = [root, tun, ...['ip', 'dnsmasq'].map(command)];

describeWith('names that dnsmasq knows', needs, () => {
  const children: Child[] = [];
  let namespace: NetworkNamespace;
  let folder: ReturnType<typeof temporaryDirectory>;

  const start = (program: string, ...args: string[]): Child => {
    const child = namespace.spawn(program, ...args);
    children.push(child);
    return child;
  };

  /** Looks names up. Returns what was found, and the counters of the resolver. */
  const lookup = async (servers: string, ...names: string[]): Promise<{ found: unknown[]; report: Report }> => {
    const child = start('timeout', '40', process.execPath, LOOKUP, 'tap:tap0', OURS, servers, ...names);
    const { code } = await child.exited;
    expect(code, child.output).toBe(0);
    const lines = child.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    return { found: lines.slice(0, -1), report: lines.at(-1) as Report };
  };

  beforeAll(async () => {
    namespace = NetworkNamespace.create();
    folder = temporaryDirectory();
    namespace.addTap('tap0', `${SERVER}/24`);
    for (const address of [SILENT, CLOSED]) namespace.ip('addr', 'add', `${address}/24`, 'dev', 'tap0');
    const hosts = join(folder.path, 'hosts');
    writeFileSync(hosts, MANY.map((address) => `${address} many.test`).join('\n'));
    const dnsmasq = start(
      'dnsmasq',
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--log-facility=-'],
      ...['--no-resolv', '--no-hosts', '--bind-interfaces', `--listen-address=${SERVER}`, '--local=/test/'],
      ...[`--addn-hosts=${hosts}`, '--host-record=one.test,192.0.2.1', '--host-record=six.test,fd00::6'],
      ...['--cname=alias.test,other.test', '--cname=other.test,one.test', '--host-record=a.search.test,192.0.2.3'],
    );
    await dnsmasq.waitFor(/started, version/);
    const silent = start(process.execPath, '-e', BIND_ONLY);
    await silent.waitFor(/^bound/m);
  });

  afterAll(async () => {
    await Promise.allSettled(children.map((child) => child.stop()));
    namespace?.remove();
    folder?.remove();
  });

  it('have one address, many by TCP, an alias, none, or do not exist', async () => {
    const names = ['one.test', 'many.test', 'alias.test', 'six.test', 'none.test', 'a', 'localhost', 'One.Test'];
    const { found, report } = await lookup(SERVER, ...names);
    const many = found[1] as { address: string }[];
    expect(many.map(({ address }) => address).sort()).toEqual([...MANY].sort());
    expect(found).toEqual([
      four('192.0.2.1'),
      expect.anything(),
      four('192.0.2.1'),
      notFound('six.test'),
      notFound('none.test'),
      four('192.0.2.3'),
      four('127.0.0.1'),
      four('192.0.2.1'),
    ]);
    expect(report).toMatchObject({ dns_tcp: 1, dns_drop_wrong: 0, dns_timeouts: 0, dns_waiting: 0 });
  });

  it('are found when the first server is silent, and where nobody listens', async () => {
    const silent = await lookup(`${SILENT},${SERVER}`, 'one.test', 'alias.test');
    expect(silent.found).toEqual([four('192.0.2.1'), four('192.0.2.1')]);
    expect(silent.report).toMatchObject({ dns_timeouts: 1, dns_queries: 3 });
    const closed = await lookup(`${CLOSED},${SERVER}`, 'one.test');
    expect(closed.found).toEqual([four('192.0.2.1')]);
    expect(closed.report).toMatchObject({ dns_unreachable: 1, dns_timeouts: 0 });
  });

  it('cannot be found when no server answers', async () => {
    const { found, report } = await lookup(SILENT, 'one.test');
    expect(found).toEqual([{ errno: -3001, code: 'EAI_AGAIN', syscall: 'getaddrinfo', hostname: 'one.test' }]);
    expect(report).toMatchObject({ dns_timeouts: 2, dns_queries: 2 });
  });
});
