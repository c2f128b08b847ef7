/**
 * The Linux kernel as the peer: a tap port of the embedded switch in a network namespace that the test makes, and our
 * endpoint on a vhost-user port beside it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { command, describeWith, root, tun } from '../support/requirements.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const KERNEL_MAC = '52:54:00:00:00:09';
const VM_MAC = '52:54:00:00:00:01';

const SCRIPT = `
kernel = PMDPort(name='kernel', vdev='net_tap0,iface=tap0')
vm = PMDPort(name='vm', vdev='net_vhost0,iface=%s,queues=1' % $SOCKET)
fwd::L2Forward()
fwd.add(entries=[{'addr': '${KERNEL_MAC}', 'gate': 0}, {'addr': '${VM_MAC}', 'gate': 1},
                 {'addr': 'ff:ff:ff:ff:ff:ff', 'gate': 2}])
to_kernel::PortOut(port=kernel.name)
to_vm::PortOut(port=vm.name)
flood::Replicate(gates=[0, 1])
PortInc(port=kernel.name) -> fwd
PortInc(port=vm.name) -> fwd
fwd:0 -> to_kernel
fwd:1 -> to_vm
fwd:2 -> flood
flood:0 -> to_kernel
flood:1 -> to_vm
`;

/** Datagrams of 0 to 1472 bytes, one of each size. */
const ALL_SIZES = 1473;
const LIMIT = { timeout: 40_000 };
const UDP_CLIENT = fileURLToPath(new URL('../../dist/test/support/peers/udp-echo-client.worker.js', import.meta.url));

describeWith('echo against the Linux kernel through a tap port', [root, tun, command('ip'), command('ping')], () => {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-tap-'));
  const socket = join(directory, 'vm.sock');
  let namespace: NetworkNamespace;
  let bess: Child;

  beforeAll(async () => {
    namespace = NetworkNamespace.create();
    const script = join(directory, 'tap.bess');
    writeFileSync(script, SCRIPT);
    bess = namespace.tspmd('switch', script, `SOCKET=${socket}`);
    await bess.waitFor(/^port kernel: the interface tap0 is down: bring it up with 'ip link set tap0 up'/m);
    await bess.waitFor(/^ready: 2 ports/m);
    namespace.ip('link', 'set', 'tap0', 'address', KERNEL_MAC);
    namespace.ip('addr', 'add', '10.0.0.9/24', 'dev', 'tap0');
    namespace.ip('link', 'set', 'tap0', 'up');
    await bess.waitFor(/^port kernel: tap tap0 works now/m);
  });

  afterAll(async () => {
    await bess?.stop();
    namespace?.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const device = (): string[] => ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24', '--mac', VM_MAC];

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    let endpoint: Child;

    beforeAll(async () => {
      endpoint = Child.tspmd('run', ...device(), '--app', 'echo', ...MODES[mode]);
      await endpoint.waitFor(/^ready/m);
    });

    afterAll(async () => {
      await endpoint.stop();
    });

    it.each([0, 56, 1472])('answers the kernel pinging with %d bytes', async (size) => {
      await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05, size });
    });

    it('is in the kernel’s neighbour table with its MAC', () => {
      expect(namespace.ip('neigh', 'show', '10.0.0.1')).toMatch(new RegExp(`lladdr ${VM_MAC}`));
    });

    it('echoes UDP datagrams of kernel sockets, of all sizes', LIMIT, async () => {
      const client = namespace.spawn(process.execPath, UDP_CLIENT, '10.0.0.1', String(ALL_SIZES));
      await client.exited;
      expect(client.output.trim()).toBe(`echoed ${ALL_SIZES}`);
    });

    it('counts frames for other addresses, and does not answer them', async () => {
      namespace.ip('neigh', 'replace', '10.0.0.77', 'lladdr', VM_MAC, 'dev', 'tap0');
      const ping = namespace.spawn('ping', '-n', '-c', '3', '-i', '0.05', '-w', '2', '10.0.0.77');
      const { code } = await ping.exited;
      expect(code).toBe(1);
      expect(ping.output).toMatch(/0 received/);
      await endpoint.stop();
      expect(endpoint.stdout).toMatch(/rx_drop_other_ip [3-9]/);
    });

    it('has spread the flows over its cores', () => {
      const echoes = [...endpoint.stdout.matchAll(/^echo.*: .*udp_echoes (\d+)/gm)].map(([, count]) => Number(count));
      expect(echoes).toHaveLength(stackCores(mode));
      expect(echoes.reduce((sum, count) => sum + count, 0)).toBe(ALL_SIZES);
      for (const count of echoes) expect(count).toBeGreaterThan(ALL_SIZES / 8);
    });
  });

  it('pings the kernel', async () => {
    const options = ['--to', '10.0.0.9', '--count', '20', '--interval', '0.01', '--size', '1000'];
    const ping = Child.tspmd('ping', ...device(), ...options);
    const { code } = await ping.exited;
    expect(ping.stdout).toContain('20 packets transmitted, 20 received, 0% packet loss');
    expect(code).toBe(0);
  });
});

