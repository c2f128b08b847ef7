/** `dns.lookup` of a program: by the hosts file, and by DNS servers over the stack. Everything that connects calls it. */
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { Core } from '../../link/core.js';
import type { TcpIp } from '../../tcpip/index.js';
import { HostsFile } from '../dns/hosts-file.js';
import { createDns, type StackDns } from '../dns/lookup.js';
import { type Resolution, Resolver, type ResolverOptions } from '../dns/resolver.js';

/** Asks the servers of the lease that our address comes from, and follows its changes. */
class LeaseResolver extends Resolver {
  private asked = '';

  constructor(
    options: ResolverOptions,
    private readonly core: Pick<Core, 'lease'>,
  ) {
    super(options);
  }

  override lookup(text: string, done: (resolution: Resolution) => void): void {
    this.followLease();
    super.lookup(text, done);
  }

  /** While there is no lease, or one without servers, those of the last one are asked. */
  private followLease(): void {
    const { lease } = this.core;
    if (lease === null || lease.dns.length === 0) return;
    const search = lease.domain === null ? [] : [lease.domain];
    const now = [...lease.dns, ...search].join(' ');
    // A lease that was renewed is another object with the same servers, and answers are still valid.
    if (now === this.asked) return;
    this.asked = now;
    this.configure(lease.dns, search);
  }
}

/**
 * Returns the lookup over the stack.
 * @param servers as `--dns` names them; none: those of the DHCP lease
 * @returns null when there are no servers: Node looks names up its own way then
 */
export function dnsOver(core: Core, { udp, tcp }: TcpIp, servers: readonly string[]): StackDns | null {
  const options = { udp, tcp, servers, flush: () => core.flush() };
  if (servers.length > 0) return createDns(new HostsFile(), new Resolver(options));
  if (core.lease === null || core.lease.dns.length === 0) return null;
  return createDns(new HostsFile(), new LeaseResolver(options, core));
}

/** Puts the lookup of a stack in the place of Node's. */
export function hookDns({ lookup, promises }: StackDns): void {
  dns.lookup = lookup;
  dns.promises.lookup = promises.lookup;
  syncBuiltinESMExports();
}
