/**
 * Loaded into a test of Node before it: its TCP sockets and servers use the stack from then on, as under `tspmd exec`.
 * What connects is on one host, what listens on another, with a cable in memory between them. Both say that they are
 * 127.0.0.1, which the tests expect.
 */
import { writeFileSync } from 'node:fs';
import { hookTls } from '../../src/node/exec/hook-tls.js';
import { NetHost } from '../../src/node/host.js';
import { ipv4In } from '../../src/node/net/handle-host.js';
import { type Routes, setRoutes } from '../../src/node/net/hooks.js';
import { openCabledHosts, SERVER_ADDRESS } from '../support/node/cabled-hosts.js';
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
    return isOurs(address) ? SERVER_ADDRESS : address;
  }
}

/** Whether a test means this machine. Other addresses are nowhere. */
function isOurs(address: string): boolean {
  const ip = ipv4In(address);
  return ip !== null && (ip === '0.0.0.0' || ip.startsWith('127.'));
}

const { client, server } = await openCabledHosts((core) => new LoopbackHost(core));
const routes: Routes = {
  listen: (address) => (address === null || isOurs(address) ? server : null),
  connect: (address) => (isOurs(address) ? client : null),
  bind: (address) => (isOurs(address) ? client : null),
};
setRoutes(routes);
hookTls((name) => (name === 'localhost' || isOurs(name) ? client : null));

const useFile = process.env[USE_FILE];
if (useFile !== undefined) {
  delete process.env[USE_FILE];
  // Tells whether the test has used the stack at all.
  process.on('exit', () => writeFileSync(useFile, `${client.report().tcp_segments_out}`));
}
