/**
 * A guest whose kernel is the TCP peer, behind a path with loss and delay. The programs of the guest run in a network
 * namespace, whose veth is bridged to the guest's NIC. So netem stands in both directions in the guest's root namespace:
 * on the NIC towards us, on the veth towards the peer.
 */

import type { Finished } from './kernel-lab.js';
import { LineShell } from './line-shell.js';

/** MAC address of the guest's NIC. Frames of the peer have the peer's. */
const NIC_MAC = '52:54:00:00:00:aa';

/**
 * Without gso_max_segs, netem would drop or delay up to 44 segments at once. GRO would join segments, too, and it
 * verifies checksums: what netem corrupts later would count as intact. The bridge must not learn from the NIC, because a
 * switch may send the peer's own broadcasts back.
 */
const SET_UP = (address: string, mac: string): string => `
modprobe -a virtio_net veth bridge sch_netem af_packet
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip netns add peer
ip link add inner address ${mac} netns peer type veth peer name outer
ip link add wire type bridge
ethtool -K eth0 gro off
ip link set eth0 master wire up
echo 0 >/sys/class/net/eth0/brport/learning
ip link set outer master wire up
ip link set wire up
ip -n peer link set lo up
ip -n peer link set inner gso_max_segs 1 up
ip -n peer addr add ${address}/24 dev inner
`;

export interface NetemGuestOptions {
  /** Socket of the switch's port. */
  readonly socket: string;
  /** Address and MAC address of the peer. */
  readonly address: string;
  readonly mac: string;
  /** Seconds that the guest may live. */
  readonly timeout: number;
}

export class NetemGuest {
  private constructor(private readonly shell: LineShell) {}

  /** Boots the guest; resolves when the peer has its address. */
  static async start({ socket, address, mac, timeout }: NetemGuestOptions): Promise<NetemGuest> {
    const netdevs = [`vhost-user:${socket},mac=${NIC_MAC}`];
    const machine = { mode: 'none', kernelDriver: true, netdevs, timeout } as const;
    return new NetemGuest(await LineShell.inGuest(machine, SET_UP(address, mac)));
  }

  /** Sets what the path does in each direction, in netem's words; see tc-netem(8). */
  async path(towardsUs: string, towardsPeer: string): Promise<void> {
    const set = (device: string, netem: string): string =>
      `tc qdisc del dev ${device} root 2>/dev/null; tc qdisc add dev ${device} root netem ${netem.includes('limit') ? '' : 'limit 10000'} ${netem}`;
    const { code, output } = await this.shell.run(`${set('eth0', towardsUs)} && ${set('outer', towardsPeer)}`, 10_000);
    if (code !== 0) throw new Error(`tc: ${output}`);
  }

  /** Sets a value of the peer's TCP below /proc/sys/net/ipv4. */
  async set(name: string, value: number): Promise<void> {
    const { code, output } = await this.peer(`echo ${value} >/proc/sys/net/ipv4/${name}`, 10_000);
    if (code !== 0) throw new Error(output);
  }

  /** Runs a line of shell in the peer's namespace. */
  peer(line: string, timeoutMs: number): Promise<Finished> {
    const seconds = Math.ceil(timeoutMs / 1000);
    const quoted = `set -o pipefail; ${line}`.replaceAll("'", "'\\''");
    return this.shell.run(
      `ip netns exec peer timeout -k 2 ${seconds} bash -c '${quoted}' </dev/null`,
      timeoutMs + 5000,
    );
  }

  async stop(): Promise<void> {
    await this.shell.stop();
  }
}
