/**
 * Loaded into a test of Node before it: its TCP sockets and servers use a stack from then on, as under `tspmd exec`. The
 * stack delivers to itself what the test sends, and says that it is 127.0.0.1, which the tests expect.
 */
import { writeFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { hookTls } from '../../src/node/exec/hook-tls.js';
import { NetHost } from '../../src/node/host.js';
import { ipv4In } from '../../src/node/net/handle-host.js';
import { type Routes, setRoutes } from '../../src/node/net/hooks.js';
import { OWN_ADDRESS, openAlone } from '../support/node/open-alone.js';
import { USE_FILE } from './use-file.js';

const LOOPBACK = '127.0.0.1';

class LoopbackHost extends NetHost {
  override get address(): string {
    return LOOPBACK;
  }

  override shownAddress(): string {
    return LOOPBACK;
  }

  override stackAddress(address: string): string {
    return isOurs(address) ? OWN_ADDRESS : address;
  }
}

/** Whether a test means this machine. Other addresses are nowhere. */
function isOurs(address: string): boolean {
  const ip = ipv4In(address);
  return ip !== null && (ip === '0.0.0.0' || ip.startsWith('127.'));
}

const host = await openAlone((core) => new LoopbackHost(core));

/** Whether a server listens at the port on all addresses, those of IPv6 included. */
const isForAll = (at: number): boolean => host.wildcardPorts.has(at);

// As under `tspmd exec`, ::1 is the kernel's, but for what listens on all addresses.
const routes: Routes = {
  listen: (address) => (address === null || (isOurs(address) && address !== '::1') ? host : null),
  connect: (address, at) => (isOurs(address) && (!isIPv6(address) || isForAll(at)) ? host : null),
  connectToName: (name) => (isIP(name) === 0 || isOurs(name) ? host : null),
  bind: (address) => (isOurs(address) && !isIPv6(address) ? host : null),
};
setRoutes(routes);
hookTls(routes.connectToName);

const useFile = process.env[USE_FILE];
if (useFile !== undefined) {
  delete process.env[USE_FILE];
  // Tells whether the test has used the stack at all.
  process.on('exit', () => writeFileSync(useFile, `${host.report().tcp_segments_out}`));
}
