import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PmdPortConfig, PortTable } from '../../../../bess/ports/pmd-port.js';
import { parseVdev, type VhostVdev } from '../../../../bess/ports/vdev.js';
import { OFFLOAD_CSUM, PORT_OFFLOADS } from '../../../../drivers/offloads.js';
import { errorOf, FakePortDevice } from '../../../support/bess/fake-port.js';

describe('parseVdev', () => {
  it('reads what BESS scripts say', () => {
    expect(parseVdev('eth_vhost0,iface=/tmp/a.sock,queues=1')).toEqual({
      driver: 'vhost',
      unit: '0',
      iface: '/tmp/a.sock',
      queues: 1,
      client: false,
      offloads: PORT_OFFLOADS,
      notes: [],
    });
    expect(parseVdev('net_vhost12,iface=x,queues=4,client=1')).toMatchObject({ unit: '12', queues: 4, client: true });
    expect(parseVdev('eth_vhost_v0_1,iface=x')).toMatchObject({ unit: '_v0_1', queues: 1 });
    expect(parseVdev('net_tap3')).toMatchObject({ driver: 'tap', iface: 'dtap3' });
    expect(parseVdev('net_tap0,iface=vm-tap')).toMatchObject({ iface: 'vm-tap', mac: null });
    expect(parseVdev('net_tap0,mac=fixed')).toMatchObject({ mac: 'fixed' });
    expect(parseVdev('eth_tap0,mac=52:54:00:0:0:a9')).toMatchObject({ mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 0xa9) });
  });

  it("reads DPDK's options of a raw socket", () => {
    expect(parseVdev('net_af_packet0,iface=eth0')).toEqual({
      driver: 'af_packet',
      unit: '0',
      iface: 'eth0',
      bypass: false,
      offloads: PORT_OFFLOADS,
      queues: 1,
      notes: [],
    });
    expect(parseVdev('eth_af_packet7,iface=eth0,qpairs=1,qdisc_bypass=1')).toMatchObject({ unit: '7', bypass: true });
    expect(parseVdev('net_af_packet0,iface=x,framecnt=512').notes).toEqual([
      "vdev net_af_packet0: 'framecnt=512' is ignored by this switch, whose rings have one size",
    ]);
  });

  it('reports what it ignores', () => {
    expect(parseVdev('eth_vhost0,iface=x,ext-buffer=1').notes).toEqual([
      "vdev eth_vhost0: 'ext-buffer=1' is ignored by this switch",
    ]);
    expect(parseVdev('eth_vhost0,iface=x,ext-buffer=0').notes).toEqual([]);
  });

  it.each([
    ['', PORT_OFFLOADS],
    [',csum=1,tso=1', PORT_OFFLOADS],
    [',tso=0', OFFLOAD_CSUM],
    [',csum=0', 0],
    [',csum=0,tso=0', 0],
  ])('limits the offloads of a port: %j', (options, offloads) => {
    expect(parseVdev(`eth_vhost0,iface=x${options}`)).toMatchObject({ offloads, notes: [] });
    expect(parseVdev(`net_tap0${options}`)).toMatchObject({ offloads, notes: [] });
    expect(parseVdev(`net_af_packet0,iface=x${options}`)).toMatchObject({ offloads, notes: [] });
  });

  it.each([
    ['', 'No vdev specified'],
    ['eth_pcap0,iface=lo', "no driver for 'eth_pcap0'"],
    ['eth_vhost0', 'it needs the path of a socket'],
    ['eth_vhost0,iface=', 'it needs the path of a socket'],
    ['eth_vhost0,iface=x,queues=0', 'queues=0'],
    ['eth_vhost0,iface=x,queues=two', 'queues=two'],
    ['eth_vhost0,iface=x,client=yes', 'client=yes'],
    ['eth_vhost0,iface=x,csum=2', 'csum=2: it must be 0 or 1'],
    ['eth_vhost0,iface=x,csum=0,tso=1', 'tso=1 needs csum=1'],
    ['net_tap0,tso=on', 'tso=on: it must be 0 or 1'],
    ['eth_vhost0,iface=x,iface=y', 'twice'],
    ['eth_vhost0,iface=x,colour=red', "unknown option 'colour'"],
    ['eth_vhost0,iface=x,nonsense', 'not key=value'],
    ['eth_vhost0,iface=x,quues=2', "unknown option 'quues', perhaps 'queues'; known are iface, queues, client, "],
    ['net_tap0,remote=eth0', "unknown option 'remote'; known are iface, mac"],
    ['net_tap0,mac=random', "mac=random: it must be 'fixed' or the MAC address of one station"],
    ['net_tap0,mac=ff:ff:ff:ff:ff:ff', "it must be 'fixed'"],
    ['net_tap0,mac=00:00:00:00:00:00', "it must be 'fixed'"],
    ['net_tap0,iface=a/b', "'a/b' is not the name of an interface"],
    ['net_tap0,iface=sixteen-bytes-12', 'not the name of an interface'],
    ['net_af_packet0', "it needs the name of an interface that there is: 'iface=eth0'"],
    ['net_af_packet0,iface=a/b', "'a/b' is not the name of an interface"],
    ['net_af_packet0,iface=x,qpairs=2', 'qpairs=2: this switch has one queue pair for an interface'],
    ['net_af_packet0,iface=x,qdisc_bypass=yes', 'qdisc_bypass=yes: it must be 0 or 1'],
    ['net_af_packet0,iface=x,framesz=big', 'framesz=big is not a number'],
    [
      'net_af_packet0,iface=x,framesize=2048',
      "unknown option 'framesize', perhaps 'framesz'; known are iface, qpairs, ",
    ],
  ])('refuses %j', (vdev, reason) => {
    expect(errorOf(() => parseVdev(vdev)).message).toContain(reason);
  });
});

