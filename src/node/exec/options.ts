/** What `tspmd exec` tells the thread of each core: structured-cloneable. */
import type { PortRange } from './ports.js';

export interface ExecOptions {
  /** The program: an absolute path. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Ports that are the kernel's. */
  readonly kernelPorts: readonly PortRange[];
  /** DNS servers that names are asked from over the stack. None: those of the DHCP lease; without a lease, Node's own way. */
  readonly dns: readonly string[];
}
