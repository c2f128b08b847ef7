/** The resolver against scripted servers, in virtual time. */
import { encode } from 'dns-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { Resolver } from '../../../../../src/node/dns/resolver.js';
import { DnsNetwork } from '../../../../support/node/dns-network.js';
import {
  addresses,
  alias,
  encodeReply,
  NO_NAME,
  type Reply,
  type Script,
  soa,
  truncated,
} from '../../../../support/node/dns-server.js';

let network: DnsNetwork | undefined;

/** Opens a network; the test asks its resolver. */
async function open(...args: Parameters<typeof DnsNetwork.open>): Promise<DnsNetwork> {
  network = await DnsNetwork.open(...args);
  return network;
}

afterEach(async () => {
  const report = network?.net.report();
  network?.resolver.close();
  await network?.sim.stop();
  network = undefined;
  expect(report?.udp_sockets ?? 0).toBe(0);
});

/** Answers every name with one address. */
const one: Script = ({ name }) => addresses(name, 60, '192.0.2.1');
const silent: Script = () => null;
const SERVFAIL = 2;
const REFUSED = 5;

describe('an answer', () => {
  it('has the addresses of the name, each once, and the least time to live', async () => {
    const { answers } = addresses('a.test', 60, '192.0.2.1', '192.0.2.2', '192.0.2.1');
    const net = await open([() => ({ answers: [...answers!, ...addresses('A.Test', 9, '192.0.2.3').answers!] })]);
    expect(net.lookup('a.test')).toEqual({
      kind: 'found',
      addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
      ttl: 9,
    });
  });

  it('is asked for with EDNS, a random id and a port of its own', async () => {
    const net = await open([one]);
    net.lookups('a.test', 'b.test', 'c.test');
    const [server] = net.servers;
    expect(server!.asked.every(({ ednsBytes, over }) => ednsBytes === 1232 && over === 'udp')).toBe(true);
    expect(new Set(server!.asked.map(({ port }) => port)).size).toBe(3);
    expect(new Set(server!.asked.map(({ id }) => id)).size).toBe(3);
  });

  it('follows aliases within a message, in any order', async () => {
    const net = await open([
      () => ({
        answers: [
          ...addresses('c.test', 60, '192.0.2.3').answers!,
          alias('b.test', 'C.test', 30),
          alias('a.test', 'b.test', 300),
        ],
      }),
    ]);
    expect(net.lookup('a.test')).toEqual({ kind: 'found', addresses: ['192.0.2.3'], ttl: 30 });
    expect(net.servers[0]!.names).toEqual(['a.test']);
  });

  it('asks for the end of a chain of aliases that has no address with it', async () => {
    const net = await open([
      ({ name }) => (name === 'a.test' ? { answers: [alias(name, 'b.test', 7)] } : addresses(name, 60, '192.0.2.2')),
    ]);
    expect(net.lookup('a.test')).toEqual({ kind: 'found', addresses: ['192.0.2.2'], ttl: 7 });
    expect(net.servers[0]!.names).toEqual(['a.test', 'b.test']);
  });

  it('ignores addresses of other names', async () => {
    const net = await open([() => ({ ...addresses('evil.test', 60, '192.0.2.66'), authorities: soa(30) })]);
    expect(net.lookup('a.test')).toEqual({ kind: 'no-data', ttl: 30 });
  });

  it.each([
    ['within messages', ({ name }) => ({ answers: [alias(name, 'x.test'), alias('x.test', name)] }), 'timeout'],
    ['from message to message', ({ name }) => ({ answers: [alias(name, `${name}x`)] }), 'refused'],
  ] as [string, Script, string][])('ends when aliases do not, %s', async (_, script, kind) => {
    const net = await open([script]);
    expect(net.lookup('a.test').kind).toBe(kind);
    expect(net.servers[0]!.asked.length).toBeLessThanOrEqual(9);
  });

  it('may be that the name does not exist, or has no address', async () => {
    const net = await open([({ name }) => ({ rcode: name === 'none.test' ? NO_NAME : 0, authorities: soa(30) })]);
    expect(net.lookups('none.test', 'empty.test')).toEqual([
      { kind: 'no-name', ttl: 30 },
      { kind: 'no-data', ttl: 30 },
    ]);
  });

  it('may be an alias of a name that does not exist', async () => {
    const net = await open([({ name }) => ({ rcode: NO_NAME, answers: [alias(name, 'b.test')], authorities: soa(5) })]);
    expect(net.lookup('a.test')).toEqual({ kind: 'no-name', ttl: 5 });
    expect(net.servers[0]!.names).toEqual(['a.test']);
  });
});

