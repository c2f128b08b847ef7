/**
 * Hosts that carry their VMs' frames to each other by VXLAN. One has our switch with `bess/two_hosts.bess`; the others have
 * the same, OVS-DPDK, or the VXLAN device of the Linux kernel.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SwitchStats } from '../../bess/stats.js';
import { OVS_SENDS, Ovs } from '../../scripts/ovs.js';
import { HOSTS, type Host, Hosts, MAX_PAYLOAD, MTU, NIC, VNI } from '../support/hosts/hosts.js';
import { frameBetween, udpBetweenVms, udpFrame, vxlan } from '../support/hosts/vxlan.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { command, describeWith, ovs } from '../support/requirements.js';

const LIMIT = { timeout: 60_000 };
const BYTES = 10_000_000;
const PINGS = { count: 5, interval: 0.02, size: MAX_PAYLOAD };
const MAX_LOOKS = 1000;
/** From the second host to the first one. */
const MACS = '525400000101525400000102';
const IPS = 'c0000202c0000201';
/** Where two fields are in a packet of these, in hexadecimal digits. */
const IP_SUM = 48;
const UDP_LENGTH = 76;
const main = (path: string): string => fileURLToPath(new URL(`../../dist/test/support/${path}`, import.meta.url));
const DATAGRAMS = main('hosts/datagrams.main.js');
const FRAMES = main('hosts/frames.main.js');
const SERVER = main('peers/kernel-http.main.js');
/** Sizes of pings: from each of these on a hundred, up to the largest one. No ring is too short for a hundred packets. */
const SIZES = [0, 500, 900, MAX_PAYLOAD - 99];

let lab: Hosts;
let here: Host;
let there: Host;

/** Hosts, of which the first one has our switch. */
async function start(count: number): Promise<void> {
  lab = Hosts.create(count);
  [here, there] = lab.hosts as readonly [Host, Host];
  for (const host of lab.hosts) host.addAddress();
  await here.ignore('udp dport 4789');
  await here.startSwitch();
}

/** Gives a host the VXLAN device of the kernel, in the place of its first VM. */
async function addVxlan(host: Host): Promise<void> {
  const { namespace, ip, vms } = host;
  const [vm] = vms;
  const ends = ['id', VNI, 'local', ip, 'dstport', 4789, 'dev', NIC].map(String);
  namespace.ip('link', 'add', 'vx0', 'address', `52:54:00:00:00:0${vm}`, 'type', 'vxlan', ...ends);
  for (const other of lab.hosts.filter((each) => each !== host)) {
    await host.run('bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', other.ip);
  }
  namespace.ip('addr', 'add', `10.0.0.${vm}/24`, 'dev', 'vx0');
  namespace.ip('link', 'set', 'vx0', 'up');
}

/** Expects that `tspmd get` at a VM gets the right bytes. */
async function expectDownload(vm: number, url: string): Promise<void> {
  const { code, output } = await lab.tspmd(vm, 'get', url, '--hash', 'sha256');
  expect(code, output).toBe(0);
  expect(output).toContain(patternHash(BYTES));
}

/** Expects that each of many pings of different sizes is answered. */
async function expectAllSizes(from: number, to: number): Promise<void> {
  for (const size of SIZES) {
    const output = await lab.ping(from, to, '--size', `${size}-${size + 99}`, '--count', '100');
    expect(output).toBe('100 packets transmitted, 100 received, 0% packet loss');
  }
}

/** Packets that left a module by a gate. */
function gateOf({ modules }: SwitchStats, name: string, gate: number): number {
  const module = modules.find((each) => each.name === name);
  return module?.gates.find((each) => each.gate === gate)?.packets ?? Number.NaN;
}

/** Asks the switch of a host until its counters show that all has come. */
async function statsWhen(host: Host, hasCome: (stats: SwitchStats) => boolean): Promise<SwitchStats> {
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const stats = await host.stats();
    if (hasCome(stats)) return stats;
  }
  throw new Error('the switch has not counted what was sent');
}

