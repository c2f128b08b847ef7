/**
 * The whole picture of the seed: two VMs on one host, each with our driver on its vNIC, connected by the embedded
 * switch that runs `bess/forward_script.bess`. In a second test one of them has the kernel's driver instead.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { type CoreTraffic, RESULT_MARK } from '../../scripts/demo/traffic.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { parseSwitchStats } from '../support/observe/switch-stats.js';
import { describeWith, guest, noIommu } from '../support/requirements.js';

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const NIC = nicAddress(0);
const TSPMD = Child.commandLine().join(' ');
const READY_MS = 90_000;

describeWith('two guests over the embedded switch', [guest, noIommu], () => {
  let directory = '';
  let bess: Child;
  const children: Child[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-guests-'));
    const sockets = [1, 2].map((i) => `VM${i}_SOCKET=${socket(i)}`);
    bess = Child.tspmd('switch', file('bess/forward_script.bess'), ...sockets);
    await bess.waitFor(/^ready/m);
  });

  afterEach(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    await bess.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The script of the switch has these addresses. */
  const mac = (i: number): string => `52:54:00:00:00:0${i}`;
  const socket = (i: number): string => join(directory, `vm${i}.sock`);

  function boot(i: number, script: string, kernelDriver = false): Child {
    const child = Guest.start({
      mode: 'no-iommu',
      kernelDriver,
      // The guests take their addresses by themselves, so that both have the same configuration.
      netdevs: [`vhost-user:${socket(i)},packed=on${kernelDriver ? `,mac=${mac(i)}` : ''}`],
      timeout: 230,
      command: ['bash', '-c', `set -e; ${script}`],
    });
    children.push(child);
    return child;
  }

  const BIND = `${file('scripts/bind-vfio.sh')} ${NIC} --no-iommu`;
  const ours = (i: number, ...more: string[]): string =>
    `exec ${TSPMD} run --device ${NIC} --mac ${mac(i)} --ip 10.0.0.${i}/24 ${more.join(' ')}`;

  it('find each other by ARP, ping and exchange UDP, each with our driver', { timeout: 240_000 }, async () => {
    const app = file('dist/test/support/threads/traffic-on-demand.app.js');
    const traffic = (to: number): string => `--app ${app} --app-option to=10.0.0.${to} pings=50 datagrams=500`;
    const guests = [
      boot(1, `${BIND}; ${ours(1, '--ring packed', traffic(2))}`),
      boot(2, `${BIND}; ${ours(2, traffic(1))}`),
    ];
    await Promise.all(guests.map((child) => child.waitFor(/^ready/m, READY_MS)));
    // Both at the same time: each asks, and answers the other.
    for (const child of guests) child.write('go\n');
    for (const child of guests) {
      const [, json = ''] = await child.waitFor(new RegExp(`^${RESULT_MARK} (.*)$`, 'm'), READY_MS);
      const { ping, udp } = JSON.parse(json) as CoreTraffic;
      expect(ping).toMatchObject({ sent: 50, received: 50, corrupt: 0 });
      expect(udp).toMatchObject({ sent: 500, received: 500, corrupt: 0 });
    }

    const stats = Child.tspmd('stats', String(bess.pid), '--json');
    children.push(stats);
    await stats.exited;
    const { summary, ports } = parseSwitchStats(stats.stdout);
    expect(summary.forwarded).toBeGreaterThanOrEqual(2200);
    expect(summary.dropped.full).toBe(0);
    expect(Object.values(ports).map(({ up }) => up)).toEqual([true, true]);
  });

  it('interoperate: the kernel’s driver in one guest, ours in the other', { timeout: 240_000 }, async () => {
    // Waits until the other guest answers, and until Node is warmed up.
    const kernel = boot(
      1,
      `modprobe virtio_net; IF=$(ls /sys/bus/pci/devices/${NIC}/virtio*/net); ip addr add 10.0.0.1/24 dev $IF; ip link set $IF up; ${process.execPath} -e 0; read -r _
       for size in 56 1472; do ping -n -c 20 -i 0.05 -W 5 -M do -s $size 10.0.0.2; done;
       exec ${process.execPath} ${file('dist/test/support/peers/udp-echo-client.worker.js')} 10.0.0.2 100`,
      true,
    );
    await boot(2, `${BIND}; ${ours(2)}`).waitFor(/^ready/m, READY_MS);
    kernel.write('go\n');
    expect((await kernel.exited).code, kernel.output).toBe(0);
    expect(kernel.stdout.match(/20 packets transmitted, 20 received, 0% packet loss/g)).toHaveLength(2);
    expect(kernel.stdout).toContain('echoed 100');
  });
});
