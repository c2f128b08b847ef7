/**
 * OVS-DPDK as a peer, without services and without root's folders: database, daemon, sockets and logs in a folder of its
 * own. Its ports listen on vhost-user sockets (dpdkvhostuser) or connect to them (dpdkvhostuserclient); it forwards by the
 * flows that it is given, and learns nothing.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';

const TIMEOUT_SECONDS = 20;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
/** Debian's: the plain ovs-vswitchd is a link that may lead to one without DPDK. */
const DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';

/** Of hugepages. Without a limit it would take all that there are for its packet buffers. */
const MEGABYTES = 160;

/**
 * In its output: frames may be sent to a port. A peer's ring that OVS fills is known to its thread a little after the others,
 * and what is for it until then is dropped.
 */
export const OVS_SENDS = /State of queue 0 \( tx_qid 0 \) of vhost device '[^']*' changed to 'enabled'/;

export const isOvsInstalled = (): boolean => existsSync(DAEMON) && existsSync(SCHEMA);

export interface OvsPort {
  readonly name: string;
  /** The socket to connect to; without it the port listens on one in the folder, by its own name. */
  readonly connectTo?: string;
}

export interface OvsOptions {
  /** Of sockets and files; a database of an earlier start is replaced. Stays the caller's. */
  readonly folder: string;
  readonly ports: readonly OvsPort[];
  /** Of all its threads; 0 by default. */
  readonly cpu?: number;
  /** Take its memory from hugepages of 2 MiB. Default: no. */
  readonly hugepages?: boolean;
  /** Megabytes of it without hugepages. Default: enough for all the buffers that it would like to have. */
  readonly megabytes?: number;
  /** Its thread sleeps a little when there is nothing to do, and leaves the CPU to others. Default: it polls. */
  readonly sleeps?: boolean;
}

/** 262144 packet buffers; with less than they need it takes fewer, down to none for the second port. */
const ALL_BUFFERS_MEGABYTES = 2048;
const MOST_SLEEP_US = 500;

/** Its folder's programs, called with a time limit. */
class Tools {
  readonly env: NodeJS.ProcessEnv;
  readonly database: string;

  constructor(private readonly folder: string) {
    const path = `${process.env.PATH}:/usr/sbin:/sbin`;
    this.env = { ...process.env, PATH: path, OVS_RUNDIR: folder, OVS_LOGDIR: folder, XDG_RUNTIME_DIR: folder };
    this.database = join(folder, 'db.sock');
  }

  run(program: string, ...args: string[]): string {
    const { env } = this;
    const timeout = 1000 * TIMEOUT_SECONDS;
    return execFileSync(program, args, { env, encoding: 'utf8', timeout, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  vsctl(...args: string[]): string {
    return this.run('ovs-vsctl', `--db=unix:${this.database}`, `--timeout=${TIMEOUT_SECONDS}`, ...args);
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

  /** Starts it with its ports and no flow; resolves when their sockets are there. */
  static async start(options: OvsOptions): Promise<Ovs> {
    const { folder, ports, cpu = 0, hugepages = false, megabytes = ALL_BUFFERS_MEGABYTES, sleeps = false } = options;
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
        ? `--in-memory --single-file-segments --socket-limit ${MEGABYTES}`
        : `--no-huge --legacy-mem -m ${megabytes}`;
      const mask = `0x${(1 << cpu).toString(16)}`;
      const dpdk = {
        'dpdk-init': 'true',
        'dpdk-extra': `"--no-pci --no-telemetry ${memory}"`,
        ...(hugepages ? { 'dpdk-socket-mem': `"${MEGABYTES}"` } : {}),
        'dpdk-lcore-mask': mask,
        'pmd-cpu-mask': mask,
        ...(sleeps ? { 'pmd-maxsleep': String(MOST_SLEEP_US) } : {}),
      };
      const settings = Object.entries(dpdk).map(([name, value]) => `other_config:${name}=${value}`);
      tools.vsctl('--no-wait', 'init');
      tools.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...settings);
      const control = ['--unixctl', join(folder, 'ovs.ctl'), `unix:${tools.database}`];
      daemon = Child.spawn(DAEMON, [...control, '-vconsole:info'], tools.env);
      await daemon.waitFor(/DPDK Enabled - initialized/, 1000 * TIMEOUT_SECONDS);
      tools.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev', 'fail-mode=secure');
      const ovs = new Ovs(tools, database, daemon);
      for (const port of ports) ovs.addPort(port);
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
    this.tools.vsctl('add-port', 'br0', name, '--', 'set', 'Interface', name, ...type);
  }

  removePort(name: string): void {
    this.tools.vsctl('del-port', 'br0', name);
  }

  /** The number of a port, for flows. */
  numberOf(name: string): string {
    return this.tools.vsctl('get', 'Interface', name, 'ofport').trim();
  }

  /** `in_port=1` and `output:2`; a frame goes back to where it came from by the action `in_port` alone. */
  addFlow(match: string, actions: string): void {
    this.tools.ofctl('add-flow', `${match},actions=${actions}`);
  }

  get children(): Child[] {
    return [this.daemon, this.database];
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
    await this.database.stop();
  }
}
