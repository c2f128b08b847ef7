/**
 * What a hostile neighbour costs the others on the switch: two endpoints exchange numbered packets, alone with one that only
 * takes a CPU, and then with each kind of one that does what it can on its port.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isPlain } from '../../drivers/log/safe-text.js';
import { Child } from '../../scripts/child.js';
import { ALL_MODES, MODES, type Mode } from '../support/threads/modes.js';
import { EVENTFD_HOSTILITIES } from './hostile-eventfds.js';
import { spread, thousands } from './report.js';
import { faultsOf, Scene, switchFaultsOf } from './scene.js';

/** Kinds of neighbours. The first is the one to compare with: machines of two CPUs have none to spare. */
export const HOSTILITIES = [
  'burns',
  'floods one',
  'floods all',
  'floods nobody',
  'kicks without end',
  'never reads',
  'fills the log',
  ...EVENTFD_HOSTILITIES,
] as const;
/** Kinds that are after the places in the endpoints' tables and queues. Nobody else may lose a packet, in no thread layout. */
export const INVENTORS = ['pings from invented addresses', 'asks from invented addresses'] as const;
export type Hostility = (typeof HOSTILITIES | typeof INVENTORS)[number];

const HOSTILE = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../dist/test/reliability/hostile.main.js' : 'hostile.main.js',
    import.meta.url,
  ),
);
const WINDOW_MS = 1000;
const TURNS = 5;
const SETTLE_MS = 200;
/** Longer than what nobody answers for is asked for, and than what was heard once is believed. */
const INVENTING_MS = 40_000;
/** For answers that are late, on a machine that is busy. */
const LATE_MS = 10_000;
const LOOK_MS = 50;
/** Wide enough for more strangers than any table holds. */
const PREFIX = 16;
/** What three ports may have in the log in ten seconds: some kinds of lines, so many of each, none of them longer. */
const MAX_LOG = 3 * 4 * 21 * 400;
const LOG_MS = 10_000;

export class IsolationScene {
  private readonly openedAt = performance.now();

  private constructor(readonly scene: Scene) {}

  /** Endpoints 1 and 2, that ask each other. */
  static async open(mode: Mode = 'single'): Promise<IsolationScene> {
    const scene = await Scene.open({ hub: 'switch', endpoints: 3 });
    const options = { args: MODES[mode], prefix: PREFIX };
    try {
      await scene.startEndpoint(1, { ...options, peers: [2] });
      await scene.startEndpoint(2, { ...options, peers: [1] });
    } catch (error) {
      await scene.close();
      throw error;
    }
    return new IsolationScene(scene);
  }

  /** Resolves when the neighbour has begun; the caller stops it. */
  async invite(kind: Hostility): Promise<Child> {
    const child = Child.spawn(process.execPath, [HOSTILE, this.scene.socketOf(3), kind]);
    await child.waitFor(/^ready/m);
    return child;
  }

  /** Of both endpoints together. */
  async totals(): Promise<{ answered: number; missing: number; waiting: number }> {
    const pairs = [...(await this.scene.pairs()).values()];
    const sum = (name: 'answered' | 'missing' | 'waiting'): number =>
      pairs.reduce((total, pair) => total + pair[name], 0);
    return { answered: sum('answered'), missing: sum('missing'), waiting: sum('waiting') };
  }

  /** Packets that found no room in the ring of endpoint 1 or 2: its process had no CPU for as long as the ring takes to fill. */
  private async ringsFull(): Promise<number> {
    const { ports } = await this.scene.switchStats();
    return ['vm1', 'vm2'].reduce((sum, name) => sum + ports[name]!.out.dropped, 0);
  }

  /**
   * What is answered beside a neighbour for a while, and what is lost from its first frame on; of that, at most `full` found a
   * full ring, which happens where processes wait for a CPU. Begins and ends at rest.
   */
  async endure(kind: Hostility, ms: number): Promise<{ answered: number; lost: number; full: number }> {
    const { conductor } = this.scene;
    const before = await this.totals();
    const fullBefore = await this.ringsFull();
    conductor.go();
    const neighbour = await this.invite(kind);
    try {
      await sleep(ms);
    } finally {
      await neighbour.stop();
    }
    conductor.pause();
    // First all that is under way is answered or given up; then what is given up may still be answered: late is not lost.
    let after = await this.totals();
    const end = performance.now() + LATE_MS;
    while ((after.waiting > 0 || after.missing > before.missing) && performance.now() < end) {
      await sleep(LOOK_MS);
      after = await this.totals();
    }
    const full = (await this.ringsFull()) - fullBefore;
    return { answered: after.answered - before.answered, lost: after.missing + after.waiting - before.missing, full };
  }

