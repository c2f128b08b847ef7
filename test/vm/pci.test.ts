/**
 * The main use: in a guest VM, `bind-vfio.sh` and `tspmd run` drive the virtio-net PCI device, with an IOMMU and
 * without. The peer is the Linux kernel at the other end of a tap device, in a network namespace that the test makes.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Guest, type GuestOptions } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { meanFrames } from '../support/offloads/mean-frames.js';
import { patternHash } from '../support/peers/bytes.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import {
  command,
  describeWith,
  guest,
  noIommu,
  requireForTest,
  root,
  tun,
  vfioRequirements,
} from '../support/requirements.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const NIC = nicAddress(0);
const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const UDP_CLIENT = fileURLToPath(new URL('../../dist/test/support/peers/udp-echo-client.worker.js', import.meta.url));
const PLAIN_RECEIVER = fileURLToPath(
  new URL('../../dist/test/support/offloads/plain-receiver.main.js', import.meta.url),
);
const TSPMD = Child.commandLine().join(' ');
const READY_MS = 120_000;
const BYTES = 10_000_000;
const PINGS = { count: 50, interval: 0.02 };

const VFIO_MODES = [
  ['with an IOMMU', 'iommu', ''],
  ['without an IOMMU', 'no-iommu', '--no-iommu'],
] as const;

describeWith('tspmd on a PCI device in a guest', [guest, root, tun, command('ip'), command('ping')], () => {
  let namespace: NetworkNamespace;
  const guests: Child[] = [];

  beforeEach(() => {
    namespace = NetworkNamespace.create();
    namespace.addTap('tap0', '10.0.0.9/24');
  });

  afterEach(async () => {
    await Promise.allSettled(guests.splice(0).map((child) => child.stop()));
    namespace.remove();
  });

  function start(mode: GuestOptions['mode'], script: string, more: Partial<GuestOptions> = {}): Child {
    const child = Guest.start({
      ...(mode === undefined ? {} : { mode }),
      netdevs: [`tap:tap0@${namespace.name}`],
      timeout: 230,
      command: ['bash', '-c', script],
      ...more,
    });
    guests.push(child);
    return child;
  }

  const run = (...more: string[]): string => `${TSPMD} run --device ${NIC} --ip 10.0.0.1/24 ${more.join(' ')}`;

  it.for(VFIO_MODES)('answers the kernel’s pings of every size, %s', async ([_, mode, option], context) => {
    requireForTest(context, vfioRequirements(mode));
    const child = start(mode, `set -e; ${BIND} ${NIC} ${option}; exec ${run()}`);
    await child.waitFor(/^ready: 10\.0\.0\.1\/24 at [0-9a-f:]{17} on 0000:00:10\.0/m, READY_MS);
    const pings = [56, 0, 1472].map((size) => expectAnswers(namespace, '10.0.0.1', { ...PINGS, size }));
    await Promise.all(pings);
  });

  it.for([...ALL_MODES.map((layout) => [layout, ...VFIO_MODES[0]] as const), ['2kb', ...VFIO_MODES[1]] as const])(
    'runs the same stack in mode %s, %s, on three vCPUs',
    async ([layout, _, mode, option], context) => {
      requireForTest(context, vfioRequirements(mode));
      // A line of input ends it.
      const script = `${run(...MODES[layout])} & PID=$!; read -r _; kill $PID; wait $PID`;
      const child = start(mode, `set -e; ${BIND} ${NIC} ${option}; ${script}`, { cpus: 3 });
      await child.waitFor(new RegExp(`^ready: .*, mode ${layout}, app echo`, 'm'), READY_MS);
      const client = namespace.spawn(process.execPath, UDP_CLIENT, '10.0.0.1', '100');
      await expectAnswers(namespace, '10.0.0.1', { ...PINGS, size: 1472 });
      await client.exited;
      expect(client.output.trim()).toBe('echoed 100');
      child.write('stop\n');
      expect((await child.exited).code, child.output).toBe(0);
      const echoes = [...child.stdout.matchAll(/^echo.*: .*udp_echoes (\d+)/gm)].map(([, count]) => Number(count));
      expect(echoes).toHaveLength(stackCores(layout));
      expect(Math.min(...echoes)).toBeGreaterThan(0);
      expect(echoes.reduce((sum, count) => sum + count, 0)).toBe(100);
    },
  );

  it.for([
    [...VFIO_MODES[0], 'split'],
    [...VFIO_MODES[1], 'packed'],
  ] as const)('pings the kernel 5,000 times with every byte checked, %s', async ([_, mode, option, ring], context) => {
    requireForTest(context, vfioRequirements(mode));
    const pings = `${TSPMD} ping --device ${NIC} --ip 10.0.0.1/24 --to 10.0.0.9 --ring ${ring}`;
    const child = start(
      mode,
      `set -e; ${BIND} ${NIC} ${option}; exec ${pings} --count 5000 --interval 0.0002 --timeout 5 --size 0-1472 --quiet`,
      { netdevs: [`tap:tap0@${namespace.name},packed=on`] },
    );
    expect((await child.exited).code, child.output).toBe(0);
    expect(child.stdout).toContain('5000 packets transmitted, 5000 received, 0% packet loss');
  });

  it.for([
    [...VFIO_MODES[0], 'split'],
    [...VFIO_MODES[1], 'packed'],
  ] as const)('serves 10 MB each way with the offloads of the tap, %s', async ([_, mode, option, ring], context) => {
    requireForTest(context, [...vfioRequirements(mode), command('curl')]);
    const script = `set -e; ${BIND} ${NIC} ${option}; exec ${run('--app http --offloads auto', `--ring ${ring}`)}`;
    const child = start(mode, script, { netdevs: [`tap:tap0@${namespace.name},packed=on`] });
    await child.waitFor(/^ready/m, READY_MS);
    const url = 'http://10.0.0.1';
    const there = `curl -sS --fail -T - -H Expect: '${url}/sink?hash=sha256'`;
    const line = `curl -sS --fail ${url}/bytes/${BYTES} | tee >(sha256sum >&2) | ${there}`;
    const client = namespace.spawn('timeout', '100', 'bash', '-c', `set -o pipefail; ${line}`);
    expect((await client.exited).code, client.output + child.output).toBe(0);
    expect(client.output.split(patternHash(BYTES)), client.output).toHaveLength(3);
    const { rx, tx } = meanFrames(namespace, 'tap0');
    expect(Math.min(rx, tx)).toBeGreaterThan(1514);
  });

  it('receives plain packets when receive offloads were switched off', async (context) => {
    requireForTest(context, [...vfioRequirements('iommu'), command('curl')]);
    const child = start(
      'iommu',
      `set -e; ${BIND} ${NIC}; exec ${process.execPath} ${PLAIN_RECEIVER} ${NIC} 10.0.0.1/24`,
    );
    await child.waitFor(/^ready/m, READY_MS);
    const line = `head -c ${BYTES} /dev/zero | curl -sS --fail -T - -H Expect: http://10.0.0.1/sink`;
    const client = namespace.spawn('timeout', '100', 'bash', '-c', `set -o pipefail; ${line}`);
    expect((await client.exited).code, client.output + child.output).toBe(0);
    const { tx } = meanFrames(namespace, 'tap0');
    expect(tx).toBeGreaterThan(1000);
    expect(tx).toBeLessThanOrEqual(1514);
  });

  it.for(VFIO_MODES)(
    'gives the NIC back to the kernel’s driver, which then pings, %s',
    async ([_, mode, option], context) => {
      requireForTest(context, vfioRequirements(mode));
      const kernel = [
        `IF=$(ls /sys/bus/pci/devices/${NIC}/virtio*/net)`,
        'ip addr add 10.0.0.1/24 dev $IF',
        'ip link set $IF up',
        'ping -n -c 5 -i 0.1 -W 5 10.0.0.9',
      ].join('; ');
      const bound = `${BIND} ${NIC} ${option}; ${TSPMD} ping --device ${NIC} --ip 10.0.0.1/24 --to 10.0.0.9 --count 5 --interval 0.01 --timeout 5`;
      const child = start(mode, `set -e; modprobe virtio_net; ${bound}; ${BIND} --unbind ${NIC}; ${kernel}`, {
        kernelDriver: true,
      });
      expect((await child.exited).code, child.output).toBe(0);
      expect(child.stdout.match(/5 packets transmitted, 5 received, 0% packet loss/g), child.output).toHaveLength(2);
    },
  );

  it.for(VFIO_MODES)('works again after it was killed, %s', async ([_, mode, option], context) => {
    requireForTest(context, vfioRequirements(mode));
    const killed = `(${run()} & PID=$!; read -r _; kill -9 $PID; wait $PID || true)`;
    const child = start(mode, `set -e; ${BIND} ${NIC} ${option}; ${killed}; echo killed; exec ${run()}`);
    await child.waitFor(/^ready/m, READY_MS);
    await expectAnswers(namespace, '10.0.0.1', { count: 5, interval: 0.05 });
    child.write('kill\n');
    await child.waitFor(/^killed[\s\S]*^ready/m, READY_MS);
    await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05 });
  });

  it.for(VFIO_MODES)(
    'sleeps on the device’s interrupt, and wakes for each ping, %s',
    async ([_, mode, option], context) => {
      requireForTest(context, vfioRequirements(mode));
      const child = start(
        mode,
        `set -e; ${BIND} ${NIC} ${option}; ${run()} & PID=$!; read -r _; cat /proc/$PID/stat; grep vfio /proc/interrupts; kill $PID; wait $PID`,
      );
      await child.waitFor(/^ready/m, READY_MS);
      // Far enough apart that the endpoint sleeps between any two.
      await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.2 });
      child.write('report\n');
      expect((await child.exited).code, child.output).toBe(0);
      const vectors = [...child.stdout.matchAll(/^ *\d+: +(\d+) .*vfio-msix/gm)].map(([, count]) => Number(count));
      expect(Math.max(...vectors), child.stdout).toBeGreaterThanOrEqual(15);
    },
  );

  it('polls a device without vectors', async () => {
    const child = start('iommu', `set -e; ${BIND} ${NIC}; exec ${run()}`, {
      netdevs: [`tap:tap0@${namespace.name},vectors=0`],
    });
    await child.waitFor(/^ready/m, READY_MS);
    await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05 });
  });

  it('drives a transitional device by its modern interface', async (context) => {
    requireForTest(context, [noIommu]);
    const child = start('no-iommu', `set -e; ${BIND} ${NIC} --no-iommu; exec ${run()}`, {
      netdevs: [`tap:tap0@${namespace.name},disable-legacy=off`],
    });
    await child.waitFor(/^ready/m, READY_MS);
    await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05 });
  });
});
