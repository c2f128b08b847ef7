/**
 * DPDK's way to move GSO packets: testpmd on virtio-user, through OVS-DPDK with `userspace-tso-enable`.
 *
 * Only the forward mode `csum` of testpmd asks for segmentation (`tso set`), and no mode makes TCP packets. So the packets
 * come from a pcap file once, and then go round: the mode `csum` sends them from one virtio-user port, OVS forwards them
 * to the other one, and the mode `csum` takes them there and sends them again. Nobody copies them but OVS.
 *
 * OVS offers TSO only to ports of type `dpdkvhostuserclient`, so that testpmd makes the sockets.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ovs } from '../../scripts/ovs.js';
import { type PortStats, Testpmd } from '../../scripts/testpmd.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages } from '../common/hugepages.js';
import { PausableProcesses } from '../common/windows.js';
import { PACKETS_UNDER_WAY } from './bulk-sender.js';
import { GSO_FRAME_BYTES, pcapOf, SEGMENT_BYTES, tcpFrame } from './frames.js';

/** The ports of testpmd: the file, and those on virtio-user. */
const [FILE, SENDER, RECEIVER] = [0, 1, 2];
/** More than the buffers of 2 KiB that all packets need: a packet that finds no room in a ring is lost for ever. */
const RING_ENTRIES = 1024;
/** How often the packets are put on their way before the switch is said to lose them. */
const INJECTIONS = 8;
/**
 * How long packets may take, in ms. On a busy machine, the threads that move them may get no CPU while testpmd answers
 * many questions about them.
 */
const PATIENCE_MS = 4_000;
const LOOK_MS = 20;

export class TestpmdOverOvs {
  readonly processes: PausableProcesses;

  private constructor(
    private readonly testpmd: Testpmd,
    private readonly ovs: Ovs,
    private readonly folder: string,
  ) {
    this.processes = new PausableProcesses([testpmd.child, ...ovs.children]);
  }

  /** Starts both, and puts the packets on their way. When it rejects, it has stopped both. */
  static async open(): Promise<TestpmdOverOvs> {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
    const { common, contestant } = benchCpus();
    const hugepages = hasHugepages();
    const sockets = ['sender', 'receiver'].map((name) => join(folder, name));
    const ports = sockets.map((connectTo, i) => ({ name: `vm${i}`, connectTo }));
    let ovs: Ovs | null = null;
    let testpmd: Testpmd | null = null;
    try {
      ovs = await Ovs.start({ folder, ports, cpu: common, hugepages, segments: true });
      ovs.addFlow(`in_port=${ovs.numberOf('vm0')}`, `output:${ovs.numberOf('vm1')}`);
      const file = join(folder, 'packets.pcap');
      writeFileSync(file, pcapOf(tcpFrame(GSO_FRAME_BYTES), PACKETS_UNDER_WAY));
      const virtio = sockets.map(
        (path, i) => `net_virtio_user${i},path=${path},server=1,mrg_rxbuf=1,in_order=0,queue_size=${RING_ENTRIES}`,
      );
      testpmd = Testpmd.devices([`net_pcap0,rx_pcap=${file}`, ...virtio], {
        ...{ forward: 'csum', cpu: contestant, hugepages, onDemand: true, autoStart: false },
        // Packets that wait in a ring when forwarding begins must stay there.
        args: ['--no-flush-rx', `--rxd=${RING_ENTRIES}`, `--txd=${RING_ENTRIES}`, `--portlist=${FILE},${SENDER}`],
      });
      await testpmd.prompted();
      await configure(testpmd);
      await untilSending(ovs);
      await inject(testpmd);
      return new TestpmdOverOvs(testpmd, ovs, folder);
    } catch (error) {
      await Promise.allSettled([testpmd?.child.stop(), ovs?.stop()]);
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Processes that spin. */
  get pids(): number[] {
    return [this.testpmd.child.pid, this.ovs.daemon.pid];
  }

  /** Returns the bytes per second that came through OVS in `seconds` from now on, by testpmd's count and clock. */
  async measure(wait: () => Promise<unknown>): Promise<number> {
    await this.testpmd.portStats(RECEIVER);
    await wait();
    const { rxRate } = await this.testpmd.portStats(RECEIVER);
    return rxRate * GSO_FRAME_BYTES;
  }

  async close(): Promise<void> {
    try {
      await this.processes.stop();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}

/** Turns the offloads of the ports on, and starts them. */
async function configure(testpmd: Testpmd): Promise<void> {
  for (const port of [SENDER, RECEIVER]) {
    for (const offload of ['tcp_lro', 'tcp_cksum'])
      await testpmd.command(`port config ${port} rx_offload ${offload} on`);
    for (const offload of ['tcp_tso', 'tcp_cksum', 'multi_segs']) {
      await testpmd.command(`port config ${port} tx_offload ${offload} on`);
    }
    await testpmd.command(`csum set tcp hw ${port}`);
    const answer = await testpmd.command(`tso set ${SEGMENT_BYTES} ${port}`);
    if (/not supported/.test(answer)) throw new Error(`OVS-DPDK does not offer TSO: ${answer.trim()}`);
  }
  const from = testpmd.child.output.length;
  const started = await testpmd.command('port start all');
  await testpmd.child.waitFor(/Done/, undefined, from);
  if (/[Ff]ail/.test(started)) throw new Error(`dpdk-testpmd cannot start its ports: ${started.trim()}`);
}

/** Resolves when OVS can send to the receiver's port: it drops frames before. */
async function untilSending({ daemon }: Ovs): Promise<void> {
  await daemon.waitFor(/State of queue 0 \( tx_qid 0 \) of vhost device '[^']*receiver' changed to 'enabled'/);
}

/**
 * Sends the packets of the file to the receiver's ring, and then lets them go round. OVS drops packets for a moment after
 * it has said that a port is enabled. Packets that are lost do not come back, so that they are sent again.
 */
async function inject(testpmd: Testpmd): Promise<void> {
  for (let injection = 1; ; injection++) {
    await testpmd.command('start');
    const expected = injection * PACKETS_UNDER_WAY;
    const { txPackets } = await statsWhen(testpmd, SENDER, (stats) => stats.txPackets >= expected);
    if (txPackets < expected) throw new Error(`dpdk-testpmd has sent ${txPackets} of ${expected} packets`);
    await testpmd.command('stop');
    await testpmd.command(`set portlist ${SENDER},${RECEIVER}`);
    await testpmd.command('start');
    const { rxPackets } = await statsWhen(testpmd, RECEIVER, (stats) => stats.rxPackets > PACKETS_UNDER_WAY);
    if (rxPackets > PACKETS_UNDER_WAY) return;
    if (injection === INJECTIONS) {
      throw new Error(`${rxPackets} of ${expected} packets came through OVS-DPDK, and none of them for a second time`);
    }
    await testpmd.command('stop');
    // A port that starts reads its file from the beginning.
    for (const line of [`port stop ${FILE}`, `port start ${FILE}`, `set portlist ${FILE},${SENDER}`]) {
      await testpmd.command(line);
    }
  }
}

/** Asks for statistics until they are as they shall be, or for as long as is sensible. Returns the last answer. */
async function statsWhen(testpmd: Testpmd, port: number, isDone: (stats: PortStats) => boolean): Promise<PortStats> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const stats = await testpmd.portStats(port);
    if (isDone(stats) || performance.now() > deadline) return stats;
    await sleep(LOOK_MS);
  }
}
