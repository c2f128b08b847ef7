/**
 * Our driver on PCI devices whose backends are DPDK's vhost library and OVS-DPDK, each listening or connecting; one
 * guest for all. Over tap: pci.test.ts; over datagrams: frames.test.ts; over our own switch: two-guests.test.ts.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Ovs } from '../../scripts/ovs.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { patternHash } from '../support/peers/bytes.js';
import { describeWith, guest, noIommu, ovs, testpmd } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const TSPMD = Child.commandLine().join(' ');
const READY_MS = 120_000;
const PINGS = 300;
const BYTES = 5_000_000;

/** For each backend: the port behind the NIC, and the layout of the rings. */
const NICS = [
  ['testpmd', 'split'],
  ['testpmd', 'packed'],
  ['listens', 'split'],
  ['listens', 'packed'],
  ['connects', 'split'],
  ['connects', 'packed'],
] as const;

describeWith('our driver in a guest with vhost-user backends', [guest, noIommu, testpmd, ovs], () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let pmd: Testpmd | undefined;
  let switching: Ovs | undefined;
  let echo: Child | undefined;
  let machine: Child | undefined;
  const socket = (name: string): string => join(directory.path, name);
  const ports = ['testpmd', 'listens', 'connects'] as const;

  beforeAll(async () => {
    directory = temporaryDirectory();
    pmd = Testpmd.backend(socket('testpmd'), { forward: 'icmpecho' });
    await pmd.started();
    const named = [
      { name: 'server', connectTo: socket('echo') },
      { name: 'listens' },
      { name: 'client', connectTo: socket('connects') },
    ];
    switching = await Ovs.start({ folder: directory.path, ports: named, sleeps: true, segments: true });
    switching.addFlow('in_port=1', 'output:2,output:3');
    for (const port of [2, 3]) switching.addFlow(`in_port=${port}`, 'output:1');
    echo = Child.tspmd(
      'run',
      '--device',
      `vhost-user:${socket('echo')},server=1`,
      '--ip',
      '10.0.0.2/24',
      '--app',
      'http',
    );
    await echo.waitFor(/^ready/m);
    // A line of input is a command.
    const bind = ports.map((_, i) => `${BIND} ${nicAddress(i)} --no-iommu`).join('; ');
    const kinds = { testpmd: 'vhost-user', listens: 'vhost-user', connects: 'vhost-user-server' };
    machine = Guest.start({
      mode: 'no-iommu',
      netdevs: ports.map((port, i) => `${kinds[port]}:${socket(port)},packed=on,mac=52:54:00:00:01:0${i}`),
      timeout: 230,
      command: ['bash', '-c', `set -e; ${bind}; echo bound; while read -r command; do $command || exit; done`],
    });
    await machine.waitFor(/^bound$/m, READY_MS);
  });

  afterAll(async () => {
    await Promise.allSettled([machine?.stop(), echo?.stop()]);
    await Promise.allSettled([pmd?.quit(), switching?.stop()]);
    directory.remove();
  });

  it.each([
    ...NICS.map(([port, ring]) => [port, ring, 'off'] as const),
    ['testpmd', 'split', 'auto'] as const,
    ['testpmd', 'packed', 'auto'] as const,
  ])('pings with every byte checked: %s, %s rings, offloads %s', async (port, ring, offloads) => {
    const nic = ports.indexOf(port);
    const from = machine?.output.length;
    const device = `--device ${nicAddress(nic)} --ip 10.0.0.1${nic}/24 --ring ${ring} --offloads ${offloads}`;
    const sizes = `--count ${PINGS} --interval 0.002 --timeout 5 --size 0-1472 --quiet`;
    machine?.write(`${TSPMD} ping ${device} --to 10.0.0.2 ${sizes}\n`);
    const [found] = (await machine?.waitFor(/^.*packets transmitted.*$/m, READY_MS, from)) ?? [];
    expect(found).toBe(`${PINGS} packets transmitted, ${PINGS} received, 0% packet loss`);
  });

  // OVS segments only at ports that connect, and drops what has no whole checksum at the others.
  it.each(NICS.filter(([port]) => port === 'connects'))('gets 5 MB with offloads: %s, %s rings', async (port, ring) => {
    const nic = ports.indexOf(port);
    const from = machine?.output.length;
    const device = `--device ${nicAddress(nic)} --ip 10.0.0.1${nic}/24 --ring ${ring} --offloads auto`;
    machine?.write(`${TSPMD} get http://10.0.0.2/bytes/${BYTES} ${device} --hash sha256\n`);
    await machine?.waitFor(new RegExp(patternHash(BYTES)), READY_MS, from);
  });
});
