/**
 * Two endpoints that exchange numbered packets on the switch, and a third port for a hostile neighbour. What the neighbour may not
 * cost the others is checked here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isPlain } from '../../drivers/log/safe-text.js';
import { Child } from '../../scripts/child.js';
import { isInstalled } from '../../scripts/programs.js';
import { MODES, type Mode } from '../support/threads/modes.js';
import { EVENTFD_KINDS } from './hostile-eventfds.js';
import { MESSAGE_KINDS, SEND_LINGERING_SOCKETS } from './hostile-messages.js';
import { type AddressSpace, openDescriptors, readAddressSpace } from './process-resources.js';
import { faultsOf, switchFaultsOf, Testbed } from './testbed.js';

/** Needs python3. */
export const LINGERING_KIND = 'sends sockets whose close hangs';
/** Kinds of neighbours. Rates are compared with those beside the first one, because a machine with two CPUs has none to spare. */
export const HOSTILE_KINDS = [
  'burns',
  'floods one',
  'floods all',
  'floods nobody',
  'kicks without end',
  'never reads',
  'fills the log',
  ...EVENTFD_KINDS,
  ...MESSAGE_KINDS,
  LINGERING_KIND,
] as const;
/** Kinds that take the places in the endpoints' tables and queues. Nobody else may lose a packet, in any thread layout. */
export const ADDRESS_INVENTORS = ['pings from invented addresses', 'asks from invented addresses'] as const;
export type HostileKind = (typeof HOSTILE_KINDS | typeof ADDRESS_INVENTORS)[number];

/** Whether an endpoint's ring may be full for what a neighbour of this kind sends: then requests of the others are lost as well. */
export const floodsObservers = (kind: HostileKind): boolean => kind === 'floods one' || kind === 'floods all';

/** What this machine lacks for a neighbour of this kind, and what to do about it; null: nothing. */
export const missingFor = (kind: HostileKind): string | null =>
  kind === LINGERING_KIND && !isInstalled('python3') ? "needs python3; run 'npm run setup:peers' as root" : null;

const HOSTILE = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts')
      ? '../../dist/test/reliability/hostile-neighbour.main.js'
      : 'hostile-neighbour.main.js',
    import.meta.url,
  ),
);
/** How long to wait for late answers, on a machine that is busy. */
const LATE_MS = 5000;
const LOOK_MS = 50;
const SETTLE_MS = 200;
/** How long a neighbour may take to begin, on a machine that is busy. */
const READY_MS = 30_000;
/** An endpoint's reasons to drop a packet for a core that does not keep up. */
const QUEUE_FULL = /^rx_drop_(queue_full|core_share)$/;
/** Of the link: it has more addresses than any table has places. */
const PREFIX = 16;
/** Characters that three ports may write to the log in ten seconds: four kinds of lines, 21 of each, of at most 400 characters. */
const MAX_LOG = 3 * 4 * 21 * 400;
const LOG_MS = 10_000;
/** What the switch may have more of after its neighbours: threads that close descriptors, windows for big memories, V8's heap. */
const FDS_SLACK = 64;
const GIB_SLACK = 64;
const MAPPINGS_SLACK = 1000;

export class IsolationTestbed {
  private readonly openedAt = performance.now();
  private readonly fdsAtFirst: number;
  private readonly addressSpaceAtFirst: AddressSpace;

  private constructor(readonly testbed: Testbed) {
    this.fdsAtFirst = openDescriptors(this.switchPid);
    this.addressSpaceAtFirst = readAddressSpace(this.switchPid);
  }

  /** Starts the switch and endpoints 1 and 2, which ask each other. */
  static async open(mode: Mode = 'single'): Promise<IsolationTestbed> {
    const testbed = await Testbed.open({ hub: 'switch', endpoints: 3 });
    const options = { args: MODES[mode], prefix: PREFIX };
    try {
      await testbed.startEndpoint(1, { ...options, peers: [2] });
      await testbed.startEndpoint(2, { ...options, peers: [1] });
    } catch (error) {
      await testbed.close();
      throw error;
    }
    return new IsolationTestbed(testbed);
  }

  /** Starts a neighbour on port 3; resolves when it has begun. The caller stops it. */
  async invite(kind: HostileKind): Promise<Child> {
    const socket = this.testbed.socketOf(3);
    const child =
      kind === LINGERING_KIND
        ? Child.spawn('python3', ['-c', SEND_LINGERING_SOCKETS, socket])
        : Child.spawn(process.execPath, [HOSTILE, socket, kind]);
    try {
      await child.waitFor(/^ready/m, READY_MS);
    } catch (error) {
      child.signal('SIGKILL');
      throw error;
    }
    return child;
  }

