/** Puts the sockets of the program of this thread on a core. */
import type { Core } from '../../link/core.js';
import { setCurrentHost } from '../current.js';
import { hookDgram } from '../dgram/hooks.js';
import { NetHost } from '../host.js';
import { setRoutes } from '../net/hooks.js';
import { dnsOver, hookDns } from './hook-dns.js';
import { hookTls } from './hook-tls.js';
import type { ExecOptions } from './options.js';
import { ExecRoutes } from './routes.js';

/**
 * From now on the sockets of Node's modules in this thread use `core`, as {@link ExecRoutes} says, and names are looked
 * up over it if there are DNS servers, from `dns` or from the lease of our address. At the exit of the process (of the
 * thread) the sockets are closed, as the kernel does it.
 */
export function takeOver(core: Core, { kernelPorts, dns }: Pick<ExecOptions, 'kernelPorts' | 'dns'>): NetHost {
  const host = new NetHost(core);
  const names = dnsOver(core, host.stack, dns);
  if (names !== null) hookDns(names);
  const routes = new ExecRoutes(host, kernelPorts);
  setCurrentHost(host);
  setRoutes(routes);
  hookDgram(routes);
  hookTls((name, port) => routes.connectToName(name, port));
  process.on('exit', () => host.endNow());
  return host;
}
