/** `dns.lookup` of a program: by the hosts file, and by DNS servers over the stack. Everything that connects calls it. */
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { Core } from '../../link/core.js';
import type { Lease } from '../../link/dhcp/lease.js';
import type { TcpIp } from '../../tcpip/index.js';
import { HostsFile } from '../dns/hosts-file.js';
import { createDns, type StackDns } from '../dns/lookup.js';
import { Resolver } from '../dns/resolver.js';

/**
 * Returns the lookup over the stack.
 * @param servers as `--dns` names them; none: those of the DHCP lease
 * @returns null when there are no servers: Node looks names up its own way then
 */
export function dnsOver(core: Core, { udp, tcp }: TcpIp, servers: readonly string[]): StackDns | null {
  let { lease } = core;
  const first = servers.length > 0 ? servers : (lease?.dns ?? []);
  if (first.length === 0) return null;
  const resolver = new Resolver({ udp, tcp, servers: first, flush: () => core.flush(), search: domainsOf(lease) });
  const stackDns = createDns(new HostsFile(), resolver);
  if (servers.length > 0) return stackDns;
  const followed = <Args extends unknown[], Result>(call: (...args: Args) => Result): typeof call => {
    return (...args) => {
      if (core.lease !== lease && core.lease !== null) {
        lease = core.lease;
        resolver.configure(lease.dns, domainsOf(lease));
      }
      return call(...args);
    };
  };
  return {
    ...stackDns,
    lookup: followed(stackDns.lookup as (...args: unknown[]) => unknown) as StackDns['lookup'],
    promises: {
      ...stackDns.promises,
      lookup: followed(stackDns.promises.lookup as (...args: unknown[]) => unknown) as StackDns['promises']['lookup'],
    },
  };
}

const domainsOf = (lease: Lease | null): string[] => (lease?.domain ? [lease.domain] : []);

/** Puts the lookup of a stack in the place of Node's. */
export function hookDns({ lookup, promises }: StackDns): void {
  dns.lookup = lookup;
  dns.promises.lookup = promises.lookup;
  syncBuiltinESMExports();
}