describe('PortTable', () => {
  let directory: string;
  let opened: VhostVdev[];
  let devices: FakePortDevice[];
  let notes: string[];
  let closed: boolean;
  let table: PortTable;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ports-'));
    opened = [];
    devices = [];
    notes = [];
    closed = false;
    const open = (queues: number): FakePortDevice => {
      const device = new FakePortDevice(queues);
      devices.push(device);
      return device;
    };
    table = new PortTable(
      {
        vhost: (vdev) => {
          opened.push(vdev);
          return open(vdev.queues);
        },
        tap: () => open(1),
        afPacket: () => open(1),
        close: () => {
          closed = true;
        },
      },
      (line) => notes.push(line),
    );
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function config(vdev: string | null, more: Partial<PmdPortConfig> = {}): PmdPortConfig {
    const queues = { incQueues: 0, outQueues: 0, incSize: 0, outSize: 0 };
    return { name: null, vdev, pci: null, portId: null, ...queues, ...more };
  }

  function vhost(unit: number, file = `${unit}.sock`, options = ''): string {
    return `eth_vhost${unit},iface=${join(directory, file)}${options}`;
  }

  it('makes ports, with the given name or one made up', () => {
    const first = table.create(config(vhost(0), { name: 'vm1' }));
    const second = table.create(config(vhost(1, '1.sock', ',ext-buffer=1')));
    expect([first.name, second.name]).toEqual(['vm1', 'pmd_port0']);
    expect(table.get('vm1')).toBe(first);
    expect(opened.map(({ iface }) => iface)).toEqual([join(directory, '0.sock'), join(directory, '1.sock')]);
    expect(notes).toEqual(["vdev eth_vhost1: 'ext-buffer=1' is ignored by this switch"]);
    expect(first.description).toBe(`vhost-user ${join(directory, '0.sock')}`);
  });

  it('gives a port the queues that it asks for', () => {
    const port = table.create(config(vhost(0, 'a', ',queues=3'), { incQueues: 3, outQueues: 2 }));
    expect(port.incQueues()).toEqual([0, 1, 2]);
    expect(port.outQueues()).toEqual([0, 1]);
    expect(errorOf(() => table.create(config(vhost(1), { incQueues: 2 }))).message).toContain('say queues=2');
    expect(errorOf(() => table.create(config('net_tap0', { incQueues: 2 }))).code).toBe('EINVAL');
  });

  it.each<[string, string, (directory: string) => Partial<PmdPortConfig>]>([
    ['no device', 'EINVAL', () => ({})],
    ['two devices', 'EINVAL', () => ({ pci: '00:01.0', portId: 0 })],
    ['a NIC by its number', 'ENODEV', () => ({ portId: 0 })],
    ['a NIC by its address', 'ENODEV', () => ({ pci: '00:04.0' })],
    ['129 queues', 'EINVAL', () => ({ vdev: 'eth_vhost0,iface=/x', incQueues: 129 })],
    ['a queue of 4097', 'EINVAL', () => ({ vdev: 'eth_vhost0,iface=/x', outSize: 4097 })],
    ['a directory that is not there', 'ENOENT', (dir) => ({ vdev: `eth_vhost0,iface=${dir}/none/x.sock` })],
  ])('refuses %s', (_, code, more) => {
    expect(errorOf(() => table.create(config(null, more(directory)))).code).toBe(code);
    expect(table.all).toEqual([]);
  });

  it('refuses what another port has: name, number, socket, interface', () => {
    table.create(config(vhost(0), { name: 'vm1' }));
    const refused = (vdev: string, more: Partial<PmdPortConfig> = {}) =>
      errorOf(() => table.create(config(vdev, more)));
    expect(refused(vhost(1), { name: 'vm1' })).toMatchObject({ code: 'EEXIST', message: 'Port vm1 exists' });
    expect(refused(vhost(0, 'other.sock')).message).toContain('port vm1 has this number');
    expect(refused(vhost(1, '0.sock')).message).toContain('port vm1 is on');
    expect(refused(vhost(1, 'x/../0.sock')).message).toContain('port vm1 is on');
    table.create(config('net_tap0,iface=t0'));
    expect(refused('net_tap1,iface=t0').message).toContain('pmd_port0 is on t0');
    expect(refused('net_af_packet0,iface=t0').message).toContain('pmd_port0 is on t0');
    expect(table.create(config('net_af_packet0,iface=eth0')).description).toBe('af_packet eth0');
    expect(refused('eth_af_packet0,iface=eth1').message).toContain('port pmd_port1 has this number');
    expect(refused('net_af_packet1,iface=eth0').message).toContain('port pmd_port1 is on eth0 already');
    expect(errorOf(() => table.get('vm2'))).toMatchObject({ code: 'ENODEV', message: 'Port vm2 not found' });
  });

  it('refuses a socket that exists, and says how to go on; a client needs it to exist', () => {
    const path = join(directory, 'left.sock');
    writeFileSync(path, '');
    expect(errorOf(() => table.create(config(vhost(0, 'left.sock'))))).toMatchObject({
      code: 'EPERM',
      message: expect.stringContaining(`os.unlink('${path}')`),
    });
    expect(table.create(config(vhost(0, 'left.sock', ',client=1'))).name).toBe('pmd_port0');
  });

  it('closes every device, also if one of them fails', async () => {
    for (const unit of [0, 1, 2]) table.create(config(vhost(unit)));
    const failing = devices[0] as FakePortDevice;
    failing.close = () => {
      throw new Error('stuck');
    };
    await expect(table.close()).rejects.toThrow('stuck');
    expect(devices.slice(1).map(({ closed }) => closed)).toEqual([true, true]);
    expect(table.all).toEqual([]);
    expect(closed).toBe(true);
  });
});
