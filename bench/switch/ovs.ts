/**
 * OVS-DPDK without services and without root's folders: database, daemon, sockets and logs in a folder of its own. Its
 * ports listen on vhost-user sockets, as those of the embedded switch do; its flows say by destination which port a frame
 * goes to, so that it need not learn.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../../scripts/child.js';
import { BROADCAST, macOf } from './scene.js';

const TIMEOUT_SECONDS = 20;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
/** Debian's: the plain ovs-vswitchd is a link that may lead to one without DPDK. */
const DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';

/** Of hugepages. Without a limit it would take all that there are for its packet buffers. */
const MEGABYTES = 160;

export const isOvsInstalled = (): boolean => existsSync(DAEMON) && existsSync(SCHEMA);

export class Ovs {
  private constructor(
    private readonly database: Child,
    readonly daemon: Child,
    readonly sockets: readonly string[],
  ) {}

  /**
   * Starts it with `ports` ports; resolves when their sockets are there.
   * @param folder empty; stays the caller's
   */
  static async start(folder: string, ports: number, cpu: number, hugepages: boolean): Promise<Ovs> {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, OVS_RUNDIR: folder, OVS_LOGDIR: folder };
    const socket = join(folder, 'db.sock');
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, {
        env,
        encoding: 'utf8',
        timeout: 1000 * TIMEOUT_SECONDS,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const vsctl = (...args: string[]): string =>
      run('ovs-vsctl', `--db=unix:${socket}`, `--timeout=${TIMEOUT_SECONDS}`, ...args);
    const conf = join(folder, 'conf.db');
    run('ovsdb-tool', 'create', conf, SCHEMA);
    const pidfile = `--unixctl=${join(folder, 'db.ctl')}`;
    const database = Child.spawn('ovsdb-server', [conf, `--remote=punix:${socket}`, pidfile, '-vconsole:info'], env);
    let daemon: Child | null = null;
    try {
      await database.waitFor(/ovsdb-server .*\d/);
      const memory = hugepages
        ? `--in-memory --single-file-segments --socket-limit ${MEGABYTES}`
        : // Its 262144 packet buffers; with less than they need it takes fewer, down to none for the second port.
          '--no-huge --legacy-mem -m 2048';
      const mask = `0x${(1 << cpu).toString(16)}`;
      const dpdk = {
        'dpdk-init': 'true',
        'dpdk-extra': `"--no-pci --no-telemetry ${memory}"`,
        ...(hugepages ? { 'dpdk-socket-mem': `"${MEGABYTES}"` } : {}),
        'dpdk-lcore-mask': mask,
        'pmd-cpu-mask': mask,
      };
      const settings = Object.entries(dpdk).map(([name, value]) => `other_config:${name}=${value}`);
      vsctl('--no-wait', 'init');
      vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...settings);
      const control = ['--unixctl', join(folder, 'ovs.ctl'), `unix:${socket}`];
      daemon = Child.spawn(DAEMON, [...control, '-vconsole:info'], { ...env, XDG_RUNTIME_DIR: folder });
      await daemon.waitFor(/DPDK Enabled - initialized/, 1000 * TIMEOUT_SECONDS);
      vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev', 'fail-mode=secure');
      const names = Array.from({ length: ports }, (_, i) => `vhost${i + 1}`);
      for (const name of names) {
        vsctl('add-port', 'br0', name, '--', 'set', 'Interface', name, 'type=dpdkvhostuser');
      }
      const numbers = names.map((name) => vsctl('get', 'Interface', name, 'ofport').trim());
      const flow = (match: string, actions: string): string =>
        run(
          'ovs-ofctl',
          `--timeout=${TIMEOUT_SECONDS}`,
          'add-flow',
          `unix:${join(folder, 'br0.mgmt')}`,
          `${match},actions=${actions}`,
        );
      for (const [port, number] of numbers.entries()) flow(`dl_dst=${macOf(port)}`, `output:${number}`);
      // OVS never sends a frame back to where it came from.
      flow(`dl_dst=${BROADCAST}`, numbers.map((number) => `output:${number}`).join(','));
      return new Ovs(
        database,
        daemon,
        names.map((name) => join(folder, name)),
      );
    } catch (error) {
      await Promise.allSettled([daemon?.stop(), database.stop()]);
      throw error;
    }
  }

  get children(): Child[] {
    return [this.daemon, this.database];
  }
}
