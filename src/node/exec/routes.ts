/**
 * What is the stack's and what is the kernel's, of the sockets of a program under `tspmd exec`:
 *
 * - a server that listens on all addresses or on the device's is the stack's; on any other, the kernel's;
 * - a connection to an IPv4 address is the stack's; to 127.0.0.0/8 and ::1 the kernel's, unless the program itself
 *   listens at that port on all addresses, which includes these; to any other IPv6 address the kernel's;
 * - a UDP socket is the stack's if a server with its address and port would be. What it sends to a loopback address goes
 *   by the kernel, unless a socket of the stack has that port;
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
    const ip = address === null ? ANY : ipv4In(address);
    return ip === ANY || ip === this.host.address ? this.host : null;
  }

  connect(address: string, port: number): NetHost | null {
    if (hasPort(this.kernelPorts, port)) return null;
    const ip = ipv4In(address);
    if (ip === null) return null;
    // As Linux has it, 0.0.0.0 is a loopback address for whoever connects.
    if (ip !== ANY && !ip.startsWith('127.')) return this.host;
    return this.host.wildcardPorts.has(port) ? this.host : null;
  }

  bind(address: string): NetHost | null {
    return ipv4In(address) === this.host.address ? this.host : null;
  }

  bindUdp(address: string, port: number): NetHost | null {
    return this.listen(address, port);
  }

  isKernelsUdp(address: string, port: number): boolean {
    return (address === ANY || address.startsWith('127.')) && !this.host.stack.udp.isBound(port);
  }

  /** As {@link connect}, before a name is looked up. */
  connectToName(name: string, port: number): NetHost | null {
    if (isIP(name) !== 0) return this.connect(name, port);
    return this.connect(LOCALHOST.test(name) ? '127.0.0.1' : this.host.address, port);
  }
}

/** A server of `node:cluster` gives its connections to other processes, which only the kernel can. */
function hasClusterWorkers(): boolean {
  return cluster.workers !== undefined && Object.keys(cluster.workers).length > 0;
}
