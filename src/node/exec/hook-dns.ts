/** `dns.lookup` of a program: by the hosts file, and by DNS servers over the stack. Everything that connects calls it. */
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { Core } from '../../link/core.js';
import type { TcpIp } from '../../tcpip/index.js';
import { HostsFile } from '../dns/hosts-file.js';
import { createDns, type StackDns } from '../dns/lookup.js';
import { Resolver } from '../dns/resolver.js';

/** @param servers as `--dns` names them, at least one */
export function dnsOver(core: Core, { udp, tcp }: TcpIp, servers: readonly string[]): StackDns {
  return createDns(new HostsFile(), new Resolver({ udp, tcp, servers, flush: () => core.flush() }));
}

/** Puts the lookup of a stack in the place of Node's. */
export function hookDns({ lookup, promises }: StackDns): void {
  dns.lookup = lookup;
  dns.promises.lookup = promises.lookup;
  syncBuiltinESMExports();
}
