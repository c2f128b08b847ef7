/** Ports of the embedded switch on network interfaces (`net_af_packetN`), with a kernel behind each, or an endpoint beside it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSwitch, type RunningSwitch } from '../../bess/index.js';
import { Child } from '../../scripts/child.js';
import { patternHash } from '../support/peers/bytes.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { ETH, VethCable } from '../support/peers/veth-cable.js';
import { command, describeWith, root } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { until } from '../support/until.js';

const BYTES = 8_000_000;
const PORT = '7000';
/** Datagrams of 0 to 1472 bytes, one of each size. */
const ALL_SIZES = 1473;
const LIMIT = { timeout: 40_000 };
const program = (name: string): string =>
  fileURLToPath(new URL(`../../dist/test/support/peers/${name}.js`, import.meta.url));
const END = program('bytes-over-tcp.main');
const UDP_CLIENT = program('udp-echo-client.worker');

/** Joins the ports `a` and `b`. */
const JOINED = `
QueueInc(port=a.name, qid=0) -> QueueOut(port=b.name, qid=0)
QueueInc(port=b.name, qid=0) -> QueueOut(port=a.name, qid=0)
`;

describeWith('ports on network interfaces', [root, ...['ip', 'ping', 'curl'].map(command)], () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let bess: RunningSwitch | undefined;
  const cables: VethCable[] = [];
  const children: Child[] = [];
  const lines: string[] = [];

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    await bess?.stop();
    bess = undefined;
    for (const cable of cables.splice(0)) cable.remove();
    lines.length = 0;
    directory.remove();
  });

  function plug(...addresses: string[]): VethCable {
    const cable = VethCable.create(...addresses);
    cables.push(cable);
    return cable;
  }

  async function start(a: string, b: string): Promise<RunningSwitch> {
    const source = `a = PMDPort(name='a', vdev='${a}')\nb = PMDPort(name='b', vdev='${b}')\n${JOINED}`;
    bess = await openSwitch({ script: { name: 'nics', source }, warn: (line) => lines.push(line) });
    return bess;
  }

  /** Starts a switch between two kernels, with these options of its vdevs. */
  function startBetween(a = '', b = ''): Promise<RunningSwitch> {
    const [one, two] = [plug('10.0.0.1/24', 'fd00::1/64'), plug('10.0.0.2/24', 'fd00::2/64')];
    return start(`net_af_packet0,iface=${one.name}${a}`, `eth_af_packet1,iface=${two.name}${b}`);
  }

  /** Starts a switch between a kernel, 10.0.0.9, and an endpoint, 10.0.0.1. */
  async function startWithEndpoint(app: string): Promise<VethCable> {
    const cable = plug('10.0.0.9/24');
    const socket = join(directory.path, 'vm.sock');
    await start(`net_af_packet0,iface=${cable.name}`, `eth_vhost0,iface=${socket}`);
    const device = ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24', '--hugepages', 'never'];
    const endpoint = Child.tspmd('run', ...device, '--app', app);
    children.push(endpoint);
    await endpoint.waitFor(/^ready/m);
    return cable;
  }

  /** Sends the bytes in both directions of one connection between the kernels at once. */
  async function transfer(address: string): Promise<void> {
    const server = cables[1]!.kernel.spawn(process.execPath, END, 'serve', address, PORT, String(BYTES));
    children.push(server);
    await server.waitFor(/^ready/m);
    const client = cables[0]!.kernel.spawn(process.execPath, END, 'connect', address, PORT, String(BYTES));
    children.push(client);
    for (const end of [client, server]) {
      const [, count, hash] = await end.waitFor(/^read (\d+) (\S+)/m);
      expect([Number(count), hash]).toEqual([BYTES, patternHash(BYTES)]);
    }
    await Promise.all([client.exited, server.exited]);
  }

  const devices = (): Record<string, number>[] =>
    Object.values((bess as RunningSwitch).stats().ports).map(({ device }) => device);
  const untilLine = (line: string): Promise<void> => until(line, () => lines.some((each) => each.startsWith(line)));

  it.each(['10.0.0.2', 'fd00::2'])('carries packets for many segments between kernels: %s', async (address) => {
    await startBetween();
    await transfer(address);
    for (const device of devices()) {
      expect(device.in_bytes! / device.in_packets!).toBeGreaterThan(1514);
      expect(Object.keys(device).filter((name) => /bad|error|tooLong|software/i.test(name))).toEqual([]);
    }
    const { ports, summary } = bess!.stats();
    expect(ports.a!.description).toBe(`af_packet ${cables[0]!.name}`);
    expect(bess!.ports[0]).toMatchObject({ kind: 'af_packet', address: cables[0]!.name, state: 'up', problem: null });
    expect(summary.received).toBe(summary.forwarded + summary.dropped.total);
  });

  it.each([',tso=0', ',csum=0', ',qdisc_bypass=1'])('finishes packets before the kernel: %j', async (options) => {
    await startBetween('', options);
    await transfer('10.0.0.2');
    const [a, b] = devices();
    expect(b!.out_softwareSegments).toBeGreaterThan(BYTES / 1514);
    expect(b!.out_bytes! / b!.out_packets!).toBeLessThanOrEqual(1514);
    expect(a!.out_bytes! / a!.out_packets!).toBeGreaterThan(1514);
  });

  it('answers the kernel at the other end, and its datagrams of all sizes', LIMIT, async () => {
    const { kernel } = await startWithEndpoint('echo');
    for (const size of [0, 56, 1472]) await expectAnswers(kernel, '10.0.0.1', { count: 10, interval: 0.02, size });
    const client = kernel.spawn(process.execPath, UDP_CLIENT, '10.0.0.1', String(ALL_SIZES));
    await client.exited;
    expect(client.output.trim()).toBe(`echoed ${ALL_SIZES}`);
    const [nic] = devices();
    expect(Object.keys(nic!).sort()).toEqual(['in_bytes', 'in_packets', 'out_bytes', 'out_packets']);
  });

  it('carries TCP between the kernel and an endpoint', async () => {
    const { kernel } = await startWithEndpoint('http');
    const line = `set -o pipefail
      curl -sS --fail -m 20 http://10.0.0.1/bytes/${BYTES} | wc -c
      head -c ${BYTES} /dev/zero | curl -sS --fail -m 20 -T - -H Expect: http://10.0.0.1/sink`;
    const client = kernel.spawn('bash', '-ec', line);
    expect((await client.exited).code, client.output).toBe(0);
    expect(client.stdout).toMatch(new RegExp(`^${BYTES}\\n`));
    const [nic] = devices();
    expect(Object.keys(nic!).filter((name) => /bad|error|too/i.test(name))).toEqual([]);
  });

  it('says when an interface is down, without carrier or gone, and works again', LIMIT, async () => {
    const cable = await startWithEndpoint('echo');
    const { kernel, name } = cable;
    const works = `port a: af_packet ${name} works now`;
    const ping = async (): Promise<void> => {
      await untilLine(works);
      lines.length = 0;
      await expectAnswers(kernel, '10.0.0.1', { count: 3, interval: 0.02 });
    };
    cable.set('down');
    await untilLine(`port a: the interface ${name} is down: bring it up with 'ip link set ${name} up'`);
    cable.set('up');
    await ping();
    kernel.ip('link', 'set', ETH, 'down');
    await untilLine(`port a: the interface ${name} has no carrier`);
    kernel.ip('link', 'set', ETH, 'up');
    await ping();
    cable.unplug();
    await untilLine(`port a: the interface ${name} is gone`);
    cable.plug('10.0.0.9/24');
    await ping();
  });

  it('refuses a second port on an interface, and one that there is not', async () => {
    const { name } = plug();
    await expect(start(`net_af_packet0,iface=${name}`, `net_af_packet1,iface=${name}`)).rejects.toThrow(
      `Cannot attach vdev net_af_packet1,iface=${name}: port a is on ${name} already`,
    );
    await expect(start('net_af_packet0,iface=nowhere0', 'net_tap0')).rejects.toThrow(
      "af_packet nowhere0: there is no such interface ('ip link' lists those there are)",
    );
  });
});
