/**
 * OVS-DPDK as a peer. Its database, sockets and logs are in a folder of the caller, and no service is used. Its ports
 * listen on vhost-user sockets (dpdkvhostuser) or connect to them (dpdkvhostuserclient). It forwards only by the flows
 * that it is given.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import { searchPath } from './programs.js';

const TIMEOUT_SECONDS = 20;
const UNSHARE = ['unshare', '--net'] as const;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
/** The path in Debian. The link `ovs-vswitchd` may lead to a daemon without DPDK. */
const DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';

/** Hugepages for OVS, in MB. Without a limit its packet buffers would take all hugepages. */
const HUGEPAGE_MB = 160;

/**
 * OVS writes this when it can send frames to a port. It drops frames for the port before: its thread learns of the ring
 * that it fills a little later than of the other one.
 */
export const OVS_SENDS = /State of queue 0 \( tx_qid 0 \) of vhost device '[^']*' changed to 'enabled'/;

export const isOvsInstalled = (): boolean => existsSync(DAEMON) && existsSync(SCHEMA);

export interface OvsPort {
  readonly name: string;
  /** The socket to connect to. Default: the port listens on a socket in the folder, which has the name of the port. */
  readonly connectTo?: string;
}

export interface OvsOptions {
  /** Folder for sockets and files. The caller removes it. A database in it is replaced. */
  readonly folder: string;
  readonly ports: readonly OvsPort[];
  /** CPU of all threads of OVS. Default 0. */
  readonly cpu?: number;
  /** Whether OVS takes its memory from hugepages of 2 MiB. Default false. */
  readonly hugepages?: boolean;
  /** Memory of OVS in MB when it does not use hugepages. Default: enough for all packet buffers that it asks for. */
  readonly megabytes?: number;
  /** Whether the thread of OVS sleeps when it has nothing to do, so that others get the CPU. Default: it polls. */
  readonly sleeps?: boolean;
  /** Whether ports offer checksums and TCP segmentation to their peers. Default false. */
  readonly segments?: boolean;
  /** Name of the network namespace in which OVS runs. Default: one of its own, without a name. */
  readonly namespace?: string;
}

/** The end of VXLAN tunnels in OVS: the bridge `br-phy` with a NIC and an IP address, and a port of `br0` per other host. */
export interface OvsTunnels {
  /**
   * The device of DPDK behind which the network is, such as `net_af_packet0,iface=eth0`. Default: the port listens on a
   * vhost-user socket in the folder, which has its name, `nic`.
   */
  readonly device?: string;
  /** IP address with the length of the network, such as `192.0.2.2/24`. */
  readonly address: string;
  readonly mac: string;
  /** IP addresses of the other hosts. */
  readonly remotes: readonly string[];
  /** Number of the network (VNI). */
  readonly vni: number;
  /** MTU of the network. Default: 1500. */
  readonly mtu?: number;
  /** Stations of the network for whose MAC addresses OVS need not ask. */
  readonly neighbours?: readonly { readonly ip: string; readonly mac: string }[];
}

/** Memory for 262144 packet buffers. With less memory OVS makes fewer buffers, or even none for the second port. */
const ALL_BUFFERS_MB = 2048;
const MAX_SLEEP_US = 500;

/** The arguments of ovs-vsctl behind those that add a port. */
const interfaceOf = (name: string, ...settings: string[]): string[] => ['--', 'set', 'Interface', name, ...settings];

/** The command-line tools of OVS, called with a time limit. */
class Tools {
  readonly env: NodeJS.ProcessEnv;
  readonly database: string;
  /** The socket on which the daemon takes commands. */
  readonly control: string;

  constructor(private readonly folder: string) {
    this.env = {
      ...process.env,
      PATH: searchPath(),
      OVS_RUNDIR: folder,
      OVS_LOGDIR: folder,
      RUNTIME_DIRECTORY: folder,
    };
    this.database = join(folder, 'db.sock');
    this.control = join(folder, 'ovs.ctl');
  }

