/**
 * Three stations on one switch: a guest behind netem, whose kernel receives and sends; our app `http`; and the host's
 * kernel with an HTTP server, so that the same path can be measured with both.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { NetworkNamespace } from '../../../scripts/netns.js';
import { temporaryDirectory } from '../resources.js';
import { NetemGuest } from './netem-guest.js';

export const GUEST_IP = '10.0.0.1';
const GUEST_MAC = '52:54:00:00:00:01';
/** Our endpoint. */
export const OURS_IP = '10.0.0.2';
const OURS_MAC = '52:54:00:00:00:02';
/** The host's kernel. */
export const LINUX_IP = '10.0.0.9';
const LINUX_MAC = '52:54:00:00:00:09';
export const LINUX_PORT = 8080;

const SCRIPT = `
guest = PMDPort(name='guest', vdev='net_vhost0,iface=%s,queues=1' % $GUEST)
ours = PMDPort(name='ours', vdev='net_vhost1,iface=%s,queues=1' % $OURS)
linux = PMDPort(name='linux', vdev='net_tap0,iface=tap0,mac=${LINUX_MAC}')
fwd::L2Forward()
fwd.add(entries=[{'addr': '${GUEST_MAC}', 'gate': 0}, {'addr': '${OURS_MAC}', 'gate': 1},
                 {'addr': '${LINUX_MAC}', 'gate': 2}, {'addr': 'ff:ff:ff:ff:ff:ff', 'gate': 3}])
flood::Replicate(gates=[0, 1, 2])
to_guest::PortOut(port=guest.name)
to_ours::PortOut(port=ours.name)
to_linux::PortOut(port=linux.name)
PortInc(port=guest.name) -> fwd
PortInc(port=ours.name) -> fwd
PortInc(port=linux.name) -> fwd
fwd:0 -> to_guest
fwd:1 -> to_ours
fwd:2 -> to_linux
fwd:3 -> flood
flood:0 -> to_guest
flood:1 -> to_ours
flood:2 -> to_linux
`;
const KERNEL_HTTP = fileURLToPath(new URL('../../../dist/test/support/peers/kernel-http.main.js', import.meta.url));

export class NetemLab {
  private readonly children: Child[] = [];
  private guest: NetemGuest | undefined;

  private constructor(
    private readonly namespace: NetworkNamespace,
    private readonly directory: ReturnType<typeof temporaryDirectory>,
  ) {}

  /** @param timeout seconds that the guest may live */
  static async start(timeout: number): Promise<NetemLab> {
    const lab = new NetemLab(NetworkNamespace.create(), temporaryDirectory());
    try {
      await lab.boot(timeout);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  private async boot(timeout: number): Promise<void> {
    const { namespace, directory } = this;
    const file = (name: string): string => join(directory.path, name);
    writeFileSync(file('three.bess'), SCRIPT);
    const sockets = [`GUEST=${file('guest.sock')}`, `OURS=${file('ours.sock')}`];
    const bess = this.keep(namespace.tspmd('switch', file('three.bess'), ...sockets));
    await bess.waitFor(/^ready/m);
    namespace.ip('addr', 'add', `${LINUX_IP}/24`, 'dev', 'tap0');
    namespace.ip('link', 'set', 'tap0', 'up');
    namespace.ip('route', 'replace', '10.0.0.0/24', 'dev', 'tap0', 'src', LINUX_IP, 'congctl', 'cubic');
    const device = ['--device', `vhost-user:${file('ours.sock')}`, '--ip', `${OURS_IP}/24`, '--mac', OURS_MAC];
    const endpoint = this.keep(Child.tspmd('run', ...device, '--hugepages', 'never', '--app', 'http'));
    await endpoint.waitFor(/^ready/m);
    const server = this.keep(namespace.spawn(process.execPath, KERNEL_HTTP, LINUX_IP, String(LINUX_PORT)));
    await server.waitFor(/^ready$/m);
    this.guest = await NetemGuest.start({ socket: file('guest.sock'), address: GUEST_IP, mac: GUEST_MAC, timeout });
  }

  get peer(): NetemGuest {
    return this.guest!;
  }

  private keep(child: Child): Child {
    this.children.push(child);
    return child;
  }

  async close(): Promise<void> {
    await this.guest?.stop();
    await Promise.allSettled(this.children.reverse().map((child) => child.stop()));
    this.namespace.remove();
    this.directory.remove();
  }
}