describeWith('two hosts with our switch', HOSTS, () => {
  beforeAll(async () => {
    await start(2);
    await there.ignore('udp dport 4789');
    await there.startSwitch();
    await lab.endpoint(2, '--app', 'http');
    await lab.endpoint(3, '--app', 'http');
  }, LIMIT.timeout);

  afterAll(() => lab?.close());

  it('answer pings of all sizes, between hosts and on one', LIMIT, async () => {
    await expectAllSizes(1, 3);
    expect(await lab.ping(1, 2, '--count', '10')).toContain('10 received');
    expect(await lab.ping(4, 2, '--count', '10')).toContain('10 received');
  });

  it('carry TCP both ways', LIMIT, async () => {
    await expectDownload(1, `http://10.0.0.3/bytes/${BYTES}`);
    await expectDownload(4, `http://10.0.0.2/bytes/${BYTES}`);
  });

  it('carry a broadcast to each other VM once', LIMIT, async () => {
    const sent = (ours: SwitchStats): number => gateOf(ours, 'flood_vm1', 1);
    const come = (theirs: SwitchStats): number => gateOf(theirs, 'from_hosts', 2);
    const counts = (ours: SwitchStats, theirs: SwitchStats): number[] => {
      const atVms = [ours.ports.vm1, ours.ports.vm2, theirs.ports.vm3, theirs.ports.vm4];
      const copies = [sent(ours), come(theirs), ours.ports.nic!.inc.packets];
      return [...atVms.map((port) => port!.out.packets + port!.out.dropped), ...copies];
    };
    // A switch that has seen a VM go takes nothing more from it: its count is the last one.
    const whenGone = (): Promise<SwitchStats> => statsWhen(here, ({ ports }) => !ports.vm1!.up);
    const [ours, theirs] = [await whenGone(), await there.stats()];
    const before = counts(ours, theirs);
    // It asks for an address that nobody has, and gets no answer.
    const output = await lab.ping(1, 99, '--count', '1', '--timeout', '1');
    expect(output).toMatch(/\b0 received/);
    const copies = sent(await whenGone()) - sent(ours);
    const atOther = await statsWhen(there, (stats) => come(stats) - come(theirs) >= copies);
    const after = counts(await here.stats(), atOther);
    const [vm1, vm2, vm3, vm4, toHost, fromHost, received] = after.map((count, i) => count - before[i]!);
    expect(vm2).toBeGreaterThan(0);
    expect([vm1, vm3, vm4, toHost, fromHost, received]).toEqual([0, vm2, vm2, vm2, vm2, 0]);
  });

  it('drop and count what is not theirs', LIMIT, async () => {
    there.namespace.ip('addr', 'add', '192.0.2.66/24', 'dev', NIC);
    const before = await here.stats();
    const good = frameBetween(3, 1);
    const send = (from: string, ...contents: string[]): Promise<string> =>
      there.run(process.execPath, DATAGRAMS, from, here.ip, ...contents);
    await send('192.0.2.66', vxlan(VNI, good));
    await send(there.ip, vxlan(VNI + 1, good), '', vxlan(VNI, '').slice(0, 14));
    await send(there.ip, vxlan(VNI, frameBetween(2, 1)));
    const truncated = vxlan(VNI, good.slice(0, 26));
    const fragmented = vxlan(VNI, good + '00'.repeat(3000));
    await send(there.ip, truncated, fragmented, vxlan(VNI, good, 0), vxlan(VNI, udpBetweenVms(1, vxlan(VNI, good))));
    const packet = udpFrame(MACS, IPS, vxlan(VNI, good));
    const wrongSum = `${packet.slice(0, IP_SUM)}0000${packet.slice(IP_SUM + 4)}`;
    const wrongLength = `${packet.slice(0, UDP_LENGTH)}ffff${packet.slice(UDP_LENGTH + 4)}`;
    await there.run(process.execPath, FRAMES, NIC, wrongSum, wrongLength, packet.slice(0, -20));
    // This one is the last, and for a VM that there is not.
    await send(there.ip, vxlan(VNI, frameBetween(3, 77)));
    const { unknownDestination } = before.summary.dropped;
    const after = await statsWhen(here, ({ summary }) => summary.dropped.unknownDestination > unknownDestination);
    const grown = (name: string, gate: number): number => gateOf(after, name, gate) - gateOf(before, name, gate);
    expect([grown('classify', 3), grown('classify', 2), grown('check', 1)]).toEqual([1, 3, 1]);
    const decap = after.modules.find(({ name }) => name === 'decap');
    expect(decap?.counters).toEqual({ truncated: 2, fragment: 1, badFlags: 1, nested: 1, badIp: 1, badUdp: 1 });
    for (const vm of here.vms) expect(after.ports[`vm${vm}`]!.out).toEqual(before.ports[`vm${vm}`]!.out);
  });

  it('are silent to each other otherwise: no kernel says that nobody listens', LIMIT, async () => {
    for (const host of lab.hosts) {
      const [names, values] = (await host.run('grep', '^Icmp:', '/proc/net/snmp')).trim().split('\n');
      const at = names!.split(' ').indexOf('OutDestUnreachs');
      expect(Number(values!.split(' ')[at])).toBe(0);
    }
  });

  it('drop and count frames that are too long for the network', LIMIT, async () => {
    const before = await here.stats();
    const ping = await lab.tspmd(1, 'ping', '--mtu', '1500', '--to', '10.0.0.3', '--size', '1472', '--count', '1');
    expect(ping.stdout).toContain('0 received');
    const after = await here.stats();
    expect(after.ports.nic!.out.dropped - before.ports.nic!.out.dropped).toBe(1);
    expect(after.ports.nic!.device.out_tooLong).toBe(1);
    await here.bess.waitFor(/^port nic: packets are longer than the MTU of eth0, 1500, .* with VXLAN 1450$/m);
    expect(here.bess.output).not.toContain('has no entry');
  });
});