  run(program: string, ...args: string[]): string {
    const { env } = this;
    const timeout = 1000 * TIMEOUT_SECONDS;
    return execFileSync(program, args, { env, encoding: 'utf8', timeout, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  vsctl(...args: string[]): string {
    return this.run('ovs-vsctl', `--db=unix:${this.database}`, `--timeout=${TIMEOUT_SECONDS}`, ...args);
  }

  appctl(...args: string[]): string {
    return this.run('ovs-appctl', `--timeout=${TIMEOUT_SECONDS}`, '--target', this.control, ...args);
  }

  ofctl(command: string, ...args: string[]): string {
    return this.run(
      'ovs-ofctl',
      `--timeout=${TIMEOUT_SECONDS}`,
      command,
      `unix:${join(this.folder, 'br0.mgmt')}`,
      ...args,
    );
  }
}

export class Ovs {
  private constructor(
    private readonly tools: Tools,
    private readonly database: Child,
    readonly daemon: Child,
  ) {}

  /** Starts OVS with ports and without flows. Resolves when the sockets of the ports exist. */
  static async start(options: OvsOptions): Promise<Ovs> {
    const {
      folder,
      ports,
      cpu = 0,
      hugepages = false,
      megabytes = ALL_BUFFERS_MB,
      sleeps = false,
      segments = false,
      namespace,
    } = options;
    const tools = new Tools(folder);
    const conf = join(folder, 'conf.db');
    rmSync(conf, { force: true });
    tools.run('ovsdb-tool', 'create', conf, SCHEMA);
    const remote = [`--remote=punix:${tools.database}`, `--unixctl=${join(folder, 'db.ctl')}`];
    const database = Child.spawn('ovsdb-server', [conf, ...remote, '-vconsole:info'], tools.env);
    let daemon: Child | null = null;
    try {
      await database.waitFor(/ovsdb-server .*\d/);
      const memory = hugepages
        ? `--in-memory --single-file-segments --socket-limit ${HUGEPAGE_MB}`
        : `--no-huge --legacy-mem -m ${megabytes}`;
      const mask = `0x${(1 << cpu).toString(16)}`;
      const dpdk = {
        'dpdk-init': 'true',
        'dpdk-extra': `"--no-pci --no-telemetry ${memory}"`,
        ...(hugepages ? { 'dpdk-socket-mem': `"${HUGEPAGE_MB}"` } : {}),
        'dpdk-lcore-mask': mask,
        'pmd-cpu-mask': mask,
        ...(segments ? { 'userspace-tso-enable': 'true' } : {}),
        ...(sleeps ? { 'pmd-maxsleep': String(MAX_SLEEP_US) } : {}),
      };
      const settings = Object.entries(dpdk).map(([name, value]) => `other_config:${name}=${value}`);
      tools.vsctl('--no-wait', 'init');
      tools.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...settings);
      const control = ['--unixctl', tools.control, `unix:${tools.database}`];
      // Not in the network namespace of the machine: it makes a tap whose name is the same for every OVS.
      const [program, ...enter] = namespace === undefined ? UNSHARE : ['ip', 'netns', 'exec', namespace];
      daemon = Child.spawn(program, [...enter, DAEMON, ...control, '-vconsole:info'], tools.env);
      await daemon.waitFor(/DPDK Enabled - initialized/, 1000 * TIMEOUT_SECONDS);
      tools.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev', 'fail-mode=secure');
      const ovs = new Ovs(tools, database, daemon);
      for (const port of ports) ovs.addPort(port);
      // ovs-vsctl does not tell when the daemon could not make the bridge.
      tools.ofctl('show');
      return ovs;
    } catch (error) {
      await Promise.allSettled([daemon?.stop(), database.stop()]);
      throw error;
    }
  }

  addPort({ name, connectTo }: OvsPort): void {
    const type =
      connectTo === undefined
        ? ['type=dpdkvhostuser']
        : ['type=dpdkvhostuserclient', `options:vhost-server-path=${connectTo}`];
    this.tools.vsctl('add-port', 'br0', name, ...interfaceOf(name, ...type));
  }

  removePort(name: string): void {
    this.tools.vsctl('del-port', 'br0', name);
  }

  /** Returns the number of a port, which flows need. */
  numberOf(name: string): string {
    // OVS may be about to read its database for the first time.
    this.tools.vsctl('wait-until', 'Interface', name, 'ofport>0');
    return this.tools.vsctl('get', 'Interface', name, 'ofport').trim();
  }

  /** Adds a flow, such as `in_port=1` with the action `output:2`. To send a frame back, use the action `in_port`. */
  addFlow(match: string, actions: string): void {
    this.tools.ofctl('add-flow', `${match},actions=${actions}`);
  }

  /**
   * Joins `br0` to other hosts by VXLAN. OVS asks the network for their MAC addresses, and forwards to them what a flow
   * of `br0` says, such as `NORMAL`.
   * @returns the names of the ports for the other hosts
   */
  addTunnels({ device, address, mac, remotes, vni, mtu, neighbours = [] }: OvsTunnels): string[] {
    const { tools } = this;
    const bridge = ['set', 'bridge', 'br-phy', 'datapath_type=netdev', `other_config:hwaddr=${mac}`];
    tools.vsctl('add-br', 'br-phy', '--', ...bridge);
    const type = device === undefined ? ['type=dpdkvhostuser'] : ['type=dpdk', `options:dpdk-devargs=${device}`];
    tools.vsctl('add-port', 'br-phy', 'nic', ...interfaceOf('nic', ...type));
    if (mtu !== undefined) tools.vsctl('set', 'Interface', 'nic', `mtu_request=${mtu}`);
    // The port of the bridge that has its name is an interface of the kernel. OVS takes address and routes from there.
    tools.run('nsenter', ...this.enterNamespace, 'ip', 'addr', 'add', address, 'dev', 'br-phy');
    tools.run('nsenter', ...this.enterNamespace, 'ip', 'link', 'set', 'br-phy', 'up');
    const ports = remotes.map((remote, i) => {
      const name = `vxlan${i}`;
      const options = ['type=vxlan', `options:remote_ip=${remote}`, `options:key=${vni}`];
      tools.vsctl('add-port', 'br0', name, ...interfaceOf(name, ...options));
      this.numberOf(name);
      return name;
    });
    for (const { ip, mac } of neighbours) tools.appctl('tnl/neigh/set', 'br-phy', ip, mac);
    return ports;
  }

  private get enterNamespace(): string[] {
    return ['--target', String(this.daemon.pid), '--net'];
  }

  get children(): Child[] {
    return [this.daemon, this.database];
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
    await this.database.stop();
  }
}
