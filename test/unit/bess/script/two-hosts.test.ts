/** two_hosts.bess with fake ports: what comes from a VM or from the network goes where it should, and nowhere else. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Switch } from '../../../../bess/switch.js';
import type { FakePortDevice } from '../../../support/bess/fake-port.js';
import { loadWithFakes } from '../../../support/bess/load-script.js';
import { frameBetween, udpBetweenVms, udpFrame, vxlan } from '../../../support/hosts/vxlan.js';

const HERE = '192.0.2.1/52:54:00:00:01:01';
const HOSTS = '192.0.2.2/52:54:00:00:01:02/3-4,192.0.2.3/52:54:00:00:01:03/5-5';
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex');
const broadcastOf = (vm: number): string => `ffffffffffff${frameBetween(vm, 0).slice(12)}`;

let directory: string;
let bess: Switch | null;
let nic: FakePortDevice;
let vms: FakePortDevice[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'two-hosts-'));
  bess = null;
});

afterEach(async () => {
  await bess?.stop();
  rmSync(directory, { recursive: true });
});

async function load(variables: Record<string, string> = {}): Promise<void> {
  const common = { DIR: directory, NIC: `eth_vhost99,iface=${join(directory, 'nic.sock')}`, HERE, HOSTS };
  const loaded = await loadWithFakes('two_hosts.bess', { ...common, ...variables });
  bess = loaded.bess;
  [nic, ...vms] = loaded.devices as [FakePortDevice, ...FakePortDevice[]];
}

function run(): void {
  for (const task of bess!.graph.tasks) task.run();
}

/** The frames that each VM has got since the last call, in hexadecimal. */
function delivered(): string[][] {
  return vms.map(({ queue }) => queue.received.splice(0).map(hex));
}

/** What has left for the network: to which host, and the VXLAN header with the frame. */
function sent(): string[][] {
  return nic.queue.received.splice(0).map((packet) => {
    const text = hex(packet);
    return [text.slice(0, 12), text.slice(12, 24), text.slice(52, 60), text.slice(60, 68), text.slice(84)];
  });
}

const MACS = '525400000101525400000102';
const HEADERS = (host: number): string[] => [`52540000010${host}`, '525400000101', 'c0000201', `c000020${host}`];

/** A packet of another host, as it is on the wire. */
const packet = (from: number, datagram: string): Uint8Array =>
  bytes(udpFrame(MACS, `c000020${from}c0000201`, datagram));

