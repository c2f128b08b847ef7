/**
 * What is the stack's and what is the kernel's, of the sockets of a program under `tspmd exec`:
 *
 * - a server that listens on all addresses or on the device's is the stack's; on any other, the kernel's;
 * - a connection to an IPv4 address is the stack's; to 127.0.0.0/8 and ::1 the kernel's, unless the program itself
 *   listens at that port on all addresses, which includes these; to any other IPv6 address the kernel's;
 * - a UDP socket is what its local address says, as a server; what it sends to loopback addresses goes as a connection
 *   there;
 * - certain ports are the kernel's, to listen on and to connect to.
 */
import cluster from 'node:cluster';
import { isIP } from 'node:net';
import type { DgramRoutes } from '../dgram/hooks.js';
import type { NetHost } from '../host.js';
import { ipv4In } from '../net/handle-host.js';
import type { Routes } from '../net/hooks.js';
import { hasPort, type PortRange } from './ports.js';

const ANY = '0.0.0.0';
const LOCALHOST = /^(?:.+\.)?localhost\.?$/i;

export class ExecRoutes implements Routes, DgramRoutes {
  constructor(
    private readonly host: NetHost,
    private readonly kernelPorts: readonly PortRange[],
  ) {}

  listen(address: string | null, port: number): NetHost | null {
    if (hasPort(this.kernelPorts, port) || hasClusterWorkers()) return null;
    return this.isOurs(address === null ? ANY : ipv4In(address)) ? this.host : null;
  }

  connect(address: string, port: number): NetHost | null {
    if (hasPort(this.kernelPorts, port)) return null;
    const ip = ipv4In(address);
    if (ip === null) return null;
    if (!isLoopback(ip)) return this.host;
    return this.host.wildcardPorts.has(port) ? this.host : null;
  }

  bindUdp(address: string, port: number): NetHost | null {
    if (hasPort(this.kernelPorts, port)) return null;
    return this.isOurs(ipv4In(address)) ? this.host : null;
  }

  isKernelsUdp(address: string, port: number): boolean {
    if (!isLoopback(address)) return false;
    return hasPort(this.kernelPorts, port) || !this.host.stack.udp.isBound(port);
  }

  bind(address: string): NetHost | null {
    return ipv4In(address) === this.host.address ? this.host : null;
  }

  private isOurs(ip: string | null): boolean {
    return ip === ANY || ip === this.host.address;
  }

  /** As {@link connect}, before a name is looked up. */
  connectToName(name: string, port: number): NetHost | null {
    if (isIP(name) !== 0) return this.connect(name, port);
    return this.connect(LOCALHOST.test(name) ? '127.0.0.1' : this.host.address, port);
  }
}

/** As Linux has it, 0.0.0.0 is a loopback address for whoever sends. */
const isLoopback = (ip: string): boolean => ip === ANY || ip.startsWith('127.');

/** A server of `node:cluster` gives its connections to other processes, which only the kernel can. */
function hasClusterWorkers(): boolean {
  return cluster.workers !== undefined && Object.keys(cluster.workers).length > 0;
}
