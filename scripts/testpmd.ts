/**
 * dpdk-testpmd as a peer: DPDK's virtio driver (frontend) or its vhost library (backend) behind a vhost-user socket.
 *
 * It needs no hugepages and no PCI device. Its two logical cores share one CPU, so that a machine of two CPUs has one
 * left.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.js';

export type ForwardMode = 'io' | 'mac' | 'macswap' | 'flowgen' | 'txonly' | 'rxonly' | 'icmpecho' | '5tswap' | 'csum';

export interface TestpmdOptions {
  readonly forward: ForwardMode;
  /** Number of queue pairs. Default 1. */
  readonly queues?: number;
  /** More options of the virtual device, such as `mrg_rxbuf=0,packed_vq=1`. */
  readonly device?: string;
  /** More arguments of testpmd, such as `--txpkts=64,100`. */
  readonly args?: readonly string[];
  /** CPU of its two logical cores. Default 0. */
  readonly cpu?: number;
  /** Whether testpmd takes its memory from hugepages of 2 MiB. It needs 32. Default false. */
  readonly hugepages?: boolean;
  /** Whether testpmd prints statistics only when {@link Testpmd.portStats} asks for them, not every second. */
  readonly onDemand?: boolean;
  /** Whether testpmd starts its ports and forwards at once. Default true. With false, {@link Testpmd.command} must do it. */
  readonly autoStart?: boolean;
}

/** Statistics of one port of testpmd. */
export interface PortStats {
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Packets per second since the last question, by the clock of testpmd. */
  readonly rxRate: number;
  readonly txRate: number;
}

/** Totals of testpmd from its start to its stop. */
export interface ForwardTotals {
  readonly rxPackets: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txDropped: number;
}

/** Packets per second, as testpmd prints them every second. */
export interface Rates {
  readonly rx: number;
  readonly tx: number;
}

/** How long testpmd may take to answer a command, in ms. */
const ANSWER_MS = 15_000;

/** testpmd writes this when it waits for a command. */
const PROMPT = /testpmd> $/;

/** testpmd writes this when it forwards. */
export const STARTED = /[Ss]tart (?:automatic )?packet forwarding[\s\S]*packets\/burst/;

/** Returns a shell command that runs testpmd on a PCI device that is bound to vfio-pci. The machine needs hugepages. */
export function onPci(address: string, forward: ForwardMode): string {
  const eal = ['--lcores', '0@0,1@0', '-a', address, '--no-telemetry', '--in-memory', '-m', '64'];
  return ['stdbuf', '-oL', 'dpdk-testpmd', ...eal, '--', ...appArgs(forward), ...EACH_SECOND].join(' ');
}

const EACH_SECOND = ['--stats-period', '1'];

function appArgs(forward: ForwardMode, autoStart = true): string[] {
  const start = autoStart ? '--auto-start' : '--disable-device-start';
  return ['--total-num-mbufs=4096', `--forward-mode=${forward}`, start];
}

export class Testpmd {
  readonly child: Child;
  /** Folder for DPDK's runtime files, which DPDK does not remove. */
  private readonly runtime = mkdtempSync(join(tmpdir(), 'tspmd-dpdk-'));
  private readonly onDemand: boolean;

  private constructor(devices: readonly string[], options: TestpmdOptions) {
    const { forward, queues = 1, args = [], cpu = 0, hugepages = false, onDemand = false } = options;
    this.onDemand = onDemand;
    // Without --single-file-segments the peer would get more memory regions than vhost-user allows.
    const memory = hugepages ? ['--in-memory', '--single-file-segments', '-m', '64'] : ['--no-huge', '-m', '256'];
    const cores = ['--lcores', `0@${cpu},1@${cpu}`];
    const vdevs = devices.flatMap((device) => ['--vdev', device]);
    const eal = [...cores, '--no-pci', '--no-telemetry', ...memory, ...vdevs];
    const statistics = onDemand ? ['--interactive'] : EACH_SECOND;
    const perQueue = queues > 1 ? [`--rxq=${queues}`, `--txq=${queues}`] : [];
    const all = [
      '-oL',
      'dpdk-testpmd',
      ...eal,
      '--',
      ...appArgs(forward, options.autoStart),
      ...statistics,
      ...perQueue,
      ...args,
    ];
    this.child = Child.spawn('stdbuf', all, { ...process.env, RUNTIME_DIRECTORY: this.runtime });
    void this.child.exited.then(() => rmSync(this.runtime, { recursive: true, force: true }));
  }

