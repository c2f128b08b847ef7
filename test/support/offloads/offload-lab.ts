/**
 * Stations around one switch, for tests of offloads: two guests with the kernel's own virtio-net driver, this machine's
 * kernel behind a tap in a network namespace, and our endpoint. The second guest has another NIC without any offload.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SwitchStats } from '../../../bess/stats.js';
import type { Child } from '../../../scripts/child.js';
import { NetworkNamespace } from '../../../scripts/netns.js';
import { parseSwitchStats } from '../observe/switch-stats.js';
import { patternBytes } from '../peers/bytes.js';
import type { Finished } from '../peers/kernel-lab.js';
import { LineShell } from '../peers/line-shell.js';
import { temporaryDirectory } from '../resources.js';

/** Seconds that a guest may live: all tests together. */
const GUEST_TIMEOUT_S = 400;
/** Time limit of one transfer, in seconds. */
const TRANSFER_S = 60;
const NETWORK = '10.0.0.';

/** A port of the switch. Port number n has the MAC address 52:54:00:00:00:0n, and its station the IP address 10.0.0.n. */
const PORTS = ['guest1', 'guest2', 'plain', 'ours', 'kernel'] as const;
export type PortName = (typeof PORTS)[number];

const numberOf = (name: PortName): number => PORTS.indexOf(name) + 1;
const macOf = (name: PortName): string => `52:54:00:00:00:0${numberOf(name)}`;
export const addressOf = (name: PortName): string => `${NETWORK}${numberOf(name)}`;

/** What QEMU does not offer to the driver of the NIC without offloads. */
const PLAIN = ['csum', 'guest_csum', 'host_tso4', 'host_tso6', 'host_ecn', 'guest_tso4', 'guest_tso6', 'guest_ecn'];

/** Port names and modules; every port but the last one is a vhost-user socket of the folder. */
const script = (folder: string): string => `
fwd::L2Forward(size=1024, bucket=2)
flood::Replicate(gates=list(range(${PORTS.length})))
${PORTS.map((name, i) => {
  const vdev = name === 'kernel' ? `net_tap0,iface=tap0,mac=${macOf(name)}` : `eth_vhost${i},iface=${folder}/${name}`;
  return `
${name} = PMDPort(name='${name}', vdev='${vdev}')
fwd.add(entries=[{'addr': '${macOf(name)}', 'gate': ${i}}])
${name}_out::QueueOut(port=${name}.name, qid=0)
QueueInc(port=${name}.name, qid=0) -> fwd
fwd:${i} -> ${name}_out
flood:${i} -> ${name}_out`;
}).join('')}
fwd.add(entries=[{'addr': 'ff:ff:ff:ff:ff:ff', 'gate': ${PORTS.length}}])
fwd:${PORTS.length} -> flood
`;

/** Each NIC answers ARP only for its own address. */
const SET_UP = (names: readonly PortName[]): string => `
modprobe virtio_net
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
${names
  .map(
    (name, i) => `ip addr add ${addressOf(name)}/24 dev eth${i} noprefixroute
ip link set eth${i} up
ip route add ${NETWORK}0/24 dev eth${i} src ${addressOf(name)} table ${i + 1}
ip rule add from ${addressOf(name)} table ${i + 1}`,
  )
  .join('\n')}
ip route add ${NETWORK}0/24 dev eth0
`;

/** What passed a port. */
export interface Passed {
  /** Mean bytes of a packet as it came and as it left, before it was segmented for the port; 0 if there was none. */
  readonly inc: number;
  readonly out: number;
  /** Frames that the switch has cut from larger packets for the port. */
  readonly cut: number;
}

export class OffloadLab {
  readonly namespace = NetworkNamespace.create();
  private readonly directory = temporaryDirectory();
  private readonly children: Child[] = [];
  private readonly shells = new Map<PortName, LineShell>();
  private bess: Child | undefined;