describe('what is no answer', () => {
  const ask = { id: 0, questions: [] };
  const wrong: [string, (id: number, name: string) => Uint8Array][] = [
    [
      'another id',
      (id, name) => encodeReply({ id: id ^ 1, questions: [{ type: 'A', name }] }, addresses(name, 60, '192.0.2.66')),
    ],
    [
      'another name',
      (id) => encodeReply({ id, questions: [{ type: 'A', name: 'b.test' }] }, addresses('b.test', 60, '192.0.2.66')),
    ],
    [
      'another type',
      (id, name) => encodeReply({ id, questions: [{ type: 'AAAA', name }] }, addresses(name, 60, '192.0.2.66')),
    ],
    ['no question', (id, name) => encodeReply({ ...ask, id }, addresses(name, 60, '192.0.2.66'))],
    ['a query', (id, name) => encode({ type: 'query', id, questions: [{ type: 'A', name }] })],
    ['nothing', () => new Uint8Array(0)],
    ['half a header', (id) => Uint8Array.of(id >> 8, id, 0x80, 0, 0)],
    ['counts without records', (id) => Uint8Array.of(id >> 8, id, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255)],
    [
      'half an answer',
      (id, name) =>
        encodeReply({ id, questions: [{ type: 'A', name }] }, addresses(name, 60, '192.0.2.66')).subarray(0, -3),
    ],
  ];

  it.each(wrong)('is ignored: %s', async (_, make) => {
    const net = await open([({ id, name }) => [make(id, name), addresses(name, 60, '192.0.2.1')]]);
    expect(net.lookup('a.test')).toMatchObject({ kind: 'found', addresses: ['192.0.2.1'] });
    expect(net.counted()).toMatchObject({ dns_queries: 1, dns_drop_wrong: 1 });
  });

  it('from another address or port does not reach the query', async () => {
    const net = await open([silent, one], { servers: ['10.0.0.2'], tries: 1 });
    const forge = (server: number, fromPort: number): void => {
      const { id, port } = net.servers[0]!.asked[0]!;
      const questions = [{ type: 'A' as const, name: 'a.test' }];
      net.forge(server, encodeReply({ id, questions }, addresses('a.test', 60, '192.0.2.66')), port, fromPort);
    };
    net.sim.after(20, () => forge(1, 53));
    net.sim.after(20, () => forge(0, 5353));
    expect(net.lookup('a.test')).toEqual({ kind: 'timeout' });
    expect(net.net.report().udp_drop_no_port).toBe(2);
  });

  it('makes the resolver change to TCP when there is much of it', async () => {
    const net = await open([
      ({ id, name, over }) =>
        over === 'tcp'
          ? addresses(name, 60, '192.0.2.1')
          : Array.from({ length: 50 }, (_, i) =>
              encodeReply(
                { id: (id + 1 + i) & 0xffff, questions: [{ type: 'A', name }] },
                addresses(name, 60, '192.0.2.66'),
              ),
            ),
    ]);
    expect(net.lookup('a.test')).toMatchObject({ kind: 'found', addresses: ['192.0.2.1'] });
    expect(net.counted()).toMatchObject({ dns_tcp: 1, dns_drop_wrong: 20 });
  });
});

