import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { TspmdConfig } from '../../../src/config.js';
import { ConfigError } from '../../../src/errors.js';
import { resolveConfig } from '../../../src/resolve-config.js';
import { MICROSOFT } from '../../support/rss/reference-hash.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const good: TspmdConfig = { device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' };

function faultsOf(config: object): readonly string[] {
  try {
    resolveConfig({ ...good, ...config } as TspmdConfig);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('configuration', () => {
  it('fills in the defaults', () => {
    expect(resolveConfig(good)).toEqual({
      device: 'vhost-user:/tmp/vm1.sock',
      address: 0x0a000001,
      isDhcp: false,
      prefixLength: 24,
      mac: undefined,
      mtu: undefined,
      mode: 'single',
      cores: [],
      stackCores: 1,
      app: undefined,
      appOptions: {},
      rss: { key: Uint8Array.from(MICROSOFT), symmetric: true },
      onCoreFailure: 'redistribute',
      coreBurst: 32,
      idle: 'adaptive',
      neighbours: new Map(),
      gateway: undefined,
      hugepages: 'auto',
      ring: 'auto',
      offloads: 'off',
      buffers: 4096,
      layer: 'ip',
      acceptBroadcast: false,
      acceptMulticast: false,
    });
  });

  it('takes every option', () => {
    const resolved = resolveConfig({
      device: '0000:00:04.0',
      ip: '192.168.1.2/30',
      mac: '52:54:00:00:00:09',
      mtu: 1400,
      mode: 'single',
      cores: [3],
      app: './my-stack.js',
      appOptions: { port: 7 },
      rss: { key: 'symmetric', symmetric: false },
      onCoreFailure: 'stop',
      coreBurst: 256,
      idle: 'spin',
      neighbours: { '192.168.1.1': '52-54-00-00-00-0A' },
      gateway: '192.168.1.1',
      hugepages: 'require',
      offloads: 'auto',
      buffers: 1024,
      layer: 'ethernet',
      acceptBroadcast: true,
      acceptMulticast: true,
    });
    expect(resolved.neighbours).toEqual(new Map([[0xc0a80101, Uint8Array.of(0x52, 0x54, 0, 0, 0, 10)]]));
    expect(resolved).toMatchObject({ gateway: 0xc0a80101, mtu: 1400, idle: 'spin', cores: [3], layer: 'ethernet' });
    expect(resolved).toMatchObject({ app: './my-stack.js', appOptions: { port: 7 } });
    expect(resolved).toMatchObject({ onCoreFailure: 'stop', coreBurst: 256, rss: { symmetric: false } });
    expect(resolved.offloads).toBe('auto');
    expect(Buffer.from(resolved.rss.key).toString('hex')).toBe('6d5a'.repeat(20));
  });

  it('gives the last CPU to receiving, and with 2kb the last but one to sending', () => {
    expect(resolveConfig({ ...good, mode: '1kb', app: 'echo', cores: [0, 1, 2, 3] }).stackCores).toBe(3);
    expect(resolveConfig({ ...good, mode: '2kb', app: 'echo', cores: [0, 1, 2, 3] }).stackCores).toBe(2);
    expect(resolveConfig({ ...good, mode: '2kb', app: 'echo', cores: range(66), buffers: 65536 }).stackCores).toBe(64);
  });

  it.each([
    ['1kb', 1],
    ['2kb', 2],
  ] as const)('%s without cores: as many as there are CPUs for, at least one', (mode, bypass) => {
    const { cores, stackCores, buffers } = resolveConfig({ ...good, mode, app: 'echo' });
    expect(cores).toEqual([]);
    expect(stackCores).toBe(Math.min(64, Math.max(1, availableParallelism() - bypass)));
    expect(buffers).toBe(1024 * Math.max(4, stackCores + 2));
  });

  it('takes 1024 more buffers per core from the third core on, if no number is given', () => {
    const buffersOf = (count: number): number =>
      resolveConfig({ ...good, mode: '1kb', app: 'echo', cores: range(count + 1) }).buffers;
    expect([1, 2, 3, 8, 64].map(buffersOf)).toEqual([4096, 4096, 5120, 10240, 65536]);
  });

  it('allows both hosts of a /31, and a /32', () => {
    expect(faultsOf({ ip: '10.0.0.0/31' })).toEqual([]);
    expect(faultsOf({ ip: '10.0.0.1/31' })).toEqual([]);
    expect(faultsOf({ ip: '10.0.0.255/32' })).toEqual([]);
  });

  it.each([
    [
      { device: 'eth0' },
      "device: 'eth0' is neither 'vhost-user:PATH' nor 'tap:NAME' nor a PCI address such as 0000:00:04.0",
    ],
    [{ device: 'tap:t0', mode: '1kb', app: 'echo' }, "device: a tap works only with mode 'single', found '1kb'"],
    [{ device: 'tap:t0,host=10.0.0.1/24' }, 'device: host 10.0.0.1/24 is our own address'],
    [
      { device: 'tap:t0,host=10.0.0.0/24' },
      "device: host: 10.0.0.0 in '10.0.0.0/24' is the network's own address, not a host's",
    ],
    [{ device: 'vhost-user:' }, "device: 'vhost-user:' is neither"],
    [{ device: 'vhost-user:,server=1' }, "device: 'vhost-user:,server=1' is neither"],
    [{ device: undefined }, 'device: undefined is neither'],
    [{ ip: '10.0.0.1' }, "ip: '10.0.0.1' has no prefix length"],
    [{ ip: '10.0.0.300/24' }, "ip: '10.0.0.300' is not an IPv4 address"],
    [{ ip: 7 }, 'ip: 7 is not a text'],
    [{ ip: '10.0.0.0/24' }, "ip: 10.0.0.0 in '10.0.0.0/24' is the network's own address"],
    [{ ip: '10.0.0.255/24' }, "ip: 10.0.0.255 in '10.0.0.255/24' is a broadcast address"],
    [{ ip: '224.0.0.1/24' }, 'is a multicast group'],
    [{ ip: '127.0.0.1/8' }, 'is a reserved address'],
    [{ ip: '0.0.0.0/0' }, 'is a reserved address'],
    [{ ip: '255.255.255.255/32' }, 'is a reserved address'],
    [{ mac: 'nonsense' }, "mac: 'nonsense' is not a MAC address"],
    [{ mac: '01:00:00:00:00:01' }, "mac: '01:00:00:00:00:01' is a group address"],
    [{ mtu: 67 }, 'mtu: 67 is not a whole number from 68 to 9000'],
    [{ mtu: 1500.5 }, 'mtu: 1500.5 is not'],
    [{ mtu: '1500' }, "mtu: '1500' is not"],
    [{ buffers: 1 }, 'buffers: 1 is not a whole number from 256 to 65536'],
    [{ mode: '3kb' }, "mode: '3kb' is none of single, 1kb, 2kb"],
    [{ mode: '1kb' }, "app: mode '1kb' runs the stack in threads of its own, and needs the name or file of one"],
    [{ mode: '2kb' }, "app: mode '2kb' runs the stack"],
    [{ app: '' }, "app: '' is not the name of an app or a file"],
    [{ mode: '1kb', app: 7 }, 'app: 7 is not the name'],
    [
      { app: new URL('https://example.org/stack.js') },
      'app: https://example.org/stack.js names no file of this machine',
    ],
    [{ app: { href: 'stack.js' } }, 'app: stack.js names no file of this machine'],
    [{ ip: 'fe80::1/64' }, "ip: IPv6 is not supported yet ('fe80::1/64')"],
    [{ ip: 'fe80::1' }, "ip: IPv6 is not supported yet ('fe80::1')"],
    [{ gateway: 'fe80::1' }, "gateway: IPv6 is not supported yet ('fe80::1')"],
    [{ neighbours: { '::1': '52:54:00:00:00:01' } }, "neighbours: IPv6 is not supported yet ('::1')"],
    [{ mode: '1kb', app: 'echo', cores: [0] }, "cores: mode '1kb' needs 2 CPUs at least, one of them for the stack"],
    [{ mode: '2kb', app: 'echo', cores: [0, 1] }, "cores: mode '2kb' needs 3 CPUs at least, one of them for the stack"],
    [{ mode: '2kb', app: 'echo', cores: [0, 1, 1] }, 'cores: [0,1,1] is not a list of different CPU numbers'],
    [{ mode: '1kb', app: 'echo', cores: range(66) }, 'cores: 66 CPUs, where 64 at most can run the stack'],
    [
      { mode: '1kb', app: 'echo', cores: [0, 1], buffers: 256 },
      'buffers: 256 buffers are too few for a core: take 4096',
    ],
    [{ mode: '1kb', app: 'echo', cores: range(9), buffers: 1024 }, 'buffers: 1024 buffers are too few for 8 cores'],
    [{ mode: '1kb', app: 'echo', buffers: 70000 }, 'buffers: 70000 is not a whole number from 256 to 65536'],
    [{ appOptions: 7 }, 'appOptions: 7 is not an object'],
    [{ appOptions: null }, 'appOptions: null is not an object'],
    [{ mode: '1kb', app: 'echo', appOptions: { f: Math.max } }, 'appOptions: they go to other threads, and'],
    [
      { rss: { key: 'nonsense' } },
      "rss: 'nonsense' is not an RSS key (possible are microsoft, symmetric, or 80 hex digits)",
    ],
    [{ rss: { key: new Uint8Array(39) } }, 'rss: an RSS key of 39 bytes: it must have 40'],
    [{ rss: { symmetric: 1 } }, 'rss: RSS symmetric: 1 is not true or false'],
    [{ rss: 'microsoft' }, 'rss: RSS options are an object { key, symmetric }, found "microsoft"'],
    [{ rss: null }, 'rss: RSS options are an object { key, symmetric }, found null'],
    [{ rss: { hash: 'microsoft' } }, 'rss: RSS option hash is unknown (known are key, symmetric)'],
    [{ coreBurst: 0 }, 'coreBurst: 0 is not a whole number from 1 to 256'],
    [{ coreBurst: 257 }, 'coreBurst: 257 is not a whole number from 1 to 256'],
    [{ coreBurst: 1.5 }, 'coreBurst: 1.5 is not a whole number'],
    [{ onCoreFailure: 'restart' }, "onCoreFailure: 'restart' is none of redistribute, stop"],
    [{ cores: [0, 1] }, "cores: mode 'single' runs on one core, found 2"],
    [{ cores: [-1] }, 'cores: [-1] is not a list of different CPU numbers'],
    [{ cores: 'all' }, "cores: 'all' is not a list"],
    [{ idle: 'never' }, "idle: 'never' is none of adaptive, spin"],
    [{ ring: 'indirect' }, "ring: 'indirect' is none of auto, split, packed"],
    [{ offloads: 'on' }, "offloads: 'on' is none of off, auto"],
    [{ offloads: true }, 'offloads: true is none of off, auto'],
    [{ hugepages: 'yes' }, "hugepages: 'yes' is none of auto, require, never"],
    [{ layer: 'tcp' }, "layer: 'tcp' is none of ip, ethernet"],
    [{ acceptBroadcast: 1 }, 'acceptBroadcast: 1 is not true or false'],
    [{ gateway: '10.0.1.1' }, 'gateway: 10.0.1.1 is not on the link of 10.0.0.1/24'],
    [{ gateway: '10.0.0.1' }, 'gateway: 10.0.0.1 is our own address'],
    [{ gateway: 'gw' }, "gateway: 'gw' is not an IPv4 address"],
    [{ neighbours: { '10.0.0.2': 'x' } }, "neighbours: 10.0.0.2: 'x' is not a MAC address"],
    [{ neighbours: { peer: '52:54:00:00:00:01' } }, "neighbours: 'peer' is not an IPv4 address"],
    [{ neighbours: { '10.9.0.2': '52:54:00:00:00:01' } }, 'neighbours: 10.9.0.2 is not on the link of 10.0.0.1/24'],
    [{ neighbours: { '10.0.0.1': '52:54:00:00:00:01' } }, 'neighbours: 10.0.0.1 is our own address'],
    [{ adress: '10.0.0.1' }, 'adress: unknown option (known are device, ip,'],
  ])('%j: one clear line', (config, line) => {
    const faults = faultsOf(config);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(line);
    expect(faults[0]).not.toContain('\n');
  });

  it.each([[undefined], [null], ['vhost-user:/tmp/x.sock'], [7]])(
    'refuses %j, which is no object: a ConfigError',
    (config) => {
      const resolve = (): unknown => resolveConfig(config as never);
      expect(resolve).toThrow(ConfigError);
      expect(resolve).toThrow(/^config: .* is not an object \{ device, ip, … \}$/);
    },
  );

  it.each([
    ['a URL', new URL('file:///opt/a%20stack/stack.js')],
    ['the text of a URL, as import.meta.resolve returns it', 'file:///opt/a%20stack/stack.js'],
  ])('takes %s as the app', (_, app) => {
    expect(resolveConfig({ ...good, app }).app).toBe('/opt/a stack/stack.js');
  });

  it('reports all faults at once', () => {
    expect(faultsOf({ device: 'x', ip: 'y', mtu: 0 })).toHaveLength(3);
  });
});