  /** What must not have been, a line each. */
  async violations(): Promise<string[]> {
    const lines = switchFaultsOf(await this.scene.switchStats());
    for (const endpoint of [1, 2]) {
      lines.push(...faultsOf(`endpoint ${endpoint}`, (await this.scene.conductor.report(endpoint)).tallies));
    }
    const { output } = this.scene.child('hub');
    const most = MAX_LOG * Math.ceil((performance.now() - this.openedAt) / LOG_MS);
    if (output.length > most) lines.push(`switch: wrote ${output.length} characters of log; ${most} are enough`);
    const strange = output.split('\n').find((line) => !isPlain(line) || line.startsWith('port vm2: forged'));
    if (strange !== undefined) lines.push(`switch: wrote a line that is not its own: ${JSON.stringify(strange)}`);
    return lines;
  }

  async close(): Promise<void> {
    await this.scene.close();
  }
}

interface Share {
  readonly rates: number[];
  lost: number;
}

/** Tells the share that is left beside each kind of neighbour; false where something came wrong. */
export async function measureIsolation(say: (line: string) => void, stop: AbortSignal): Promise<boolean> {
  const shares = new Map<(typeof HOSTILITIES)[number], Share>(
    HOSTILITIES.map((kind) => [kind, { rates: [], lost: 0 }]),
  );
  const isolation = await IsolationScene.open();
  let violations: string[] = [];
  try {
    isolation.scene.conductor.go();
    // In turns, as the machine is not the same all the time.
    for (let turn = 0; turn < TURNS && !stop.aborted; turn++) {
      for (const [kind, share] of shares) await measure(isolation, kind, share);
    }
    violations = await isolation.violations();
  } finally {
    await isolation.close();
  }
  for (const line of violations) say(`isolation: VIOLATION: ${line}`);
  const alone = spread(shares.get('burns')?.rates ?? []).median;
  for (const [kind, { rates, lost }] of shares) {
    const { median } = spread(rates);
    const share = kind === 'burns' ? '' : `, ${Math.round((100 * median) / alone)} %`;
    say(
      `isolation: beside one that ${kind}: ${thousands(median)} answers a second${share}; ${thousands(lost)} requests lost`,
    );
  }
  const isGood = violations.length === 0;
  return (await measureInventors(say, stop)) && isGood;
}

/** Tells what two endpoints lose beside those who invent addresses, in each thread layout; false where it is anything. */
async function measureInventors(say: (line: string) => void, stop: AbortSignal): Promise<boolean> {
  let isGood = true;
  for (const mode of ALL_MODES) {
    if (stop.aborted) break;
    const isolation = await IsolationScene.open(mode);
    try {
      for (const kind of INVENTORS) {
        const { answered, lost, full } = await isolation.endure(kind, INVENTING_MS);
        const rate = thousands((1000 * answered) / INVENTING_MS);
        say(
          `isolation, mode ${mode}: beside one that ${kind}: ${rate} answers a second; ${thousands(lost)} requests lost, ` +
            `${thousands(full)} packets found a full ring`,
        );
        if (lost > full) isGood = false;
      }
      for (const line of await isolation.violations()) {
        say(`isolation, mode ${mode}: VIOLATION: ${line}`);
        isGood = false;
      }
    } finally {
      await isolation.close();
    }
  }
  return isGood;
}

async function measure(isolation: IsolationScene, kind: Hostility, share: Share): Promise<void> {
  const neighbour = await isolation.invite(kind);
  try {
    await sleep(SETTLE_MS);
    const start = performance.now();
    const before = await isolation.totals();
    await sleep(WINDOW_MS);
    const after = await isolation.totals();
    share.rates.push((1000 * (after.answered - before.answered)) / (performance.now() - start));
    share.lost += after.missing - before.missing;
  } finally {
    await neighbour.stop();
  }
}
