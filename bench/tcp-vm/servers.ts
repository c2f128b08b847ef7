/** The contestants: servers in the guest, on the same NIC. Those on the kernel have its own driver for it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quote } from '../../scripts/vm/shell.js';
import { PAGE } from '../../src/apps/http/answers.js';
import type { BusyTime } from '../common/load/busy-time.js';
import { KERNEL_SETTINGS, SERVER, type ServerPlace } from '../common/sides.js';
import { configureNginx, NGINX_READY } from '../http/nginx.js';
import { type Contestant, NIC, type SharedGuest } from '../vm/shared-guest.js';
import type { Group } from './rows.js';

/** Prepares the NIC, and becomes the server. */
const SERVE = fileURLToPath(new URL('../../../bench/tcp-vm/serve.sh', import.meta.url));
const PREFIX = 24;
/** A guest has one CPU. */
const CPU = 0;
const READY = /^(ready|listening)\b/;

/** Where our servers run. Offloads are as apps over TCP have them. */
const PLACE: ServerPlace = {
  ...{ device: NIC, ip: `${SERVER.ip}/${PREFIX}`, mac: SERVER.mac },
  ...{ cpu: CPU, offloads: 'auto' },
};

/** The settings that are sysctls. */
export const SYSCTLS = Object.entries(KERNEL_SETTINGS).filter(([name]) => name.includes('.'));

export interface Server extends Contestant {
  /**
   * Asks a server of ours, which spins, how long it has worked until now. The others leave the CPU to the guest's idle
   * loop.
   */
  readonly busyTime?: (guest: SharedGuest) => Promise<BusyTime>;
}

const program = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const command = (...words: readonly string[]): string => ['bash', SERVE, ...words].map(quote).join(' ');

function ours(script: string): Server {
  return {
    name: 'tspmd',
    command: command('vfio', NIC, process.execPath, program(script), JSON.stringify(PLACE)),
    ready: READY,
    busyTime: (guest) => guest.ask<BusyTime>('busy'),
  };
}

function onKernel(name: string, ready: RegExp, ...server: readonly string[]): Server {
  const settings = SYSCTLS.map(([name, value]) => `${name}=${value}`).join(',');
  return { name, ready, command: command('kernel', NIC, PLACE.ip, settings, ...server) };
}

/**
 * Returns the servers of a group, ours first.
 * @param folder for files that the guest reads
 */
export function serversOf(group: Group, folder: string): readonly [Server, Server] {
  const node = process.execPath;
  switch (group) {
    case 'requests':
      return [ours('tcp/requests/server.js'), onKernel('node-net', READY, node, program('tcp/requests/net-server.js'))];
    case 'bulk':
      return [ours('tcp/bulk/server.js'), onKernel('node-net', READY, node, program('tcp/bulk/node-server.js'))];
    case 'http':
      return [
        ours('tcp-vm/http-server.js'),
        onKernel('nginx', NGINX_READY, 'nginx', ...configureNginx(join(folder, 'nginx'), PAGE)),
      ];
  }
}
