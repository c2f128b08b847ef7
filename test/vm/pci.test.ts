/**
 * The main use: in a guest VM, `bind-vfio.sh` and `tspmd run` drive the virtio-net PCI device, with an IOMMU and
 * without. The peer is the Linux kernel at the other end of a tap device, in a network namespace that the test makes. An
 * emulated guest takes ten seconds to boot, so tests share one where they can.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Guest } from '../../scripts/vm/guest.js';
import type { Mode } from '../../scripts/vm/machine.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { meanFramesFromNow } from '../support/offloads/mean-frames.js';
import { patternHash } from '../support/peers/bytes.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { LineShell } from '../support/peers/line-shell.js';
import { command, describeWith, guest, requireForTest, root, tun, vfioRequirements } from '../support/requirements.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const NIC = nicAddress(0);
const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const UDP_CLIENT = fileURLToPath(new URL('../../dist/test/support/peers/udp-echo-client.worker.js', import.meta.url));
const PLAIN_RECEIVER = fileURLToPath(
  new URL('../../dist/test/support/offloads/plain-receiver.main.js', import.meta.url),
);
const TSPMD = Child.commandLine().join(' ');
const READY_MS = 120_000;
/** Seconds that a guest may live. */
const GUEST_SECONDS = 900;
/** What the program in the guest has written, there. */
const LOG = '/tmp/tspmd.log';
const BYTES = 10_000_000;
const PINGS = { count: 50, interval: 0.02 };

/** The kind of VFIO, the rings of the tests that choose, and the thread layouts. */
const VFIO_MODES = [
  ['with an IOMMU', 'iommu', '', 'split', ALL_MODES],
  ['without an IOMMU', 'no-iommu', '--no-iommu', 'packed', ['2kb']],
] as const;

/** A guest whose NIC is bound to vfio-pci, and the network of its peer. */
class Lab {
  namespace!: NetworkNamespace;
  private shell: LineShell | null = null;

  /** @param option of `bind-vfio.sh` */
  async open(mode: Mode, option: string, cpus: number): Promise<void> {
    this.namespace = NetworkNamespace.create();
    this.namespace.addTap('tap0', '10.0.0.9/24');
    const netdevs = [`tap:tap0@${this.namespace.name},packed=on`];
    const machine = { mode, netdevs, cpus, timeout: GUEST_SECONDS, kernelDriver: true };
    this.shell = await LineShell.inGuest(machine, `modprobe virtio_net; ${BIND} ${NIC} ${option}`);
  }

  /** Runs lines of shell in the guest. Expects that they succeed; returns what they write. */
  async run(lines: string): Promise<string> {
    const { code, output } = await this.shell!.run(lines, READY_MS);
    expect(code, output).toBe(0);
    return output;
  }

  /** Starts a program in the guest; resolves when it has written a line that begins with `ready`. */
  begin(program: string): Promise<string> {
    const isReady = `timeout 100 bash -c "until grep -q '^ready' ${LOG}; do kill -0 $PID || exit 1; sleep 0.1; done"`;
    return this.run(`: >${LOG}; ${program} >>${LOG} 2>&1 & PID=$!; ${isReady}; CODE=$?; cat ${LOG}; (exit $CODE)`);
  }

  /** Ends the program that was begun, by a signal. Returns what it has written. */
  end(): Promise<string> {
    return this.run(`kill $PID; wait $PID; CODE=$?; PID=; cat ${LOG}; (exit $CODE)`);
  }

  /** After a test that may have failed. */
  async reset(): Promise<void> {
    await this.shell?.run('[ -z "$PID" ] || { kill -9 $PID; wait $PID; }; PID=', READY_MS);
  }

  async close(): Promise<void> {
    await this.shell?.stop();
    this.namespace?.remove();
  }
}

/** A lab for the tests of a suite. */
function sharedLab(mode: Mode, option: string, cpus: number): Lab {
  const lab = new Lab();
  beforeAll(() => lab.open(mode, option, cpus));
  afterEach(() => lab.reset());
  afterAll(() => lab.close());
  return lab;
}

const run = (...more: string[]): string => `${TSPMD} run --device ${NIC} --ip 10.0.0.1/24 ${more.join(' ')}`;

const PEER = [guest, root, tun, command('ip'), command('ping')];

