/**
 * The processes of a reliability test: a hub that carries frames (the embedded switch, or dpdk-testpmd between two sockets), and
 * endpoints behind it that exchange numbered packets. Each of them can be killed and started again.
 */
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SwitchStats } from '../../bess/stats.js';
import { Child } from '../../scripts/child.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { fetchSwitchStats } from '../support/observe/switch-stats.js';
import { temporaryDirectory } from '../support/resources.js';
import { EndpointControl } from './endpoint-control.js';
import { ipOf, macOf } from './numbered.js';
import { FAULTS, type PeerTallies, type Tallies } from './tallies.js';

/** Of the repository; this file runs from its source (in a test) and from its build. */
export const ROOT = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url));
const SCRIPT = join(ROOT, 'bess/forward_n.bess');
export const NUMBERED_APP = join(ROOT, 'dist/test/reliability/numbered.app.js');
const READY_MS = 30_000;
/** In testpmd's output: a frontend of ours is connected. */
const NEW_CONNECTION = /new vhost user connection/;
/** An endpoint's reasons to drop a frame that are no fault: its own broadcast that came back, and a link that was away. */
const HARMLESS = /^(rx_drop_own_source|tx_lost_|tx_drop_unresolved|tx_drop_park_full|tx_drop_ring_full|rx_lost_)/;

export type Hub = 'switch' | 'testpmd';

export interface TestbedOptions {
  readonly hub: Hub;
  /** How many ports there are for endpoints; not all need be used. */
  readonly endpoints: number;
}

export interface EndpointOptions {
  /** More arguments of `tspmd run`: the thread layout. */
  readonly args?: readonly string[];
  readonly flows?: number;
  readonly window?: number;
  /** Length of the link's prefix; default 24. */
  readonly prefix?: number;
  /** The endpoints that it asks; default: all others. */
  readonly peers?: readonly number[];
}

export class Testbed {
  private readonly directory = temporaryDirectory();
  private readonly processes = new Map<string, Child>();
  private readonly epochs = new Map<number, number>();
  private hubChild: Child | null = null;
  private readonly runtime = process.env.XDG_RUNTIME_DIR;

  private constructor(
    readonly options: TestbedOptions,
    readonly control: EndpointControl,
    private readonly controlPath: string,
  ) {}

  /** Starts the hub. There is no endpoint yet. */
  static async open(options: TestbedOptions): Promise<Testbed> {
    const control = temporaryDirectory();
    const path = join(control.path, 'control.sock');
    const testbed = new Testbed(options, await EndpointControl.listen(path), path);
    process.env.XDG_RUNTIME_DIR = testbed.folder;
    try {
      await testbed.startHub();
    } catch (error) {
      await testbed.close();
      throw error;
    }
    return testbed;
  }

  /** Numbers of the endpoints, from 1 on. */
  get numbers(): number[] {
    return Array.from({ length: this.options.endpoints }, (_, i) => i + 1);
  }

  /** Where the sockets of the ports are, and nothing else. */
  get folder(): string {
    return this.directory.path;
  }

  socketOf(endpoint: number): string {
    return join(this.folder, `vhost${endpoint}.sock`);
  }

  /** Names in the folder of the sockets. That of the switch's counters has its process in its name. */
  files(): string[] {
    return readdirSync(this.folder)
      .map((name) => name.replace(/-\d+\.sock$/, '-PID.sock'))
      .sort();
  }

  child(name: string): Child {
    const child = this.processes.get(name);
    if (child === undefined) throw new Error(`${name} does not run`);
    return child;
  }

  /** The process numbers of all that run, by name. */
  pids(): Map<string, number> {
    return new Map([...this.processes].filter(([, { isRunning }]) => isRunning).map(([name, { pid }]) => [name, pid]));
  }

  async startHub(): Promise<void> {
    if (this.options.hub === 'switch') {
      this.hubChild = Child.tspmd('switch', SCRIPT, `NPORTS=${this.options.endpoints}`, `DIR=${this.folder}`);
      this.processes.set('hub', this.hubChild);
      await this.hubChild.waitFor(/^ready/m, READY_MS);
      return;
    }
    // DPDK does not make a socket over one that was left behind.
    for (const endpoint of this.numbers) rmSync(this.socketOf(endpoint), { force: true });
    const sockets = this.numbers.map((endpoint) => this.socketOf(endpoint));
    const testpmd = Testpmd.wire(sockets, { forward: 'io' });
    this.hubChild = testpmd.child;
    this.processes.set('hub', this.hubChild);
    await testpmd.started();
    // DPDK's vhost library looks at a new socket after up to a second only: until then it is not back.
    if (this.running().length > 0) await this.hubChild.waitFor(NEW_CONNECTION, READY_MS);
  }

