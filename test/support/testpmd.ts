/**
 * dpdk-testpmd as a peer: DPDK's own virtio driver (frontend) or vhost library (backend) behind a vhost-user socket.
 *
 * It needs no hugepages and no PCI device. Its two logical cores share one CPU, so that a machine of two has one left.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../scripts/child.js';
import { command, type Requirement } from './requirements.js';

/** For `describeWith`. */
export const testpmd: Requirement = command('dpdk-testpmd');

export type ForwardMode = 'io' | 'mac' | 'macswap' | 'flowgen' | 'txonly' | 'rxonly' | 'icmpecho' | '5tswap';

export interface TestpmdOptions {
  readonly forward: ForwardMode;
  /** Queue pairs; 1 by default. */
  readonly queues?: number;
  /** Added to the virtual device: `mrg_rxbuf=0,packed_vq=1`. */
  readonly device?: string;
  /** Added to testpmd's own arguments: `--txpkts=64,100`. */
  readonly args?: readonly string[];
}

/** What testpmd forwarded from its start to its stop. */
export interface ForwardTotals {
  readonly rxPackets: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txDropped: number;
}

/** Packets a second, as testpmd prints them each second. */
export interface Rates {
  readonly rx: number;
  readonly tx: number;
}

export class Testpmd {
  readonly child: Child;
  /** DPDK's runtime files; it leaves them behind. */
  private readonly runtime = mkdtempSync(join(tmpdir(), 'tspmd-dpdk-'));

  private constructor(device: string, options: TestpmdOptions) {
    const { forward, queues = 1, args = [] } = options;
    const eal = ['--lcores', '0@0,1@0', '--no-pci', '--no-telemetry', '--no-huge', '-m', '256', '--vdev', device];
    const app = ['--total-num-mbufs=4096', `--forward-mode=${forward}`, '--auto-start', '--stats-period', '1'];
    const perQueue = queues > 1 ? [`--rxq=${queues}`, `--txq=${queues}`] : [];
    const all = ['-oL', 'dpdk-testpmd', ...eal, '--', ...app, ...perQueue, ...args];
    this.child = Child.spawn('stdbuf', all, { ...process.env, RUNTIME_DIRECTORY: this.runtime });
    void this.child.exited.then(() => rmSync(this.runtime, { recursive: true, force: true }));
  }

  /** The driver's side: connects to the backend's socket. */
  static frontend(socket: string, options: TestpmdOptions): Testpmd {
    return new Testpmd(device(`net_virtio_user0,path=${socket}`, options), options);
  }

  /** The device's side: creates the socket. */
  static backend(socket: string, options: TestpmdOptions): Testpmd {
    return new Testpmd(device(`net_vhost0,iface=${socket}`, options), options);
  }

  /** Resolves when testpmd forwards; rejects with its output when it ends before. */
  async started(): Promise<void> {
    await this.child.waitFor(/start packet forwarding[\s\S]*packets\/burst/);
  }

  /** The rates printed so far, the oldest first. */
  rates(): Rates[] {
    const found = this.child.stdout.matchAll(/Rx-pps:\s+(\d+)[\s\S]*?Tx-pps:\s+(\d+)/g);
    return [...found].map(([, rx, tx]) => ({ rx: Number(rx), tx: Number(tx) }));
  }

  /** Stops testpmd; returns its totals over all ports. Throws when it printed none, or did not end. */
  async stop(): Promise<ForwardTotals> {
    await this.child.stop();
    const rx = 'RX-packets:\\s+(\\d+)\\s+RX-dropped:\\s+(\\d+)';
    const tx = 'TX-packets:\\s+(\\d+)\\s+TX-dropped:\\s+(\\d+)';
    const match = this.child.stdout.match(new RegExp(`Accumulated forward statistics.*\\s+${rx}.*\\s+${tx}`));
    if (!match) throw new Error(`dpdk-testpmd printed no totals:\n${this.child.output}`);
    const [rxPackets, rxDropped, txPackets, txDropped] = match.slice(1).map(Number) as [number, number, number, number];
    return { rxPackets, rxDropped, txPackets, txDropped };
  }
}

function device(name: string, { queues = 1, device: more }: TestpmdOptions): string {
  return `${name},queues=${queues}${more ? `,${more}` : ''}`;
}