  /** Starts testpmd as a frontend, which connects to the socket of a backend. */
  static frontend(socket: string, options: TestpmdOptions): Testpmd {
    return new Testpmd([device(`net_virtio_user0,path=${socket}`, options)], options);
  }

  /** Starts testpmd as a backend, which creates the socket. */
  static backend(socket: string, options: TestpmdOptions): Testpmd {
    return new Testpmd([device(`net_vhost0,iface=${socket}`, options)], options);
  }

  /**
   * Starts testpmd as the backend of several sockets. With two sockets, the forward mode `io` moves packets between
   * them.
   */
  static wire(sockets: readonly string[], options: TestpmdOptions): Testpmd {
    return new Testpmd(
      sockets.map((socket, i) => device(`net_vhost${i},iface=${socket}`, options)),
      options,
    );
  }

  /** Starts testpmd with virtual devices as DPDK names them, such as `net_pcap0,rx_pcap=FILE`. They are ports 0, 1, …. */
  static devices(vdevs: readonly string[], options: TestpmdOptions): Testpmd {
    return new Testpmd(vdevs, options);
  }

  /** Resolves when testpmd forwards. Rejects with its output when it ends before. */
  async started(): Promise<void> {
    await this.child.waitFor(STARTED);
  }

  /** Returns the rates that testpmd has printed, oldest first. */
  rates(): Rates[] {
    const found = this.child.stdout.matchAll(/Rx-pps:\s+(\d+)[\s\S]*?Tx-pps:\s+(\d+)/g);
    return [...found].map(([, rx, tx]) => ({ rx: Number(rx), tx: Number(tx) }));
  }

  /** Resolves when testpmd waits for the first command. Requires the option `onDemand`. */
  async prompted(): Promise<void> {
    await this.child.waitFor(PROMPT, ANSWER_MS);
  }

  /**
   * Types a command. Requires the option `onDemand`.
   * @returns what testpmd wrote until it waited for the next command
   */
  async command(line: string): Promise<string> {
    const from = this.child.output.length;
    this.child.write(`${line}\n`);
    await this.child.waitFor(PROMPT, ANSWER_MS, from);
    return this.child.output.slice(from);
  }

  /** Asks for the statistics of a port. Requires the option `onDemand`. */
  async portStats(port = 0): Promise<PortStats> {
    const from = this.child.output.length;
    this.child.write(`show port stats ${port}\n`);
    const names = ['RX-packets', 'TX-packets', 'Rx-pps', 'Tx-pps'];
    const pattern = new RegExp(
      names
        .map((name) => `${name}:\\s+(\\d+)`)
        .join('[\\s\\S]*?')
        .concat('\\s+Tx-bps'),
    );
    const [, ...found] = await this.child.waitFor(pattern, ANSWER_MS, from);
    const [rxPackets, txPackets, rxRate, txRate] = found.map(Number) as [number, number, number, number];
    return { rxPackets, txPackets, rxRate, txRate };
  }

  /**
   * Lets the forward mode `csum` send all TCP packets that are longer than a segment as packets to be segmented by the
   * device, in segments of `bytes` payload. Requires the option `onDemand`. Rejects when the device of port 0 cannot.
   */
  async segment(bytes: number): Promise<void> {
    const from = this.child.output.length;
    for (const line of ['stop', 'port stop 0', `tso set ${bytes} 0`, 'port start 0', 'start'])
      this.child.write(`${line}\n`);
    const [found] = await this.child.waitFor(
      /TSO is not supported|[Ss]tart(?!ing)[\s\S]*packets\/burst/,
      ANSWER_MS,
      from,
    );
    if (/not supported/.test(found)) throw new Error(`dpdk-testpmd: ${found} by its device:\n${this.child.output}`);
  }

  /**
   * Ends testpmd without reading its totals. With `onDemand` it is told to quit first, because it sometimes misses
   * signals.
   */
  async quit(): Promise<void> {
    if (this.onDemand && this.child.isRunning) {
      this.child.write('quit\n');
      await this.child.waitFor(/^Bye\.\.\./m, ANSWER_MS);
    }
    await this.child.stop();
  }

  /** Stops testpmd. Returns its totals over all ports; throws when it printed no totals, or did not end. */
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