  /** Starts the switch and the stations besides our endpoint; resolves when all have their addresses. */
  static async start(bytes: number): Promise<OffloadLab> {
    const lab = new OffloadLab();
    try {
      await lab.startSwitch(bytes);
      const guest1 = lab.boot(['guest1'], [`,mac=${macOf('guest1')}`]);
      const plain = PLAIN.map((name) => `,${name}=off`).join('');
      const macs = [`,mac=${macOf('guest2')},packed=on`, `,mac=${macOf('plain')}${plain}`];
      const guest2 = lab.boot(['guest2', 'plain'], macs);
      await Promise.all([guest1, guest2]);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  private async startSwitch(bytes: number): Promise<void> {
    const { namespace } = this;
    const file = join(this.directory.path, 'lab.bess');
    writeFileSync(file, script(this.directory.path));
    writeFileSync(this.content, patternBytes(0, bytes));
    this.bess = namespace.tspmd('switch', file);
    this.children.push(this.bess);
    await this.bess.waitFor(/^ready/m);
    namespace.ip('addr', 'add', `${addressOf('kernel')}/24`, 'dev', 'tap0');
    namespace.ip('link', 'set', 'tap0', 'up');
    this.shells.set('kernel', LineShell.inNamespace(namespace));
  }

  private async boot(names: readonly PortName[], options: readonly string[]): Promise<void> {
    const netdevs = names.map((name, i) => `vhost-user:${this.socket(name)}${options[i]}`);
    const machine = { mode: 'none', kernelDriver: true, netdevs, timeout: GUEST_TIMEOUT_S } as const;
    const shell = await LineShell.inGuest(machine, SET_UP(names));
    for (const name of names) this.shells.set(name, shell);
  }

  /** A file that every station but ours can read: the pattern of the app `http`. */
  get content(): string {
    return join(this.directory.path, 'content');
  }

  socket(name: PortName): string {
    return join(this.directory.path, name);
  }

  /** Starts our endpoint; resolves when it is ready. */
  async endpoint(...args: string[]): Promise<Child> {
    const device = ['--device', `vhost-user:${this.socket('ours')}`, '--mac', macOf('ours')];
    const child = this.namespace.tspmd('run', ...device, '--ip', `${addressOf('ours')}/24`, ...args);
    this.children.push(child);
    await child.waitFor(/^ready/m);
    return child;
  }

  /** Runs lines of shell at a station. */
  run(station: PortName, lines: string, seconds = TRANSFER_S): Promise<Finished> {
    return this.shells.get(station)!.run(lines, 1000 * seconds);
  }

  /** Starts a server at a station; resolves when it listens at its TCP port. {@link served} waits for its end. */
  private async serve(station: PortName, port: number, line: string): Promise<void> {
    const wait = `until ss -Hltn 'sport = :${port}' | grep -q .; do kill -0 $! || break; sleep 0.02; done`;
    await this.run(station, `(set -o pipefail; timeout -k 2 ${TRANSFER_S} ${line}) & ${wait}`);
  }

  private served(station: PortName): Promise<Finished> {
    return this.run(station, 'wait $!');
  }

  /**
   * Sends the content from one station to another by the kernel's TCP.
   * @throws Error (rejects) when a byte is different at the other end, missing or too many
   */
  async transfer(from: PortName, to: PortName): Promise<void> {
    await this.serve(to, 5001, `nc.openbsd -ld 5001 | cmp - ${this.content}`);
    const source = `-s ${addressOf(from)}`;
    const client = await this.run(
      from,
      `timeout ${TRANSFER_S} nc.openbsd -N ${source} ${addressOf(to)} 5001 <${this.content}`,
    );
    const server = await this.served(to);
    if (client.code !== 0 || server.code !== 0) throw new Error(`${from} to ${to}: ${client.output}${server.output}`);
  }

  /** Runs iperf3 for some seconds; returns the bytes that were received. */
  async iperf3(client: PortName, server: PortName, ...options: string[]): Promise<number> {
    await this.serve(server, 5201, 'iperf3 -s -1 >/dev/null');
    const line = `timeout ${TRANSFER_S} iperf3 -c ${addressOf(server)} -J ${options.join(' ')}`;
    const { code, stdout, output } = await this.run(client, line);
    await this.served(server);
    if (code !== 0) throw new Error(output);
    const report = JSON.parse(stdout) as { end: { sum_received: { bytes: number } } };
    return report.end.sum_received.bytes;
  }

  /** Runs something, and tells what passed each port meanwhile. */
  async passedDuring(act: () => Promise<unknown>): Promise<Record<PortName, Passed>> {
    const before = await this.switchStats();
    await act();
    const after = await this.switchStats();
    const mean = (name: PortName, way: 'inc' | 'out'): number => {
      const packets = after.ports[name]![way].packets - before.ports[name]![way].packets;
      const bytes = after.ports[name]![way].bytes - before.ports[name]![way].bytes;
      return packets === 0 ? 0 : bytes / packets;
    };
    const cut = ({ ports }: SwitchStats, name: PortName): number => ports[name]!.device.out_softwareSegments ?? 0;
    const passed = PORTS.map((name): [PortName, Passed] => [
      name,
      { inc: mean(name, 'inc'), out: mean(name, 'out'), cut: cut(after, name) - cut(before, name) },
    ]);
    return Object.fromEntries(passed) as Record<PortName, Passed>;
  }

  async switchStats(): Promise<SwitchStats> {
    const stats = this.namespace.tspmd('stats', String(this.bess?.pid), '--json');
    await stats.exited;
    return parseSwitchStats(stats.stdout);
  }

  /** What the switch wrote. */
  get switchOutput(): string {
    return this.bess?.output ?? '';
  }

  /** Stops all programs, those that were started last first, and removes namespace and folder. */
  async close(): Promise<void> {
    await Promise.allSettled([...new Set(this.shells.values())].map((shell) => shell.stop()));
    await Promise.allSettled(this.children.reverse().map((child) => child.stop()));
    this.namespace.remove();
    this.directory.remove();
  }
}
