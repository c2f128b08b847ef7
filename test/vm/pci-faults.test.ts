/**
 * Faults of real PCI devices: what only a kernel can refuse is reported in one line
 * (test/unit/drivers/vfio/vfio.test.ts has what sysfs reports), and a device that asks for a reset in the middle of
 * traffic gets it.
 */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { command, describeWith, guest, requireForTest, root, tun, vfioRequirements } from '../support/requirements.js';

const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const BREAKER = fileURLToPath(new URL('../../dist/test/support/pci/broken-ring.main.js', import.meta.url));
const TSPMD = Child.commandLine().join(' ');
const NOBODY = '/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups';
const READY_MS = 120_000;

const tryIt = (address: string, more = ''): string =>
  `${TSPMD} run --device ${address} --ip 10.0.0.1/24 ${more} 2>&1; echo "exit $?"`;

/** Runs a script in a guest and returns its output, errors included. */
async function output(script: string, netdevs: readonly string[]): Promise<string> {
  const { stdout } = await Guest.run({ netdevs, timeout: 230, command: ['bash', '-c', `exec 2>&1; ${script}`] });
  return stdout;
}

/** Expects each line, in this order, and exit code 1 for each failure. */
function expectLines(text: string, lines: readonly string[]): void {
  const found = text.split('\n').filter((line) => line.startsWith('tspmd: '));
  expect(found, text).toEqual(lines.map((line) => expect.stringContaining(line)));
  expect(text.match(/^exit \d+$/gm), text).toEqual(lines.map(() => 'exit 1'));
  expect(text).not.toMatch(/\n\s+at /);
}

describeWith('a PCI device that cannot be driven', [guest], () => {
  const [a, b, c, d] = [0, 1, 2, 3].map(nicAddress) as [string, string, string, string];

  it('is explained: no right to it, no memory to lock', async () => {
    const script = [
      `${BIND} ${a}`,
      `${NOBODY} ${tryIt(a)}`,
      'chown 65534 /dev/vfio/*',
      `(ulimit -l 64; ${NOBODY} ${tryIt(a)})`,
    ];
    expectLines(await output(script.join('\n'), ['hub:0']), [
      `${a}: no right to open /dev/vfio/`,
      `${a}: locking 10485760 bytes of packet memory is over the limit: raise it ('ulimit -l 10240')`,
    ]);
  });

  it('is explained: a legacy device, no way to learn addresses, no hugepages', async () => {
    const script = [
      `${BIND} ${a}; ${BIND} ${b}; chown 65534 /dev/vfio/*`,
      tryIt(a),
      `(ulimit -l unlimited; ${NOBODY} ${tryIt(b)})`,
      'sysctl -q vm.nr_hugepages=0',
      tryIt(b, '--hugepages require'),
    ];
    const text = await output(script.join('\n'), [
      'hub:0,disable-legacy=off,disable-modern=on,iommu_platform=off,ats=off',
      'hub:0,iommu_platform=off,ats=off',
    ]);
    expectLines(text, [
      `${a}: the device has only the legacy interface of virtio 0.9`,
      `${b}: physical addresses are hidden from this process: run as root`,
      'no 5 hugepages of 2 MiB (',
    ]);
  });

  it('is explained: another process has it', async () => {
    const script = [
      `modprobe virtio_net; ${BIND} ${a}`,
      `coproc ${TSPMD} run --device ${a} --ip 10.0.0.2/24; read -r _ <&"\${COPROC[0]}"`,
      tryIt(a),
      `${BIND} --unbind ${a}`,
      'kill $COPROC_PID; wait $COPROC_PID',
      `${BIND} --unbind ${a}`,
    ];
    const text = await output(script.join('\n'), ['hub:0']);
    expect(text).toMatch(/process \d+ uses it: stop that process first/);
    expect(text.trim()).toMatch(new RegExp(`${a} is bound to virtio-pci$`));
    expectLines(text, [`${a}: another process drives it (/dev/vfio/`]);
  });

  it('is explained: its group is not viable', async () => {
    const script = [`modprobe virtio_net; ${BIND} ${c}; ${BIND} --status ${c}`, tryIt(c)];
    // Two functions of one slot are in one group.
    const function1 = d.replace(/.\.0$/, '2.1');
    const text = await output(script.join('\n'), ['hub:0', 'hub:0', 'hub:0,multifunction=on', 'hub:0,addr=12.1']);
    expectLines(text, [`${c}: IOMMU group 5 is not viable: ${function1} (virtio-pci) must leave its driver as well`]);
  });
});

describeWith('a PCI device that asks for a reset', [guest, root, tun, command('ip'), command('ping')], () => {
  it.for(['iommu', 'no-iommu'] as const)('gets it in the middle of traffic, and goes on: %s', async (mode, context) => {
    requireForTest(context, vfioRequirements(mode));
    const namespace = NetworkNamespace.create();
    namespace.addTap('tap0', '10.0.0.9/24');
    const bind = `${BIND} ${nicAddress(0)} ${mode === 'no-iommu' ? '--no-iommu' : ''}`;
    const child = Guest.start({
      mode,
      netdevs: [`tap:tap0@${namespace.name}`],
      timeout: 230,
      command: ['bash', '-c', `${bind} && exec node ${BREAKER} ${nicAddress(0)} 10.0.0.1/24`],
    });
    try {
      await child.waitFor(/^ready/m, READY_MS);
      const traffic = namespace.spawn('ping', '-n', '-i', '0.005', '-w', '60', '10.0.0.1');
      await traffic.waitFor(/icmp_seq=50 /, READY_MS);
      for (let resets = 1; resets <= 3; resets++) {
        child.write('break\n');
        await child.waitFor(new RegExp(`(link up: [^]*){${resets}}`), READY_MS);
      }
      await traffic.stop();
      await expectAnswers(namespace, '10.0.0.1', { count: 100, interval: 0.005 });
      expect(child.output.match(/link down: 0000:00:10\.0: the device asks for a reset/g)).toHaveLength(3);
    } finally {
      await child.stop();
      namespace.remove();
    }
  });
});