  /** The tallies of both endpoints together. */
  async totals(): Promise<{ answered: number; missing: number; waiting: number }> {
    const pairs = [...(await this.testbed.pairs()).values()];
    const sum = (name: 'answered' | 'missing' | 'waiting'): number =>
      pairs.reduce((total, pair) => total + pair[name], 0);
    return { answered: sum('answered'), missing: sum('missing'), waiting: sum('waiting') };
  }

  /** Packets that found no room in the ring of endpoint 1 or 2: its process had no CPU for as long as the ring takes to fill. */
  async ringsFull(): Promise<number> {
    const { ports } = await this.testbed.switchStats();
    return ['vm1', 'vm2'].reduce((sum, name) => sum + ports[name]!.out.dropped, 0);
  }

  /**
   * Runs a neighbour for a while. Returns the answers per second, the requests that were lost from its first frame on, and how many
   * packets found a full ring, which happens where processes wait for a CPU. No traffic may flow before; none flows afterwards.
   */
  async endure(kind: HostileKind, ms: number): Promise<{ rate: number; lost: number; full: number }> {
    const { control } = this.testbed;
    const { missing } = await this.totals();
    const fullBefore = await this.ringsFull();
    let rate = 0;
    control.go();
    const neighbour = await this.invite(kind);
    try {
      await sleep(SETTLE_MS);
      const start = performance.now();
      const before = await this.totals();
      await sleep(ms);
      const after = await this.totals();
      rate = (1000 * (after.answered - before.answered)) / (performance.now() - start);
    } finally {
      await neighbour.stop();
    }
    control.pause();
    // What is under way is answered or given up first. What is given up may still be answered: late is not lost.
    let now = await this.totals();
    const end = performance.now() + LATE_MS;
    while ((now.waiting > 0 || now.missing > missing) && performance.now() < end) {
      await sleep(LOOK_MS);
      now = await this.totals();
    }
    return { rate, lost: now.missing + now.waiting - missing, full: (await this.ringsFull()) - fullBefore };
  }

  /** What was wrong, one line each. No neighbour may be on the third port. */
  async violations(): Promise<string[]> {
    const lines = [...switchFaultsOf(await this.testbed.switchStats(), 'vm3'), ...(await this.leaks())];
    for (const endpoint of [1, 2]) {
      lines.push(...faultsOf(`endpoint ${endpoint}`, (await this.testbed.control.report(endpoint)).tallies));
    }
    const { output } = this.testbed.child('hub');
    const most = MAX_LOG * Math.ceil((performance.now() - this.openedAt) / LOG_MS);
    if (output.length > most) lines.push(`switch: wrote ${output.length} characters of log; ${most} are enough`);
    const strange = output.split('\n').find((line) => !isPlain(line) || line.startsWith('port vm2: forged'));
    if (strange !== undefined) lines.push(`switch: wrote a line that is not its own: ${JSON.stringify(strange)}`);
    return lines;
  }

  /**
   * Ends the endpoints. Returns how many packets found no room in the queue of a core: its thread had no CPU for as long as the
   * queue takes to fill.
   */
  async queuesFull(): Promise<number> {
    let full = 0;
    for (const endpoint of [1, 2]) {
      await this.testbed.end(`endpoint ${endpoint}`, 'SIGTERM');
      for (const [reason, count] of this.testbed.dropsOf(endpoint)) if (QUEUE_FULL.test(reason)) full += count;
    }
    return full;
  }

  async close(): Promise<void> {
    await this.testbed.close();
  }

  private get switchPid(): number {
    return this.testbed.child('hub').pid;
  }

  /** What the switch still has of neighbours that are gone, one line each. Descriptors may take a while to be closed. */
  private async leaks(): Promise<string[]> {
    const { switchPid, fdsAtFirst, addressSpaceAtFirst } = this;
    const end = performance.now() + LATE_MS;
    while (openDescriptors(switchPid) > fdsAtFirst + FDS_SLACK && performance.now() < end) await sleep(LOOK_MS);
    const lines: string[] = [];
    const fds = openDescriptors(switchPid);
    if (fds > fdsAtFirst + FDS_SLACK) lines.push(`switch: ${fdsAtFirst} -> ${fds} descriptors`);
    const { gib, mappings } = readAddressSpace(switchPid);
    if (gib > addressSpaceAtFirst.gib + GIB_SLACK) {
      lines.push(`switch: ${addressSpaceAtFirst.gib} -> ${gib} GiB of address space`);
    }
    if (mappings > addressSpaceAtFirst.mappings + MAPPINGS_SLACK) {
      lines.push(`switch: ${addressSpaceAtFirst.mappings} -> ${mappings} mappings`);
    }
    return lines;
  }
}