describeWith('docs/kernel.md', [root, tun, command('ip'), command('ping')], () => {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-kernel-'));
  let namespace: NetworkNamespace;
  const children: Child[] = [];

  beforeAll(() => {
    namespace = NetworkNamespace.create();
  });

  afterAll(async () => {
    await Promise.allSettled(children.reverse().map((child) => child.stop()));
    namespace.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  /**
   * The commands of the page that begin with `start`, without `sudo` and `npx`, split into words. The default socket
   * becomes the socket of the test.
   */
  function commands(start: string): string[][] {
    const page = readFileSync(fileURLToPath(new URL('../../docs/kernel.md', import.meta.url)), 'utf8');
    const section = page.split(/^## /m).find((text) => text.startsWith('With the switch\n')) ?? '';
    const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
    const lines = blocks
      .flatMap((block) => block.trim().split('\n'))
      .map((line) => line.replace(/^(sudo )?(npx )?/, ''));
    const found = lines.filter((line) => line.startsWith(start));
    return found.map((line) => line.replace('/tmp/tspmd-vm.sock', join(directory, 'vm.sock')).split(' '));
  }

  function start(child: Child): Child {
    children.push(child);
    return child;
  }

  it('starts a switch and an endpoint that answers the kernel’s ping', LIMIT, async () => {
    const [bessCommand] = commands('tspmd switch kernel.bess') as [string[]];
    const bess = start(namespace.tspmd(...bessCommand.slice(1), `VM_SOCKET=${join(directory, 'vm.sock')}`));
    await bess.waitFor(/^port kernel: the interface tspmd0 is down: bring it up with 'ip link set tspmd0 up'/m);
    await bess.waitFor(/^ready: 2 ports, 4 modules, kernel\.bess/m);
    const [addAddress, setUp] = commands('ip ') as [string[], string[]];
    namespace.ip(...addAddress.slice(1));
    namespace.ip(...setUp.slice(1));
    expect(namespace.ip('addr', 'show', 'tspmd0')).toMatch(/52:54:00:00:00:09[\s\S]*inet 10\.0\.0\.9\/24/);
    await bess.waitFor(/^port kernel: tap tspmd0 works now/m);
    const [run] = commands('tspmd run --device vhost-user') as [string[]];
    const endpoint = start(Child.tspmd(...run.slice(1)));
    await endpoint.waitFor(/^ready/m);
    await expectAnswers(namespace, '10.0.0.1', { count: 3, interval: 0.1 });
    await endpoint.stop();
    const [pingKernel] = commands('tspmd ping') as [string[]];
    const ping = start(Child.tspmd(...pingKernel.slice(1)));
    expect((await ping.exited).code, ping.output).toBe(0);
    expect(ping.stdout).toContain('3 packets transmitted, 3 received, 0% packet loss');
  });

  it('names a listener of another network namespace as in use', LIMIT, async () => {
    const bess = start(Child.tspmd('switch', 'kernel.bess', `VM_SOCKET=${join(directory, 'vm.sock')}`, 'TAP=lo'));
    expect((await bess.exited).code).toBe(1);
    expect(bess.output).toMatch(
      /kernel\.bess:\d+:\d+: OSError: the socket \S+vm\.sock is in use by another process: stop/,
    );
  });
});
