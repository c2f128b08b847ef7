/** Which host names a client may ask by. A web page anywhere can make a browser ask by a name that leads to this machine. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { hostname } from 'node:os';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0 ? host === 'localhost' : LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

/** The host that the client has asked for, without the port and the brackets of IPv6. */
export function hostOf({ headers: { host = '' } }: IncomingMessage): string {
  return /^\[(.*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '');
}

/**
 * Whether a host is an address, or a name of this machine, so that no stranger's name leads here (DNS rebinding).
 * @param own the host that the server was told to listen on
 */
export function isOwnName(host: string, own: string): boolean {
  const machine = hostname().toLowerCase();
  const name = host.toLowerCase();
  return isIP(name) !== 0 || ['localhost', own.toLowerCase(), machine].includes(name) || name.startsWith(`${machine}.`);
}