describeWith('our switch and the VXLAN of Linux', [...HOSTS, ...['ping', 'bridge', 'curl'].map(command)], () => {
  beforeAll(async () => {
    await start(2);
    await addVxlan(there);
    await lab.endpoint(2, '--app', 'http');
  }, LIMIT.timeout);

  afterAll(() => lab?.close());

  it('answer pings of all sizes', LIMIT, async () => {
    await expectAllSizes(1, 3);
    expect(there.namespace.ip('link', 'show', 'vx0')).toContain(`mtu ${MTU}`);
    for (const size of [0, 56, MAX_PAYLOAD]) await expectAnswers(there.namespace, '10.0.0.2', { ...PINGS, size });
    await expect(there.run('ping', '-M', 'do', '-c', '1', '-s', `${MAX_PAYLOAD + 1}`, '10.0.0.2')).rejects.toThrow(
      /message too long/,
    );
  });

  it('carry TCP both ways, also what the kernel leaves unfinished', LIMIT, async () => {
    const server = there.start(process.execPath, SERVER, '10.0.0.3', '80');
    await server.waitFor(/^ready$/m);
    const before = await here.stats();
    await expectDownload(1, `http://10.0.0.3/length/${BYTES}`);
    const { inc } = (await here.stats()).ports.nic!;
    const { packets, bytes } = before.ports.nic!.inc;
    expect((inc.bytes - bytes) / (inc.packets - packets)).toBeGreaterThan(1514);
    const file = lab.file('file');
    writeFileSync(file, patternBytes(0, BYTES));
    expect(await there.run('curl', '-sf', '-T', file, 'http://10.0.0.2/sink?hash=sha256')).toContain(
      patternHash(BYTES),
    );
    await there.run('curl', '-sf', '-o', file, `http://10.0.0.2/bytes/${BYTES}`);
    expect(await there.run('sha256sum', file)).toContain(patternHash(BYTES));
  });
});

describeWith(
  'our switch, OVS-DPDK, and the VXLAN of Linux',
  [...HOSTS, ovs, ...['ping', 'bridge', 'ethtool'].map(command)],
  () => {
    let switching: Ovs;
    let third: Host;

    beforeAll(async () => {
      await start(3);
      third = lab.hosts[2]!;
      await addVxlan(third);
      // DPDK takes packets from the veth as they are: nobody finishes a checksum.
      await third.run('ethtool', '-K', NIC, 'tx', 'off');
      // The address is that of br-phy; the kernel must not answer at the NIC as well.
      there.namespace.ip('addr', 'flush', 'dev', NIC);
      await there.ignore('ether type { ip, arp }');
      const ports = there.vms.map((vm) => ({ name: `vhost${vm}.sock` }));
      const { name: namespace } = there.namespace;
      switching = await Ovs.start({ folder: lab.folder, ports, megabytes: 512, sleeps: true, namespace });
      for (const child of switching.children) lab.keep(child);
      const [device, address] = [`net_af_packet0,iface=${NIC}`, `${there.ip}/24`];
      switching.addTunnels({ device, address, mac: there.mac, remotes: [here.ip, third.ip], vni: VNI });
      // No broadcast of one host goes out to the other.
      for (const port of ['vxlan0', 'vxlan1']) {
        await there.run('ovs-vsctl', `--db=unix:${lab.file('db.sock')}`, 'set', 'Port', port, 'protected=true');
      }
      switching.addFlow('priority=0', 'NORMAL');
      await lab.endpoint(2, '--app', 'http');
      await lab.endpoint(3, '--app', 'http');
      await switching.daemon.waitFor(OVS_SENDS);
    }, LIMIT.timeout);

    afterAll(() => lab?.close());

    it('answer pings of all sizes', LIMIT, async () => {
      await expectAllSizes(1, 3);
      expect(await lab.ping(4, 2, '--count', '20', '--size', String(MAX_PAYLOAD))).toContain('20 received');
    });

    it('carry TCP both ways', LIMIT, async () => {
      await expectDownload(1, `http://10.0.0.3/bytes/${BYTES}`);
      await expectDownload(4, `http://10.0.0.2/bytes/${BYTES}`);
    });

    it('carry a broadcast to each of the three once', LIMIT, async () => {
      const ping = (vm: number): Promise<void> => expectAnswers(third.namespace, `10.0.0.${vm}`, PINGS);
      await ping(3);
      await ping(2);
      expect(await lab.ping(1, 5, '--count', '5')).toContain('5 received');
      const before = await here.stats();
      await third.run(process.execPath, DATAGRAMS, '10.0.0.5', '10.0.0.255', '01', '02', '03');
      // These go the same ways, and come last.
      await ping(3);
      await ping(2);
      const after = await here.stats();
      expect(got(after, 1) - got(before, 1)).toBe(3);
      expect(gateOf(after, 'from_hosts', 2) - gateOf(before, 'from_hosts', 2)).toBe(3);
    });
  },
);

/** Packets for a VM of the first host, also those that it did not take. */
function got({ ports }: SwitchStats, vm: number): number {
  const { packets, dropped } = ports[`vm${vm}`]!.out;
  return packets + dropped;
}
