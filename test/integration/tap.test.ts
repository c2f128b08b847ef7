/** The tap device with the kernel as its peer, in a network namespace that the test makes. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDevices } from '../../bess/ports/devices.js';
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator, type WindowRange } from '../../drivers/memory/index.js';
import { TapDevice } from '../../drivers/transports/tap.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { until } from '../support/until.js';

const NAMESPACE = `tspmd-tap-${process.pid}`;
const IFNAME = `tspmd${process.pid}`.slice(0, 15);
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const OUR_MAC = Buffer.from('020000000002', 'hex');

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', timeout: 5000, env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
const inside = (...args: string[]): string => ip('netns', 'exec', NAMESPACE, ...args);

/** "Who has 192.0.2.1? Tell 192.0.2.2." (RFC 826) */
const ARP_REQUEST = Buffer.concat([
  Buffer.from('ffffffffffff', 'hex'),
  OUR_MAC,
  Buffer.from('08060001080006040001', 'hex'),
  OUR_MAC,
  Buffer.from('c0000202000000000000c0000201', 'hex'),
]);

describeWith('tap device', [root, tun, command('ip')], () => {
  let reactor: Reactor;
  let windows: WindowAllocator;
  let tap: TapDevice;
  let staging: WindowRange;

  beforeEach(() => {
    ip('netns', 'add', NAMESPACE);
    reactor = new Reactor();
    windows = new WindowAllocator();
    staging = windows.allocate(1 << 20);
    tap = TapDevice.open(IFNAME, { reactor, windows });
    ip('link', 'set', IFNAME, 'netns', NAMESPACE);
    inside('ip', 'addr', 'add', '192.0.2.1/24', 'dev', IFNAME);
    // No router solicitations and the like: the only frames are those of the test.
    inside('sysctl', '-qw', `net.ipv6.conf.${IFNAME}.disable_ipv6=1`);
    inside('ip', 'link', 'set', IFNAME, 'mtu', '9000', 'up');
  });

  afterEach(() => {
    tap.close();
    reactor.close();
    ip('netns', 'del', NAMESPACE);
  });

  /** A burst with one frame, in pieces of these lengths. */
  function frame(bytes: Buffer, pieces = [bytes.length]): PacketBurst {
    const burst = new PacketBurst(staging.window);
    burst.push(staging.offset, bytes.length);
    burst.firstSegment[1] = pieces.length;
    let done = 0;
    pieces.forEach((length, s) => {
      const at = staging.offset + done + s * 9;
      staging.window.u8.set(bytes.subarray(done, done + length), at);
      burst.segmentOffset[s] = at;
      burst.segmentLength[s] = length;
      done += length;
    });
    return burst;
  }

  async function takeOne(): Promise<Buffer> {
    const burst = new PacketBurst(staging.window);
    await until('a frame', () => tap.take(burst, MAX_BURST) > 0);
    expect(burst.count).toBe(1);
    const at = burst.segmentOffset[0]!;
    const bytes = Buffer.from(burst.memory.u8.slice(at, at + burst.length[0]!));
    tap.complete();
    return bytes;
  }

  it.each([
    ['in one piece', [42]],
    ['in three pieces', [5, 20, 17]],
  ])('gives the kernel a frame %s, and gets its answer', async (_, pieces) => {
    expect(tap.put(frame(ARP_REQUEST, pieces), ALL, 1)).toBe(1);
    const reply = await takeOne();
    expect(reply.subarray(0, 6)).toEqual(OUR_MAC);
    expect(reply.subarray(12, 22).toString('hex')).toBe('08060001080006040002');
    expect(reply.subarray(28, 32).toString('hex')).toBe('c0000201');
    expect(tap.counters()).toMatchObject({ in_packets: 1, in_bytes: 42, out_packets: 1, out_bytes: 42 });
  });

  it('reports waiting frames only when that is wanted', async () => {
    let kicks = 0;
    tap.onKick = () => kicks++;
    expect(tap.enableKick()).toBe(true);
    tap.put(frame(ARP_REQUEST), ALL, 1);
    await until('a kick', () => kicks === 1);
    expect(tap.enableKick()).toBe(false);
    expect((await takeOne()).length).toBe(42);
    tap.disableKick();
    tap.put(frame(ARP_REQUEST), ALL, 1);
    expect((await takeOne()).length).toBe(42);
    expect(kicks).toBe(1);
  });

  it('counts frames that the kernel does not take', () => {
    expect(tap.put(frame(ARP_REQUEST.subarray(0, 10)), ALL, 1)).toBe(0);
    inside('ip', 'link', 'set', IFNAME, 'down');
    expect(tap.put(frame(ARP_REQUEST), ALL, 1)).toBe(0);
    expect(tap.counters()).toMatchObject({ out_errors: 1, out_interfaceDown: 1, out_packets: 0 });
  });

  it('leaves a flood of frames that are too long after one burst of reads', async () => {
    inside('ip', 'link', 'set', IFNAME, 'mtu', '20000');
    inside('ip', 'neigh', 'add', '192.0.2.2', 'lladdr', '02:00:00:00:00:02', 'dev', IFNAME);
    // One socket per frame: a single socket may not have that many bytes under way.
    const send = `const { createSocket } = require('node:dgram');
      for (let i = 0; i < ${2 * MAX_BURST}; i++) {
        const socket = createSocket('udp4');
        socket.send(Buffer.alloc(15000), 9, '192.0.2.2', () => socket.close());
      }`;
    inside(process.execPath, '-e', send);
    const burst = new PacketBurst(staging.window);
    let most = 0;
    await until(
      'all of them',
      () => tap.counters().in_tooLong === 2 * MAX_BURST,
      () => {
        const before = tap.counters().in_tooLong ?? 0;
        tap.take(burst, MAX_BURST);
        most = Math.max(most, (tap.counters().in_tooLong ?? 0) - before);
      },
    );
    expect(most).toBe(MAX_BURST);
  });

  it('survives the removal of the interface, and reports it', async () => {
    inside('ip', 'link', 'del', IFNAME);
    const burst = new PacketBurst(staging.window);
    await until(
      'the loss',
      () => tap.problem !== null,
      () => tap.take(burst, MAX_BURST),
    );
    expect(tap.problem).toMatch(new RegExp(`^the interface ${IFNAME} is gone \\(errno \\d+\\); was it deleted`));
    expect(tap.put(frame(ARP_REQUEST), ALL, 1)).toBe(0);
    expect(tap.take(burst, MAX_BURST)).toBe(0);
    expect(tap.counters()).toMatchObject({ out_interfaceDown: 1 });
  });

  it('gives its interface the MAC address of its option, whether it is new or not', () => {
    const address = (name: string): string => /link\/ether (\S+)/.exec(ip('link', 'show', name))?.[1] ?? '';
    const name = `${IFNAME.slice(0, 13)}-m`;
    ip('tuntap', 'add', name, 'mode', 'tap');
    try {
      const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 0x2a);
      TapDevice.open(name, { reactor, windows, mac }).close();
      expect(address(name)).toBe('52:54:00:00:00:2a');
      TapDevice.open(name, { reactor, windows }).close();
      expect(address(name)).toBe('52:54:00:00:00:2a');
      const group = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
      expect(() => TapDevice.open(name, { reactor, windows, mac: group })).toThrow(
        /^tap \S+: it cannot be given that MAC address: .*EADDRNOTAVAIL/,
      );
    } finally {
      ip('link', 'del', name);
    }
  });

  it('has DPDK’s addresses for mac=fixed, which count up', async () => {
    const devices = openDevices();
    const names = ['f0', 'f1'].map((end) => `${IFNAME.slice(0, 12)}-${end}`);
    const taps = names.map((iface, i) => {
      return devices.tap({ driver: 'tap', unit: String(i), iface, mac: 'fixed', offloads: 0, queues: 1, notes: [] });
    });
    const addresses = names.map((name) => /link\/ether (\S+)/.exec(ip('link', 'show', name))?.[1]);
    expect(addresses).toEqual(['00:64:74:61:70:30', '00:64:74:61:70:31']);
    for (const one of taps) await one.close();
    devices.close();
  });

  it('is down until it is set up, and says how to do that', () => {
    const name = `${IFNAME.slice(0, 13)}-b`;
    const other = TapDevice.open(name, { reactor, windows });
    expect(other.problem).toBe(`the interface ${name} is down: bring it up with 'ip link set ${name} up'`);
    expect(other.put(frame(ARP_REQUEST), ALL, 1)).toBe(0);
    ip('link', 'set', name, 'up');
    expect(other.problem).toBeNull();
    expect(other.counters()).toMatchObject({ out_interfaceDown: 1, out_errors: 0 });
    other.close();
  });

  it('says why it cannot be opened', () => {
    expect(() => TapDevice.open('a/b', { reactor, windows })).toThrow(/tap 'a\/b': not an interface name/);
    expect(() => TapDevice.open('longer-than-16-characters', { reactor, windows })).toThrow(/1 to 15 characters/);
    const second = TapDevice.open(IFNAME, { reactor, windows });
    expect(() => TapDevice.open(IFNAME, { reactor, windows })).toThrow(/another process has this interface \(EBUSY\)/);
    second.close();
    expect(() => TapDevice.open('lo', { reactor, windows })).toThrow(/tap lo: there is an interface of this name/);
  });
});
