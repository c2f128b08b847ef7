/**
 * Hosts that carry their VMs' frames to each other by VXLAN: a network namespace each. Two are joined by a veth pair, more
 * of them by a bridge. With two VMs each, host 1 has the VMs 1 and 2, host 2 has 3 and 4, and so on. The test starts what
 * runs on a host: our switch with `bess/two_hosts.bess`, OVS, or the VXLAN device of the kernel.
 */
import { join } from 'node:path';
import type { SwitchStats } from '../../../bess/stats.js';
import { Child } from '../../../scripts/child.js';
import { NetworkNamespace } from '../../../scripts/netns.js';
import { fetchSwitchStats } from '../observe/switch-stats.js';
import type { Finished } from '../peers/kernel-lab.js';
import { command, type Requirement, root } from '../requirements.js';
import { temporaryDirectory } from '../resources.js';

/** What a suite with hosts needs. */
export const HOSTS: readonly Requirement[] = [root, ...['ip', 'nft'].map(command)];

/** The interface of each host. */
export const NIC = 'eth0';
export const VNI = 999;
/** VXLAN adds 50 bytes: this fits a NIC with an MTU of 1500. */
export const MTU = 1450;
/** The largest payload of a ping, or of a UDP datagram, with {@link MTU}. */
export const MAX_PAYLOAD = MTU - 28;

const BRIDGE = 'br0';
/** A busy machine needs so long for the start of several programs at once. */
const READY_MS = 30_000;

export class Host {
  readonly namespace = NetworkNamespace.create();
  readonly ip: string;
  readonly mac: string;
  readonly vms: readonly number[];
  private running: Child | undefined;

  constructor(
    private readonly lab: Hosts,
    readonly number: number,
    vms: number,
  ) {
    this.ip = `192.0.2.${number}`;
    this.mac = `52:54:00:00:01:0${number}`;
    this.vms = Array.from({ length: vms }, (_, i) => vms * (number - 1) + 1 + i);
  }

  /** As in HOSTS of the script. */
  get entry(): string {
    return `${this.ip}/${this.mac}/${this.vms[0]}-${this.vms.at(-1)}`;
  }

  /** Gives the kernel the address of the host. */
  addAddress(): void {
    this.namespace.ip('addr', 'add', `${this.ip}/24`, 'dev', NIC);
  }

  /** Has the kernel drop what only others on this machine want: it would answer that nobody listens. */
  async ignore(packets: string): Promise<void> {
    const chain = `add chain netdev tspmd in { type filter hook ingress device "${NIC}" priority 0; }`;
    const rule = `add rule netdev tspmd in ${packets} drop`;
    await this.run('nft', `add table netdev tspmd; ${chain}; ${rule}`);
  }

  /** Starts our switch, which knows all other hosts; resolves when it is ready. */
  async startSwitch(...variables: string[]): Promise<void> {
    const { lab, ip, mac, vms, namespace } = this;
    const others = lab.hosts.filter((host) => host !== this).map(({ entry }) => entry);
    const given = { NPORTS: vms.length, FIRST: vms[0], DIR: lab.folder, HERE: `${ip}/${mac}`, HOSTS: others.join(',') };
    const named = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    this.running = lab.keep(namespace.tspmd('switch', 'two_hosts.bess', ...named, ...variables));
    await this.bess.waitFor(/^ready/m, READY_MS);
  }

  /** The switch that was started last. */
  get bess(): Child {
    if (this.running === undefined) throw new Error(`host ${this.number} has no switch`);
    return this.running;
  }

  async killSwitch(): Promise<void> {
    await this.bess.stop('SIGKILL');
  }

  async stats(): Promise<SwitchStats> {
    return fetchSwitchStats(this.bess.pid);
  }

  /** Starts a program on the host, which the lab stops at its end. */
  start(program: string, ...args: string[]): Child {
    return this.lab.keep(this.namespace.spawn(program, ...args));
  }

