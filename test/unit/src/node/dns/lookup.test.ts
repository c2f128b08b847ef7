/** `lookup` and `resolve4`: the arguments, results, errors and the order of Node's own functions. */
import { AsyncLocalStorage } from 'node:async_hooks';
import dns from 'node:dns';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostsFile } from '../../../../../src/node/dns/hosts-file.js';
import { createDns, type StackDns } from '../../../../../src/node/dns/lookup.js';
import { DnsNetwork } from '../../../../support/node/dns-network.js';
import { addresses, NO_NAME, type Script } from '../../../../support/node/dns-server.js';
import { temporaryDirectory } from '../../../../support/resources.js';

const HOSTS = `
10.0.0.7  seven.test
10.0.0.8  both.test
fd00::8   both.test
fd00::9   six.test
127.0.0.1 localhost
::1       localhost ip6-localhost
`;

/** Knows `a.test` with two addresses; says nothing about `silent.test`. */
const script: Script = ({ name }) => {
  if (name === 'silent.test') return null;
  if (name === 'empty.test') return {};
  return name === 'a.test' ? addresses(name, 60, '192.0.2.1', '192.0.2.2') : { rcode: NO_NAME };
};

let folder: ReturnType<typeof temporaryDirectory>;
let network: DnsNetwork;
let own: StackDns;

async function open(servers = 1): Promise<void> {
  network = await DnsNetwork.open(Array.from({ length: servers }, () => script));
  const path = join(folder.path, 'hosts');
  writeFileSync(path, HOSTS);
  own = createDns(new HostsFile({ path, timers: network.timers }), network.resolver);
}

beforeEach(async () => {
  folder = temporaryDirectory();
  await open();
});

afterEach(async () => {
  network.resolver.close();
  await network.sim.stop();
  folder.remove();
});

/** Calls `lookup`, and lets the time of the network pass. Returns the arguments of the callback. */
function call(lookup: typeof dns.lookup, name: unknown, ...options: unknown[]): Promise<unknown[]> {
  return new Promise((resolve) => {
    (lookup as (...args: unknown[]) => void)(name, ...options, (...args: unknown[]) => resolve(args));
    network.sim.wake();
    network.sim.run(60_000);
  });
}

const look = (name: unknown, ...options: unknown[]): Promise<unknown[]> => call(own.lookup, name, ...options);