describe('TCP', () => {
  const many = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`);

  it('brings an answer that is too long for a datagram', async () => {
    const net = await open([({ name, over }) => (over === 'udp' ? truncated : addresses(name, 60, ...many))]);
    expect(net.lookup('a.test')).toEqual({ kind: 'found', addresses: many, ttl: 60 });
    expect(net.servers[0]!.asked.map(({ over }) => over)).toEqual(['udp', 'tcp']);
    expect(net.net.report().tcp_connections).toBe(0);
  });

  it.each([
    ['an answer that is truncated again', () => truncated, 'unreachable'],
    ['no answer', ({ over }) => (over === 'udp' ? truncated : null), 'timeout'],
    ['a message that is none', ({ over }) => (over === 'udp' ? truncated : Uint8Array.of(1)), 'unreachable'],
    ['an empty message', ({ over }) => (over === 'udp' ? truncated : new Uint8Array(0)), 'unreachable'],
  ] as [string, Script, string][])('does not wait for ever: %s', async (_, script, kind) => {
    const net = await open([script]);
    expect(net.lookup('a.test').kind).toBe(kind);
    net.sim.run(10);
    expect(net.net.report().tcp_connections).toBe(0);
  });

  it('takes at most 256 addresses', async () => {
    const all = Array.from({ length: 1000 }, (_, i) => `192.0.${i >> 8}.${i & 255}`);
    const net = await open([({ name, over }) => (over === 'udp' ? truncated : addresses(name, 60, ...all))]);
    expect(net.lookup('a.test')).toEqual({ kind: 'found', addresses: all.slice(0, 256), ttl: 60 });
  });
});

describe('the servers', () => {
  it('are asked in turn, beginning with the one that answered last', async () => {
    const net = await open([silent, one]);
    const before = net.sim.now;
    expect(net.lookup('a.test').kind).toBe('found');
    expect(net.sim.now - before).toBeGreaterThan(2000);
    const later = net.sim.now;
    expect(net.lookup('b.test').kind).toBe('found');
    expect(net.sim.now - later).toBeLessThan(100);
    expect(net.servers.map(({ names }) => names)).toEqual([['a.test'], ['a.test', 'b.test']]);
  });

  it('are asked in turn without waiting when nothing listens', async () => {
    const net = await open([null, one]);
    expect(net.lookup('a.test').kind).toBe('found');
    expect(net.sim.now).toBeLessThan(100);
    expect(net.counted()).toMatchObject({ dns_unreachable: 1 });
  });

  it('are all asked twice, each for two seconds', async () => {
    const net = await open([silent, silent]);
    expect(net.lookup('a.test')).toEqual({ kind: 'timeout' });
    expect(net.sim.now).toBeGreaterThanOrEqual(8000);
    expect(net.sim.now).toBeLessThan(8200);
    expect(net.servers.map(({ names }) => names.length)).toEqual([2, 2]);
    expect(net.counted()).toMatchObject({ dns_timeouts: 4, dns_queries: 4 });
  });

  it('are not asked again when they refuse', async () => {
    const net = await open([() => ({ rcode: REFUSED }), () => ({ rcode: SERVFAIL }), one]);
    expect(net.lookup('a.test').kind).toBe('found');
    expect(net.servers.map(({ names }) => names.length)).toEqual([1, 1, 1]);
  });

  it('may all refuse', async () => {
    const net = await open([() => ({ rcode: REFUSED }), () => ({ rcode: SERVFAIL })]);
    expect(net.lookup('a.test')).toEqual({ kind: 'refused', rcode: SERVFAIL });
  });

  it('may not know EDNS', async () => {
    const net = await open([({ name, ednsBytes }) => (ednsBytes > 0 ? { rcode: 1 } : addresses(name, 1, '192.0.2.1'))]);
    expect(net.lookup('a.test').kind).toBe('found');
    expect(net.servers[0]!.asked.map(({ ednsBytes }) => ednsBytes)).toEqual([1232, 0]);
  });

  it('may not be able to read the question', async () => {
    const net = await open([({ id }) => Uint8Array.of(id >> 8, id, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0)]);
    expect(net.lookup('a.test')).toEqual({ kind: 'refused', rcode: 1 });
    expect(net.servers[0]!.asked.map(({ ednsBytes }) => ednsBytes)).toEqual([1232, 0]);
  });

  it('may refuse by an extended code', async () => {
    const net = await open([() => ({ extendedRcode: 1 })]);
    expect(net.lookup('a.test')).toEqual({ kind: 'refused', rcode: 16 });
  });

  it('can be changed while a lookup is under way', async () => {
    const net = await open([silent, one], { servers: ['10.0.0.2'] });
    net.sim.after(500, () => net.resolver.configure(['10.0.0.3']));
    expect(net.lookup('a.test').kind).toBe('found');
    expect(net.sim.now).toBeLessThan(600);
  });

  it('can be missing', async () => {
    const net = await open([], { servers: [] });
    expect(net.resolver.hasServers).toBe(false);
    expect(net.lookup('a.test')).toEqual({ kind: 'no-server' });
  });

  it.each([
    ['10.0.0.2:0', /want an address/],
    ['10.0.0.2:1:2', /want an address/],
    ['10.0.0.2:x', /want an address/],
    ['127.0.0.53', /the stack reaches no server there/],
    ['dns.test', /is not an IPv4 address/],
  ])('must have an address that can be reached: %s', async (server, message) => {
    const net = await open([]);
    const { udp, tcp } = net.net;
    expect(() => new Resolver({ udp, tcp, servers: [server] })).toThrow(message);
  });
});

describe('answers that are kept', () => {
  const counting =
    (reply: (name: string) => Reply): Script =>
    ({ name }) =>
      reply(name);

  it('are used until they expire', async () => {
    const net = await open([counting((name) => addresses(name, 10, '192.0.2.1'))]);
    net.lookup('a.test');
    net.sim.run(9000);
    expect(net.lookup('A.TEST.').kind).toBe('found');
    expect(net.servers[0]!.asked).toHaveLength(1);
    net.sim.run(1000);
    net.lookup('a.test');
    expect(net.servers[0]!.asked).toHaveLength(2);
    expect(net.counted()).toMatchObject({ dns_lookups: 3, dns_cached: 1 });
  });

  it.each([
    ['an hour at most', counting((name) => addresses(name, 1e6, '192.0.2.1')), 3600],
    ['not at all with a time to live of 0', counting((name) => addresses(name, 0, '192.0.2.1')), 0],
    ['not at all with one of more than 31 bits', counting((name) => addresses(name, 2 ** 31, '192.0.2.1')), 0],
    ['a minute at most, for an absence', counting(() => ({ rcode: NO_NAME, authorities: soa(86_400) })), 60],
    ['as long as the SOA record lives, for an absence', counting(() => ({ authorities: soa(50, 20) })), 20],
    ['not at all, for an absence without SOA', counting(() => ({ rcode: NO_NAME })), 0],
    ['not at all, for a failure', counting(() => ({ rcode: SERVFAIL })), 0],
  ])('are kept %s', async (_, script, seconds) => {
    const net = await open([script]);
    net.lookup('a.test');
    const first = net.servers[0]!.asked.length;
    if (seconds > 0) {
      net.sim.run(seconds * 1000 - 100);
      net.lookup('a.test');
      expect(net.servers[0]!.asked).toHaveLength(first);
      net.sim.run(100);
    }
    net.lookup('a.test');
    expect(net.servers[0]!.asked.length).toBeGreaterThan(first);
  });

  it('are at most 4096', async () => {
    const net = await open([one]);
    const names = Array.from({ length: 4200 }, (_, i) => `n${i}.test`);
    for (let i = 0; i < names.length; i += 200) net.lookups(...names.slice(i, i + 200));
    expect(net.counted()).toMatchObject({ dns_kept: 4096 });
    net.lookups('n4199.test', 'n0.test');
    expect(net.servers[0]!.asked).toHaveLength(4201);
  });
});

describe('lookups at the same time', () => {
  it('of one name share a query', async () => {
    const net = await open([one]);
    const found = net.lookups('a.test', 'A.test', 'a.test.', 'b.test');
    expect(found.map(({ kind }) => kind)).toEqual(['found', 'found', 'found', 'found']);
    expect(net.servers[0]!.names.sort()).toEqual(['a.test', 'b.test']);
    expect(net.counted()).toMatchObject({ dns_shared: 2 });
    expect(net.counted()).not.toHaveProperty('dns_waiting');
  });

  it('have at most 256 queries under way, and then come in turn', async () => {
    const net = await open([one]);
    let most = 0;
    net.sim.after(1, () => {
      most = net.net.report().udp_sockets!;
    });
    const found = net.lookups(...Array.from({ length: 1000 }, (_, i) => `n${i}.test`));
    expect(found.every(({ kind }) => kind === 'found')).toBe(true);
    expect(most).toBe(256);
  });

  it('fail when too many wait', async () => {
    const net = await open([silent], { tries: 1 });
    const kinds: string[] = [];
    for (let i = 0; i < 16_385; i++) net.resolver.lookup('a.test', ({ kind }) => kinds.push(kind));
    expect(kinds).toEqual(['overflow']);
    net.resolver.close();
    expect(kinds).toHaveLength(16_385);
    expect(net.counted()).toMatchObject({ dns_overflows: 1 });
  });
});

describe('the domains of search', () => {
  const known =
    (...names: string[]): Script =>
    ({ name }) =>
      names.includes(name) ? addresses(name, 60, '192.0.2.1') : { rcode: NO_NAME };
  const search = ['one.test', 'Two.test.', 'not a domain'];

  it.each([
    ['a', ['a.one.test', 'a.two.test', 'a']],
    ['a.b', ['a.b', 'a.b.one.test', 'a.b.two.test']],
    ['a.', ['a']],
    ['a.b.', ['a.b']],
  ])('are appended to %s as %j', async (name, asked) => {
    const net = await open([known()], { search });
    expect(net.lookup(name).kind).toBe('no-name');
    expect(net.servers[0]!.names).toEqual(asked);
  });

  it('end with the first name that exists', async () => {
    const net = await open([known('a.one.test')], { search });
    expect(net.lookup('a').kind).toBe('found');
    expect(net.servers[0]!.names).toEqual(['a.one.test']);
  });

  it('tell of a name without addresses rather than of none', async () => {
    const net = await open([({ name }) => (name === 'a.one.test' ? {} : { rcode: NO_NAME })], { search });
    expect(net.lookup('a').kind).toBe('no-data');
  });
});

describe('a name', () => {
  it.each(['', '.', 'a..b', `${'x'.repeat(64)}.test`, `${'abcdefg.'.repeat(32)}test`, 'a b', 'a\0b'])(
    'that cannot be one is not asked for: %j',
    async (name) => {
      const net = await open([one]);
      expect(net.lookup(name).kind).toBe('no-name');
      expect(net.servers[0]!.asked).toEqual([]);
    },
  );

  it('with other letters is asked for by its ASCII form', async () => {
    const net = await open([one]);
    expect(net.lookup('Bücher.test').kind).toBe('found');
    expect(net.servers[0]!.names).toEqual(['xn--bcher-kva.test']);
  });
});
