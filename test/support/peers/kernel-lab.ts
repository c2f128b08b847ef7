/**
 * The Linux kernel as the peer of an endpoint: a network namespace, in it the switch with `bess/kernel.bess` between a
 * tap and one vhost-user port, and programs that use the kernel's TCP.
 */
import { join } from 'node:path';
import { Child } from '../../../scripts/child.js';
import { NetworkNamespace } from '../../../scripts/netns.js';
import { parseSwitchStats } from '../observe/switch-stats.js';
import { command, type Requirement, root, tun } from '../requirements.js';
import { temporaryDirectory } from '../resources.js';
import { Capture } from './capture.js';

/** The endpoint's address. */
export const OURS = '10.0.0.1';
/** Each endpoint has it: the kernel remembers the MAC address of the one before. */
const OUR_MAC = '52:54:00:00:00:01';
/** The kernel's address. */
export const KERNELS = '10.0.0.9';
const NETWORK = '10.0.0.0/24';
const TAP = 'tap0';
const TSPMD = Child.commandLine();

/** What a suite with this lab needs, besides the programs that it runs. */
export const TCP_PEERS: readonly Requirement[] = [root, tun, ...['ip', 'tcpdump', 'tshark'].map(command)];

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  /** stdout and stderr. */
  readonly output: string;
}

export interface ProgramOptions {
  /** Of `tspmd exec`. */
  readonly options?: readonly string[];
  /** Environment variables of the program. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What `ip -s -j link show` and `tspmd switch --stats --json` print, as far as the lab reads it. */
type LinkReport = readonly { readonly stats64: { readonly rx: { readonly dropped: number } } }[];
export class KernelLab {
  private readonly children: Child[] = [];
  private bess: Child | undefined;

  private constructor(
    readonly namespace: NetworkNamespace,
    private readonly directory: ReturnType<typeof temporaryDirectory>,
  ) {}

  /** Makes the namespace and starts the switch; resolves when the tap is up. */
  static async start(): Promise<KernelLab> {
    const lab = new KernelLab(NetworkNamespace.create(), temporaryDirectory());
    try {
      await lab.startSwitch();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** Starts the switch; resolves when the tap is up. */
  async startSwitch(): Promise<void> {
    const { namespace } = this;
    const bess = this.keep(namespace.tspmd('switch', 'kernel.bess', `VM_SOCKET=${this.socket}`, `TAP=${TAP}`));
    this.bess = bess;
    await bess.waitFor(/^ready/m);
    // No router solicitations: a capture has only what a test sends.
    await this.run(10, 'sh', '-c', `echo 1 >/proc/sys/net/ipv6/conf/${TAP}/disable_ipv6`);
    namespace.ip('addr', 'add', `${KERNELS}/24`, 'dev', TAP);
    namespace.ip('link', 'set', TAP, 'up');
    // Linux's own default: that of this machine may be another.
    namespace.ip('route', 'replace', NETWORK, 'dev', TAP, 'src', KERNELS, 'congctl', 'cubic');
    await bess.waitFor(/^port kernel: tap tap0 works now/m);
  }

  /** Kills the switch, and with it the tap. {@link startSwitch} makes the next one. */
  async stopSwitch(): Promise<void> {
    await this.bess?.stop('SIGKILL');
  }

  /** The path of a file in the folder of the lab. */
  file(name: string): string {
    return join(this.directory.path, name);
  }

  private get socket(): string {
    return this.file('vm.sock');
  }

  /** Options of `tspmd` for the endpoint's device and address. */
  get device(): string[] {
    return ['--device', `vhost-user:${this.socket}`, '--ip', `${OURS}/24`, '--mac', OUR_MAC, '--hugepages', 'never'];
  }

  /** Starts `tspmd run ARGS` at the port of the switch; resolves when it is ready. */
  async endpoint(...args: string[]): Promise<Child> {
    const child = this.start(...TSPMD, 'run', ...this.device, ...args);
    await child.waitFor(/^ready/m);
    return child;
  }

  /** Starts `tspmd exec -- PROGRAM` at the port of the switch; resolves when its output matches `ready`. */
  async program(
    ready: RegExp,
    program: readonly string[],
    { options = [], env = {} }: ProgramOptions = {},
  ): Promise<Child> {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const command = [...TSPMD, 'exec', ...this.device, ...options, '--', ...program];
    const child = this.start('env', ...variables, ...command);
    await child.waitFor(ready);
    return child;
  }

  /** Runs `tspmd COMMAND` at the port of the switch, as {@link run} does. */
  tspmd(seconds: number, name: string, ...args: string[]): Promise<Finished> {
    return this.run(seconds, ...TSPMD, name, ...this.device, ...args);
  }

  /** Resolves when a program of the namespace listens at a TCP port. */
  async untilListening(port: number): Promise<void> {
    const line = `for i in {1..500}; do ss -Hltn 'sport = :${port}' | grep -q . && exit; sleep 0.02; done; exit 1`;
    const { code } = await this.shell(15, line);
    if (code !== 0) throw new Error(`nothing listens at port ${port}`);
  }

  /** Starts a program in the namespace. {@link close} stops it. */
  start(program: string, ...args: string[]): Child {
    return this.keep(this.namespace.spawn(program, ...args));
  }

  /** Runs a program in the namespace. When it is not done after `seconds`, it and its children are ended (code 124). */
  async run(seconds: number, program: string, ...args: string[]): Promise<Finished> {
    const child = this.start('timeout', '-k', '2', String(seconds), program, ...args);
    const { code } = await child.exited;
    return { code, stdout: child.stdout, output: child.output };
  }

  /** Runs a line of shell in the namespace, as {@link run} does. */
  shell(seconds: number, line: string): Promise<Finished> {
    return this.run(seconds, 'bash', '-c', `set -o pipefail; ${line}`);
  }

  /** Starts to capture what passes the tap; resolves when no frame is missed any more. */
  capture(name: string, ...more: string[]): Promise<Capture> {
    return Capture.start(this.start.bind(this), TAP, this.file(`${name}.pcap`), more);
  }

  /** From now on the kernel sends to the tap as to a wire: with checksums, and segment by segment. */
  async endOffloads(): Promise<void> {
    const { code, output } = await this.run(10, 'ethtool', '-K', TAP, 'tx', 'off');
    if (code !== 0) throw new Error(`ethtool: ${output}`);
  }

  /** Frames to the kernel that the switch or the kernel's end of the tap has dropped so far. */
  async dropsToKernel(): Promise<number> {
    const [link] = JSON.parse(this.namespace.ip('-s', '-j', 'link', 'show', TAP)) as LinkReport;
    const { stdout } = await this.run(10, ...TSPMD, 'stats', String(this.bess?.pid), '--json');
    const { ports } = parseSwitchStats(stdout);
    return ports.kernel!.out.dropped + link!.stats64.rx.dropped;
  }

  private keep(child: Child): Child {
    this.children.push(child);
    return child;
  }

  /** Stops all programs, those that were started last first, and removes namespace and folder. */
  async close(): Promise<void> {
    const stops = this.children.reverse().map((child) => child.stop());
    await Promise.allSettled(stops);
    this.namespace.remove();
    this.directory.remove();
  }
}
