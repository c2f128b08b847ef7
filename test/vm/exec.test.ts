/**
 * A Node program in a guest, over our PCI driver: its HTTP server answers another guest, in each thread layout. The
 * embedded switch connects the two.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { describeWith, guest, noIommu } from '../support/requirements.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const NIC = nicAddress(0);
const TSPMD = Child.commandLine().join(' ');
const PROGRAM = file('dist/test/support/node/bytes-server.js');
const READY_MS = 90_000;
const SIZE = 1_000_000;

describeWith('a Node program in a guest', [guest, noIommu], () => {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-guests-'));
  const socket = (i: number): string => join(directory, `vm${i}.sock`);
  const mac = (i: number): string => `52:54:00:00:00:0${i}`;
  const children: Child[] = [];
  let bess: Child;

  beforeAll(async () => {
    const sockets = [1, 2].map((i) => `VM${i}_SOCKET=${socket(i)}`);
    bess = Child.tspmd('switch', file('bess/forward_script.bess'), ...sockets);
    await bess.waitFor(/^ready/m);
  });

  afterAll(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    await bess.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  function boot(i: number, script: string): Child {
    const bind = `${file('scripts/bind-vfio.sh')} ${NIC} --no-iommu`;
    const child = Guest.start({
      mode: 'no-iommu',
      netdevs: [`vhost-user:${socket(i)}`],
      timeout: 220,
      command: ['bash', '-c', `set -e; ${bind}; ${script}`],
    });
    children.push(child);
    return child;
  }

  const on = (i: number): string => `--device ${NIC} --mac ${mac(i)} --ip 10.0.0.${i}/24`;

  it('answers another guest, in each thread layout', { timeout: 260_000 }, async () => {
    // The server's guest runs one layout after the other; a line on its standard input ends each.
    const layouts = ['single', '1kb', '2kb'];
    const serve = layouts
      .map(
        (mode) =>
          `echo layout ${mode}; ${TSPMD} exec ${on(2)} --mode ${mode} -- ${PROGRAM} & read -r _; kill $!; wait $! || true`,
      )
      .join('\n');
    const server = boot(2, serve);
    const get = `${TSPMD} get http://10.0.0.2/${SIZE} --hash sha256 ${on(1)} --json`;
    const client = boot(1, `echo booted; while read -r _; do ${get}; echo fetched; done`);
    await client.waitFor(/^booted/m, READY_MS);
    for (const [turn, mode] of layouts.entries()) {
      await server.waitFor(new RegExp(`^layout ${mode}$[^]*^listening$`, 'm'), READY_MS);
      client.write('get\n');
      await client.waitFor(new RegExp(`(?:[^]*^fetched$){${turn + 1}}`, 'm'), READY_MS);
      server.write('next\n');
    }
    const hash = createHash('sha256').update(Buffer.alloc(SIZE, 'tspmd')).digest('hex');
    expect(client.output.split(hash)).toHaveLength(layouts.length + 1);
  });
});
