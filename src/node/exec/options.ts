/** What `tspmd exec` tells the thread of each core: structured-cloneable. */
import type { PortRange } from './ports.js';

export interface ExecOptions {
  /** The program: an absolute path. Null with `tspmd/register`: Node itself starts it. */
  readonly program: string | null;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Ports that are the kernel's. */
  readonly kernelPorts: readonly PortRange[];
  /** Addresses of DNS servers, which names are asked from over the stack; none: names are Node's own affair. */
  readonly dns: readonly string[];
}
