/** The switches of `bench -- switch`, each on the first CPU. */
import { join } from 'node:path';
import type { Child } from '../../scripts/child.js';
import { Ovs } from '../../scripts/ovs.js';
import { benchCpus } from '../common/cpus.js';
import { macBehind, startEmbeddedSwitch, startScript } from '../common/embedded-switch.js';
import { hasHugepages } from '../common/hugepages.js';
import { BROADCAST, type RowSpec } from './rows.js';
import { HERE, NETWORK_MTU, THERE, VNI } from './tunnel.js';

/** A running switch: the process that forwards, all of its processes, and its sockets. */
export interface Started {
  readonly main: Child;
  readonly children: readonly Child[];
  readonly sockets: readonly string[];
}

export interface Contestant {
  readonly name: string;
  /** Whether the second port is the network, where frames are in VXLAN packets. */
  readonly hasNetwork: boolean;
  start(folder: string, spec: RowSpec): Promise<Started>;
}

/** The contestants of a row. The first one is ours. */
export function contestantsOf({ traffic }: RowSpec): readonly Contestant[] {
  if (traffic === 'vxlan') {
    return [
      { name: 'tspmd', hasNetwork: true, start: startOurTunnel },
      { name: 'plain', hasNetwork: false, start: startOurs },
      { name: 'ovs-dpdk', hasNetwork: true, start: startOvsTunnel },
    ];
  }
  return [
    { name: 'tspmd', hasNetwork: false, start: startOurs },
    { name: 'ovs-dpdk', hasNetwork: false, start: startOvs },
  ];
}

async function startOurs(folder: string, { ports }: RowSpec): Promise<Started> {
  // As OVS does, it sends no frame back to the port that it came from.
  const { main, sockets } = await startEmbeddedSwitch(folder, ports, ['RETURN=0']);
  return { main, children: [main], sockets };
}

async function startOurTunnel(folder: string): Promise<Started> {
  const network = join(folder, 'nic.sock');
  const main = await startScript('two_hosts.bess', [
    ...['NPORTS=1', `DIR=${folder}`, `NIC=eth_vhost99,iface=${network}`, `VNI=${VNI}`],
    ...[`HERE=${HERE.ip}/${HERE.mac}`, `HOSTS=${THERE.ip}/${THERE.mac}/2-2`],
  ]);
  return { main, children: [main], sockets: [join(folder, 'vhost1.sock'), network] };
}

async function startOvs(folder: string, { ports }: RowSpec): Promise<Started> {
  const names = Array.from({ length: ports }, (_, i) => `vhost${i + 1}`);
  return withOvs(folder, names, (ovs) => {
    const outputs = names.map((name) => `output:${ovs.numberOf(name)}`);
    for (const [port, output] of outputs.entries()) ovs.addFlow(`dl_dst=${macBehind(port)}`, output);
    // OVS never sends a frame back to the port that it came from.
    ovs.addFlow(`dl_dst=${BROADCAST}`, outputs.join(','));
    return names;
  });
}

async function startOvsTunnel(folder: string): Promise<Started> {
  return withOvs(folder, ['vhost1'], (ovs) => {
    const network = { address: `${HERE.ip}/24`, mac: HERE.mac, vni: VNI, mtu: NETWORK_MTU };
    const [tunnel] = ovs.addTunnels({ ...network, remotes: [THERE.ip], neighbours: [THERE] });
    ovs.addFlow(`dl_dst=${macBehind(0)}`, `output:${ovs.numberOf('vhost1')}`);
    ovs.addFlow(`dl_dst=${macBehind(1)}`, `output:${ovs.numberOf(tunnel)}`);
    return ['vhost1', 'nic'];
  });
}

/**
 * Starts OVS with some ports.
 * @param configure does the rest; returns the names of the ports, in the order of the sockets
 */
async function withOvs(
  folder: string,
  ports: readonly string[],
  configure: (ovs: Ovs) => readonly string[],
): Promise<Started> {
  const cpu = benchCpus().common;
  const ovs = await Ovs.start({ folder, ports: ports.map((name) => ({ name })), cpu, hugepages: hasHugepages() });
  const { daemon: main, children } = ovs;
  try {
    return { main, children, sockets: configure(ovs).map((name) => join(folder, name)) };
  } catch (error) {
    await Promise.allSettled(children.map((child) => child.stop()));
    throw error;
  }
}