describe('lookup', () => {
  it.each([
    ['a.test', [], [null, '192.0.2.1', 4]],
    ['A.Test.', [4], [null, '192.0.2.1', 4]],
    ['a.test', [{ family: 'IPv4' }], [null, '192.0.2.1', 4]],
    [
      'a.test',
      [{ all: true, hints: dns.ADDRCONFIG, verbatim: true }],
      [
        null,
        [
          { address: '192.0.2.1', family: 4 },
          { address: '192.0.2.2', family: 4 },
        ],
      ],
    ],
    ['seven.test', [], [null, '10.0.0.7', 4]],
    ['both.test', [{ all: true }], [null, [{ address: '10.0.0.8', family: 4 }]]],
    ['both.test', [6], [null, 'fd00::8', 6]],
    ['six.test', [], [null, 'fd00::9', 6]],
    ['localhost', [], [null, '127.0.0.1', 4]],
    ['localhost', [{ family: 6 }], [null, '::1', 6]],
    ['api.localhost', [], [null, '127.0.0.1', 4]],
    ['api.localhost.', [{ family: 'IPv6', all: true }], [null, [{ address: '::1', family: 6 }]]],
    ['127.1', [], [null, '127.0.0.1', 4]],
    ['0x7f000001', [], [null, '127.0.0.1', 4]],
  ])('%s %j', async (name, options, result) => {
    expect(await look(name, ...options)).toEqual(result);
  });

  it.each([
    ['none.test', []],
    ['empty.test', []],
    ['a.test', [6]],
    ['seven.test', [{ family: 6, all: true }]],
    ['not..a..name', []],
    ['1.2.3.256', []],
  ])('does not find %s %j', async (name, options) => {
    const [error, ...rest] = await look(name, ...options);
    expect(rest).toEqual([]);
    expect(error).toBeInstanceOf(Error);
    expect({ ...(error as object) }).toEqual({
      errno: -3008,
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: name,
    });
    expect(String(error)).toBe(`Error: getaddrinfo ENOTFOUND ${name}`);
  });

  it('tells of servers that do not answer as getaddrinfo does', async () => {
    const [error] = await look('silent.test');
    expect({ ...(error as object) }).toEqual({
      errno: -3001,
      code: 'EAI_AGAIN',
      syscall: 'getaddrinfo',
      hostname: 'silent.test',
    });
    expect(String(error)).toBe('Error: getaddrinfo EAI_AGAIN silent.test');
  });

  it('tells that there is no server, but knows the hosts file', async () => {
    network.resolver.configure([]);
    const [error] = await look('a.test');
    expect(error).toMatchObject({ code: 'ENOTFOUND', errno: -3008, hostname: 'a.test' });
    expect(String(error)).toMatch(/ENOTFOUND a\.test \(no DNS server is known: name one with --dns\)$/);
    expect(await look('seven.test')).toEqual([null, '10.0.0.7', 4]);
  });

  const literals: [unknown, unknown[]][] = [
    ['10.1.2.3', []],
    ['10.1.2.3', [{ family: 6 }]],
    ['::1', [{ all: true }]],
  ];
  it.each(literals)('answers %j %j as Node does, and no server is asked', async (name, options) => {
    expect(await look(name, ...options)).toEqual(await call(dns.lookup, name, ...options));
    expect(network.servers[0]!.asked).toEqual([]);
  });

  const wrong: unknown[][] = [
    [7, () => {}],
    [{}, () => {}],
    ['a.test'],
    ['a.test', {}],
    ['a.test', 5, () => {}],
    ['a.test', 'x', () => {}],
    ['a.test', { family: 'IPv5' }, () => {}],
    ['a.test', { all: 1 }, () => {}],
    ['a.test', { hints: 1 << 20 }, () => {}],
    ['a.test', { verbatim: 1 }, () => {}],
  ];
  it.each(wrong)('throws for %j %j what Node throws', (...args) => {
    const thrown = (lookup: unknown): unknown => {
      try {
        (lookup as (...args: unknown[]) => void)(...args);
        return null;
      } catch (error) {
        return [String(error), (error as { code?: string }).code];
      }
    };
    expect(thrown(own.lookup)).not.toBeNull();
    expect(thrown(own.lookup)).toEqual(thrown(dns.lookup));
  });

  it('calls back later, in the asynchronous context of the call', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: string[] = [];
    for (const name of ['seven.test', 'a.test', 'none.test', '10.0.0.1', 'localhost']) {
      storage.run(name, () => own.lookup(name, () => seen.push(storage.getStore()!)));
      expect(seen).not.toContain(name);
    }
    network.sim.wake();
    network.sim.run(1000);
    await new Promise(setImmediate);
    expect(seen.sort()).toEqual(['10.0.0.1', 'a.test', 'localhost', 'none.test', 'seven.test']);
  });

  it('does not let what a callback throws into the stack', async () => {
    const caught: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => caught.push(error));
    try {
      own.lookup('a.test', () => {
        throw new Error('of the program');
      });
      network.sim.wake();
      network.sim.run(1000);
      await new Promise(setImmediate);
    } finally {
      for (const listener of others) process.on('uncaughtException', listener);
    }
    expect(caught.map(String)).toEqual(['Error: of the program']);
  });
});

describe('with promises', () => {
  /** Awaits what a call returns while time passes. */
  function passing<T>(promise: Promise<T>): Promise<T> {
    network.sim.wake();
    network.sim.run(60_000);
    return promise;
  }

  it('lookup resolves to what Node resolves to', async () => {
    const { lookup } = own.promises;
    expect(await passing(lookup('a.test'))).toEqual({ address: '192.0.2.1', family: 4 });
    expect(await passing(lookup('seven.test', 4))).toEqual({ address: '10.0.0.7', family: 4 });
    expect(await passing(lookup('10.0.0.1', { all: true }))).toEqual([{ address: '10.0.0.1', family: 4 }]);
    expect(await passing(promisify(own.lookup)('a.test'))).toEqual({ address: '192.0.2.1', family: 4 });
    await expect(passing(lookup('none.test'))).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(lookup('a.test', { family: 5 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('resolve4 asks the servers for exactly the name', async () => {
    const { resolve4 } = own.promises;
    expect(await passing(resolve4('a.test'))).toEqual(['192.0.2.1', '192.0.2.2']);
    const errors = {
      'seven.test': 'ENOTFOUND',
      'empty.test': 'ENODATA',
      'silent.test': 'ETIMEOUT',
      'a..b': 'ENOTFOUND',
    };
    for (const [name, code] of Object.entries(errors)) {
      const error = await passing(resolve4(name).catch((reason: unknown) => reason));
      expect(error).toMatchObject({ code, syscall: 'queryA', hostname: name, message: `queryA ${code} ${name}` });
    }
  });
});