describe.each(VFIO_MODES)('tspmd on a PCI device in a guest, %s', (_, mode, option, ring, layouts) => {
  describeWith('on one vCPU', [...PEER, ...vfioRequirements(mode), command('curl')], () => {
    const lab = sharedLab(mode, option, 1);

    it('answers the kernel’s pings of every size', async () => {
      expect(await lab.begin(run())).toMatch(/^ready: 10\.0\.0\.1\/24 at [0-9a-f:]{17} on 0000:00:10\.0/m);
      const pings = [56, 0, 1472].map((size) => expectAnswers(lab.namespace, '10.0.0.1', { ...PINGS, size }));
      await Promise.all(pings);
      await lab.end();
    });

    it('pings the kernel 5,000 times with every byte checked', async () => {
      const pings = `${TSPMD} ping --device ${NIC} --ip 10.0.0.1/24 --to 10.0.0.9 --ring ${ring}`;
      const output = await lab.run(`${pings} --count 5000 --interval 0.0002 --timeout 5 --size 0-1472 --quiet`);
      expect(output).toContain('5000 packets transmitted, 5000 received, 0% packet loss');
    });

    it('serves 10 MB each way with the offloads of the tap', async () => {
      await lab.begin(run('--app http --offloads auto', `--ring ${ring}`));
      const meanFrames = meanFramesFromNow(lab.namespace, 'tap0');
      const url = 'http://10.0.0.1';
      const there = `curl -sS --fail -T - -H Expect: '${url}/sink?hash=sha256'`;
      const line = `curl -sS --fail ${url}/bytes/${BYTES} | tee >(sha256sum >&2) | ${there}`;
      const client = lab.namespace.spawn('timeout', '100', 'bash', '-c', `set -o pipefail; ${line}`);
      expect((await client.exited).code, client.output).toBe(0);
      expect(client.output.split(patternHash(BYTES)), client.output).toHaveLength(3);
      const { rx, tx } = meanFrames();
      expect(Math.min(rx, tx)).toBeGreaterThan(1514);
    });

    it('receives plain packets when receive offloads were switched off', async () => {
      await lab.begin(`${process.execPath} ${PLAIN_RECEIVER} ${NIC} 10.0.0.1/24`);
      const meanFrames = meanFramesFromNow(lab.namespace, 'tap0');
      const line = `head -c ${BYTES} /dev/zero | curl -sS --fail -T - -H Expect: http://10.0.0.1/sink`;
      const client = lab.namespace.spawn('timeout', '100', 'bash', '-c', `set -o pipefail; ${line}`);
      expect((await client.exited).code, client.output).toBe(0);
      const { tx } = meanFrames();
      expect(tx).toBeGreaterThan(1000);
      expect(tx).toBeLessThanOrEqual(1514);
    });

    it('works again after it was killed', async () => {
      await lab.begin(run());
      await expectAnswers(lab.namespace, '10.0.0.1', { count: 5, interval: 0.05 });
      await lab.reset();
      await lab.begin(run());
      await expectAnswers(lab.namespace, '10.0.0.1', { count: 20, interval: 0.05 });
    });

    it('sleeps on the device’s interrupt, and wakes for each ping', async () => {
      await lab.begin(run());
      // Far enough apart that the endpoint sleeps between any two.
      await expectAnswers(lab.namespace, '10.0.0.1', { count: 20, interval: 0.2 });
      const interrupts = await lab.run('grep vfio /proc/interrupts');
      const vectors = [...interrupts.matchAll(/^ *\d+: +(\d+) .*vfio-msix/gm)].map(([, count]) => Number(count));
      expect(Math.max(...vectors), interrupts).toBeGreaterThanOrEqual(15);
      await lab.end();
    });

    // Last, because the NIC is the kernel's afterwards.
    it('gives the NIC back to the kernel’s driver, which then pings', async () => {
      const kernel = [
        `IF=$(ls /sys/bus/pci/devices/${NIC}/virtio*/net)`,
        'ip addr add 10.0.0.1/24 dev $IF',
        'ip link set $IF up',
        'ping -n -c 5 -i 0.1 -W 5 10.0.0.9',
      ];
      const output = await lab.run(`(set -e; ${BIND} --unbind ${NIC}; ${kernel.join('; ')})`);
      expect(output).toContain('5 packets transmitted, 5 received, 0% packet loss');
    });
  });

  describeWith('on three vCPUs', [...PEER, ...vfioRequirements(mode)], () => {
    const lab = sharedLab(mode, option, 3);

    it.each(layouts)('runs the same stack in mode %s', async (layout) => {
      expect(await lab.begin(run(...MODES[layout]))).toMatch(new RegExp(`^ready: .*, mode ${layout}, app echo`, 'm'));
      const client = lab.namespace.spawn(process.execPath, UDP_CLIENT, '10.0.0.1', '100');
      await expectAnswers(lab.namespace, '10.0.0.1', { ...PINGS, size: 1472 });
      await client.exited;
      expect(client.output.trim()).toBe('echoed 100');
      const output = await lab.end();
      const echoes = [...output.matchAll(/^echo.*: .*udp_echoes (\d+)/gm)].map(([, count]) => Number(count));
      expect(echoes).toHaveLength(stackCores(layout));
      expect(Math.min(...echoes)).toBeGreaterThan(0);
      expect(echoes.reduce((sum, count) => sum + count, 0)).toBe(100);
    });
  });
});

describeWith('tspmd on another kind of PCI device in a guest', PEER, () => {
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

  it.for([
    ['without vectors: it polls', 'iommu', '', 'vectors=0'],
    ['that is transitional: by its modern interface', 'no-iommu', '--no-iommu', 'disable-legacy=off'],
  ] as const)('drives a device %s', async ([_, mode, option, device], context) => {
    requireForTest(context, vfioRequirements(mode));
    const child = Guest.start({
      ...{ mode, netdevs: [`tap:tap0@${namespace.name},${device}`], timeout: 230 },
      command: ['bash', '-c', `set -e; ${BIND} ${NIC} ${option}; exec ${run()}`],
    });
    guests.push(child);
    await child.waitFor(/^ready/m, READY_MS);
    await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05 });
  });
});