describe('two_hosts.bess', () => {
  it('makes a port for the network, and one for each VM of this host', async () => {
    await load({ NPORTS: '3', FIRST: '7' });
    expect(bess!.ports.all.map(({ name }) => name)).toEqual(['nic', 'vm7', 'vm8', 'vm9']);
    expect(bess!.ports.all[1]!.description).toBe(`vhost-user ${join(directory, 'vhost7.sock')}`);
  });

  it('sends a frame to a VM of this host, or to the host that has the VM', async () => {
    await load();
    vms[0]!.queue.offer(bytes(frameBetween(1, 2)), bytes(frameBetween(1, 4)), bytes(frameBetween(1, 5)));
    vms[1]!.queue.offer(bytes(frameBetween(2, 3)), bytes(frameBetween(2, 99)));
    run();
    expect(delivered()).toEqual([[], [frameBetween(1, 2)]]);
    expect(sent()).toEqual([
      [...HEADERS(2), vxlan(999, frameBetween(1, 4))],
      [...HEADERS(3), vxlan(999, frameBetween(1, 5))],
      [...HEADERS(2), vxlan(999, frameBetween(2, 3))],
    ]);
  });

  it('sends a broadcast to the other VMs of this host, and to each other host once', async () => {
    await load({ NPORTS: '3', FIRST: '7', VNI: '16777215' });
    vms[1]!.queue.offer(bytes(broadcastOf(8)));
    run();
    expect(delivered()).toEqual([[broadcastOf(8)], [], [broadcastOf(8)]]);
    const datagram = vxlan(0xffffff, broadcastOf(8));
    expect(sent().sort()).toEqual([
      [...HEADERS(2), datagram],
      [...HEADERS(3), datagram],
    ]);
  });

  it('gives frames of the network to its VMs, and none back to the network', async () => {
    await load();
    nic.queue.offer(packet(2, vxlan(999, frameBetween(3, 2))), packet(3, vxlan(999, broadcastOf(5))));
    run();
    expect(delivered()).toEqual([[broadcastOf(5)], [frameBetween(3, 2), broadcastOf(5)]]);
    expect(sent()).toEqual([]);
  });

  it.each([
    ['an unknown host', 'unknown_host', () => packet(4, vxlan(999, frameBetween(3, 1)))],
    ['another network', 'wrong_vni', () => packet(2, vxlan(998, frameBetween(3, 1)))],
    ['a host, too short for a VNI', 'wrong_vni', () => packet(2, '08000000')],
    ['a VM of this host', 'mac_of_ours', () => packet(2, vxlan(999, frameBetween(2, 1)))],
    ['somebody, without VXLAN', 'not_vxlan', () => bytes(`${MACS}0806${'00'.repeat(46)}`)],
  ])('drops what comes from %s, in the Sink %s', async (_, sink, make) => {
    await load();
    nic.queue.offer(make());
    run();
    expect(delivered()).toEqual([[], []]);
    expect(packetsTo(sink)).toBe(1);
  });

  it('leaves to VXLANDecap what is wrong inside', async () => {
    await load();
    const nested = vxlan(999, udpBetweenVms(1, vxlan(999, frameBetween(3, 1))));
    nic.queue.offer(packet(2, vxlan(999, frameBetween(3, 1).slice(0, 26))), packet(2, nested));
    run();
    expect(delivered()).toEqual([[], []]);
    expect(bess!.graph.get('decap').counters()).toEqual({ truncated: 1, nested: 1 });
  });

  it('removes the sockets that a killed switch has left', async () => {
    writeFileSync(join(directory, 'vhost2.sock'), '');
    await load();
    expect(existsSync(join(directory, 'vhost2.sock'))).toBe(false);
  });

  it.each([
    [{ HERE: '' }, 'set HERE to the IP and MAC address of NIC'],
    [{ HOSTS: '' }, 'set HOSTS to the other hosts and their VMs'],
    [{ HERE: '192.0.2/52:54:00:00:01:01' }, '192.0.2 in 192.0.2/52:54:00:00:01:01/1-2 is no IPv4 address'],
    [{ HERE: '192.0.2.256/52:54:00:00:01:01' }, 'is no IPv4 address'],
    [{ HERE: '192.0.2.1/52:54:00:00:01:g1' }, '52:54:00:00:01:g1 in '],
    [{ HERE: '192.0.2.1' }, 'HERE must be IP/MAC, and each of HOSTS IP/MAC/FIRST-LAST'],
    [{ HOSTS: `${HOSTS},` }, 'each of HOSTS IP/MAC/FIRST-LAST'],
    [{ HOSTS: '192.0.2.2/52:54:00:00:01:02/3' }, '3 must be FIRST-LAST, such as 3-4'],
    [{ HOSTS: '192.0.2.2/52:54:00:00:01:02/4-3' }, 'VMs have the numbers 1 to 255, the smaller one first'],
    [{ HOSTS: '192.0.2.2/52:54:00:00:01:02/3-256' }, 'VMs have the numbers 1 to 255'],
    [{ HOSTS: '192.0.2.2/52:54:00:00:01:02/2-4' }, 'two hosts have the same VMs: 192.0.2.1 has 1-2, and 192.0.2.2/'],
    [{ HOSTS: '192.0.2.1/52:54:00:00:01:02/3-4' }, '192.0.2.1 is there twice in HERE and HOSTS'],
    [{ NPORTS: '31' }, 'NPORTS, the number of VMs of this host, must be 1 to 30, not 31'],
    [{ FIRST: '255' }, 'FIRST, the number of the first VM of this host, must be 1 to 254'],
    [{ VNI: '16777216' }, 'VNI, the number of the network, must be 0 to 16777215'],
  ])('refuses %j in one line', async (variables, message) => {
    await expect(load(variables)).rejects.toThrow(message);
  });

  it('refuses more hosts than a broadcast can go to', async () => {
    const hosts = Array.from({ length: 4 }, (_, i) => `192.0.2.${i + 2}/52:54:00:00:01:02/${100 + i}-${100 + i}`);
    await load({ NPORTS: '30', HOSTS: hosts.slice(1).join(',') });
    await bess!.stop();
    await expect(load({ NPORTS: '30', HOSTS: hosts.join(',') })).rejects.toThrow('a broadcast goes to at most 32');
  });
});

/** Packets that came to a module. */
function packetsTo(name: string): number {
  const gates = bess!.graph.all.flatMap((module) => module.gates.filter((gate) => gate?.next.name === name));
  return gates.reduce((sum, gate) => sum + (gate?.packets ?? 0), 0);
}
