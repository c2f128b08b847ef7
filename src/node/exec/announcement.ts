/** The line that says, at the start of a program, what is the stack's and what is the kernel's. */
import { tellErr } from '../../../drivers/log/event-log.js';
import type { Port } from '../../port.js';
import { formatMac } from '../../wire/address.js';
import { formatPorts, type PortRange } from './ports.js';

/** Writes the line to stderr, which is the event `ready`. */
export function announce(port: Port, program: string, kernelPorts: readonly PortRange[]): void {
  const { name: device, mode } = port;
  const address = `${port.address.address}/${port.address.prefixLength}`;
  const mac = formatMac(port.mac);
  const ours = formatPorts(kernelPorts);
  const ports = kernelPorts.length === 0 ? '' : `, and ports ${ours}`;
  const line = `${address} at ${mac} on ${device}, mode ${mode}: sockets use the stack; 127.0.0.0/8, IPv6, unix sockets${ports} use the kernel`;
  tellErr(line, { event: 'ready', kind: 'exec', address, mac, device, mode, app: program, kernelPorts: ours });
}
