/** The line that says, at the start of a program, what is the stack's and what is the kernel's. */
import type { Port } from '../../port.js';
import { formatMac } from '../../wire/address.js';
import { formatPorts, type PortRange } from './ports.js';

export function announcement(port: Port, kernelPorts: readonly PortRange[]): string {
  const { address, prefixLength } = port.address;
  const who = `${address}/${prefixLength} at ${formatMac(port.mac)} on ${port.name}, mode ${port.mode}`;
  const ports = kernelPorts.length === 0 ? '' : `, and ports ${formatPorts(kernelPorts)}`;
  return `${who}: sockets use the stack; 127.0.0.0/8, IPv6, unix sockets${ports} use the kernel`;
}