  /** Runs a program on the host, and rejects when it fails. */
  async run(program: string, ...args: string[]): Promise<string> {
    const { code, output, stdout } = await finished(this.start('timeout', '30', program, ...args));
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ended with ${code}: ${output}`);
    return stdout;
  }
}

async function finished(child: Child): Promise<Finished> {
  const { code } = await child.exited;
  return { code, stdout: child.stdout, output: child.output };
}

export class Hosts {
  readonly hosts: readonly Host[];
  private readonly children: Child[] = [];
  private readonly directory = temporaryDirectory();
  private network: NetworkNamespace | undefined;

  private constructor(count: number, vms: number) {
    this.hosts = Array.from({ length: count }, (_, i) => new Host(this, i + 1, vms));
  }

  /** Makes hosts that are joined, with so many VMs each. Their NICs are up, and have no address yet. */
  static create(count: number, vms = 2): Hosts {
    const lab = new Hosts(count, vms);
    try {
      lab.join();
    } catch (error) {
      lab.removeAll();
      throw error;
    }
    return lab;
  }

  private join(): void {
    const { hosts } = this;
    const [first, second] = hosts as readonly [Host, Host];
    if (hosts.length === 2) {
      const peer = ['peer', 'name', NIC, 'netns', second.namespace.name, 'address', second.mac];
      first.namespace.ip('link', 'add', NIC, 'address', first.mac, 'type', 'veth', ...peer);
    } else {
      const network = NetworkNamespace.create();
      this.network = network;
      network.ip('link', 'add', BRIDGE, 'type', 'bridge');
      network.ip('link', 'set', BRIDGE, 'up');
      for (const { number, namespace, mac } of hosts) {
        const peer = ['peer', 'name', NIC, 'netns', namespace.name, 'address', mac];
        network.ip('link', 'add', `host${number}`, 'type', 'veth', ...peer);
        network.ip('link', 'set', `host${number}`, 'master', BRIDGE, 'up');
      }
    }
    for (const { namespace } of hosts) {
      // Only what a test sends is on the wire: no router solicitations.
      namespace.sysctl('net.ipv6.conf.all.disable_ipv6', '1');
      namespace.sysctl('net.ipv6.conf.default.disable_ipv6', '1');
      namespace.ip('link', 'set', NIC, 'up');
    }
  }

  /** Folder of the sockets. */
  get folder(): string {
    return this.directory.path;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Options of `tspmd` for an endpoint in the place of a VM. */
  private device(vm: number): string[] {
    const address = ['--ip', `10.0.0.${vm}/24`, '--mac', `52:54:00:00:00:0${vm}`, '--mtu', String(MTU)];
    return ['--device', `vhost-user:${this.file(`vhost${vm}.sock`)}`, ...address, '--hugepages', 'never'];
  }

  /** Starts `tspmd run` in the place of a VM; resolves when it is ready. */
  async endpoint(vm: number, ...args: string[]): Promise<Child> {
    const child = this.start(vm, 'run', ...args);
    await child.waitFor(/^ready/m, READY_MS);
    return child;
  }

  /** Starts `tspmd COMMAND` in the place of a VM. */
  start(vm: number, name: string, ...args: string[]): Child {
    return this.keep(Child.tspmd(name, ...this.device(vm), ...args));
  }

  /** Runs `tspmd COMMAND` in the place of a VM. */
  tspmd(vm: number, name: string, ...args: string[]): Promise<Finished> {
    return finished(this.start(vm, name, ...args));
  }

  /** Pings from one VM to another; returns the line of statistics. */
  async ping(from: number, to: number, ...options: string[]): Promise<string> {
    const given = ['--to', `10.0.0.${to}`, '--interval', '0.001', '--timeout', '10', '--quiet', ...options];
    const { stdout, output } = await this.tspmd(from, 'ping', ...given);
    return /^\d+ packets transmitted.*$/m.exec(stdout)?.[0] ?? output;
  }

  keep(child: Child): Child {
    this.children.push(child);
    return child;
  }

  /** Stops all programs, those that were started last first, and removes namespaces and folder. */
  async close(): Promise<void> {
    for (const child of this.children.splice(0).reverse()) await child.stop().catch(() => {});
    this.removeAll();
  }

  private removeAll(): void {
    for (const { namespace } of this.hosts) namespace.remove();
    this.network?.remove();
    this.directory.remove();
  }
}
