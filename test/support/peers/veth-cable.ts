/**
 * A cable of two veth interfaces: one end in the network namespace of this process, for a switch of the test, and the
 * other, `eth0`, in a namespace of its own, for the kernel as a peer.
 */
import { writeFileSync } from 'node:fs';
import { ip, NetworkNamespace } from '../../../scripts/netns.js';

/** The kernel's end of each cable. */
export const ETH = 'eth0';
let cables = 0;

export class VethCable {
  /** Our end. */
  readonly name = `tv${process.pid}-${cables++}`;

  private constructor(readonly kernel: NetworkNamespace) {}

  /** Makes the cable, both of whose ends are up, and gives these addresses to the kernel's end. */
  static create(...addresses: string[]): VethCable {
    const cable = new VethCable(NetworkNamespace.create());
    cable.plug(...addresses);
    return cable;
  }

  /** Makes both ends, after {@link unplug} too. */
  plug(...addresses: string[]): void {
    const { kernel, name } = this;
    kernel.ip('link', 'add', ETH, 'type', 'veth', 'peer', 'name', name, 'netns', String(process.pid));
    silence(name);
    kernel.ip('link', 'set', ETH, 'addrgenmode', 'none');
    for (const address of addresses) {
      kernel.ip('addr', 'add', address, 'dev', ETH, ...(address.includes(':') ? ['nodad'] : []));
    }
    kernel.ip('link', 'set', ETH, 'up');
    ip('link', 'set', name, 'up');
  }

  /** Brings the kernel's end into the namespace of this process, without addresses. Returns its name; {@link unplug} it. */
  bringBack(): string {
    const name = `${this.name}b`;
    this.kernel.ip('link', 'set', ETH, 'down');
    this.kernel.ip('link', 'set', ETH, 'name', name, 'netns', String(process.pid));
    silence(name);
    ip('link', 'set', name, 'up');
    return name;
  }

  /** Deletes both ends. */
  unplug(): void {
    ip('link', 'del', this.name);
  }

  /** Sets one of the flags of our end, or its MTU, with `ip link set`. */
  set(...args: string[]): void {
    ip('link', 'set', this.name, ...args);
  }

  remove(): void {
    this.kernel.remove();
  }
}

/** No router solicitations and the like: an end in the namespace of this process sends only what a test puts there. */
function silence(name: string): void {
  writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
}