  /** Starts an endpoint, perhaps once more; resolves when its ready line says that packets can flow. */
  async startEndpoint(endpoint: number, options: EndpointOptions = {}): Promise<void> {
    const { args = [], flows = 4, window = 8, prefix = 24, peers = this.othersThan(endpoint) } = options;
    const epoch = (this.epochs.get(endpoint) ?? 0) + 1;
    this.epochs.set(endpoint, epoch);
    const child = Child.tspmd(
      ...['run', '--device', `vhost-user:${this.socketOf(endpoint)}`, '--ip', `${ipOf(endpoint)}/${prefix}`],
      ...['--mac', macOf(endpoint), '--app', NUMBERED_APP, ...args],
      ...['--app-option', `self=${endpoint}`, `epoch=${epoch}`, `peers=${peers.join('+')}`],
      ...[`flows=${flows}`, `window=${window}`, `control=${this.controlPath}`],
    );
    this.processes.set(`endpoint ${endpoint}`, child);
    await child.waitFor(/^ready/m, READY_MS);
    await this.control.joined(endpoint, epoch);
  }

  private othersThan(endpoint: number): number[] {
    return this.numbers.filter((other) => other !== endpoint);
  }

  /** The endpoints of this testbed that run. */
  running(): number[] {
    return this.numbers.filter((endpoint) => this.processes.get(`endpoint ${endpoint}`)?.isRunning);
  }

  async end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.child(name);
    if (signal === 'SIGTERM') {
      const exit = await child.stop();
      if (exit.code !== 0) throw new Error(`${name} ended with ${exit.code ?? exit.signal}:\n${child.output}`);
      return;
    }
    child.signal('SIGKILL');
    await child.exited;
  }

  switchStats(): Promise<SwitchStats> {
    return fetchSwitchStats(this.child('hub').pid);
  }

  /** Tallies of each pair of endpoints, of all that run: `1>2` is what 1 asked of 2. */
  async pairs(): Promise<Map<string, PeerTallies>> {
    const pairs = new Map<string, PeerTallies>();
    for (const endpoint of this.running()) {
      const { peers } = await this.control.report(endpoint);
      for (const [peer, tallies] of Object.entries(peers)) pairs.set(`${endpoint}>${peer}`, tallies);
    }
    return pairs;
  }

  /** Stops an endpoint by SIGTERM. Returns what is wrong in its output or its tallies, one line each. */
  async dismiss(endpoint: number): Promise<string[]> {
    const name = `endpoint ${endpoint}`;
    const { tallies } = await this.control.report(endpoint);
    await this.end(name, 'SIGTERM');
    const strange = [...this.dropsOf(endpoint)].filter(([reason]) => !HARMLESS.test(reason));
    return [...faultsOf(name, tallies), ...strange.map(([reason, count]) => `${name}: ${reason} ${count}`)];
  }

  /** What an endpoint that has ended by SIGTERM dropped, by reason. */
  dropsOf(endpoint: number): Map<string, number> {
    const drops = /^stopped: .*; dropped \d+ \((.*)\)$/m.exec(this.child(`endpoint ${endpoint}`).stdout)?.[1] ?? '';
    return new Map([...drops.matchAll(/(\w+) (\d+)/g)].map(([, reason = '', count]) => [reason, Number(count)]));
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.processes.values()].reverse().map((child) => child.stop()));
    await this.control.close();
    if (this.runtime === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = this.runtime;
    rmSync(dirname(this.controlPath), { recursive: true, force: true });
    this.directory.remove();
  }
}

/** The faults among an endpoint's tallies, one line each. */
export function faultsOf(name: string, tallies: Tallies): string[] {
  return FAULTS.filter((fault) => tallies[fault] > 0).map((fault) => `${name}: ${tallies[fault]} ${fault}`);
}

/** The faults among a switch's counters, one line each. The port of a hostile neighbour may count what the neighbour does. */
export function switchFaultsOf({ summary, ports }: SwitchStats, hostilePort?: string): string[] {
  const { received, generated, copied, cut, forwarded, dropped } = summary;
  const lines: string[] = [];
  if (received + generated + copied + cut !== forwarded + dropped.total) {
    lines.push(`switch: ${received} + ${generated} + ${copied} + ${cut} is not ${forwarded} + ${dropped.total}`);
  }
  for (const [name, { device }] of Object.entries(ports)) {
    if (name === hostilePort) continue;
    for (const [counter, count] of Object.entries(device)) {
      if (/^(in|out)_(bad|too|small)/.test(counter)) lines.push(`switch: port ${name}: ${counter} ${count}`);
    }
  }
  return lines;
}
