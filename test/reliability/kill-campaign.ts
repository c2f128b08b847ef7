/**
 * Kills one process of a testbed again and again at random moments, under load or at rest, and starts it anew each time. Checks
 * that the others live and reconnect, that no packet comes twice, damaged or to the wrong endpoint, that packets are lost only
 * around a kill, and that nothing is left behind.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import type { Mode } from '../support/threads/modes.js';
import { LossChecker } from './loss-checker.js';
import { leaksBetween, readResources, type TestbedResources } from './process-resources.js';
import { spread } from './report.js';
import type { Testbed } from './testbed.js';

/** The process that is killed. */
export interface Victim {
  readonly name: string;
  /** The processes of the testbed that end with it. */
  readonly processes: readonly string[];
  /** Whether the endpoints that live on lose their link with it. */
  readonly isHub: boolean;
  kill(): Promise<void>;
  /** Resolves when it says that it is ready. */
  restart(): Promise<void>;
  /** Whether requests of endpoint `from` to endpoint `to` do not pass the victim: none of them may ever be lost. */
  isSpared(from: number, to: number): boolean;
}

export interface CampaignOptions {
  readonly kills: number;
  readonly seed: number;
  /** The thread layout of all endpoints. Without it a campaign mixes them. */
  readonly mode?: Mode | undefined;
  readonly stop?: AbortSignal;
  /** Called with a line of progress now and then. */
  readonly tell?: (line: string) => void;
}

export interface CampaignResult {
  readonly victim: string;
  readonly kills: number;
  readonly answered: number;
  /** Requests without an answer, each around a kill of a process on its way. */
  readonly lost: number;
  /** Milliseconds from the ready line until everybody had an answer from everybody, unless the victim was killed again before. */
  readonly recoveryMs: readonly number[];
  /** What was wrong, one line each. */
  readonly violations: readonly string[];
}

/** Load before a kill, and between two kills without one: 30 to 30 + 256 ms. */
const LOAD_MS = 30;
const LOAD_RANGE_MS = 256;
/**
 * One round of so many, from the second on, is quiet: nobody sends from {@link QUIET_MS} before the kill until all have their
 * link back, so the loss itself must wake whatever sleeps. An endpoint announces its address a second time 2 s after its link
 * is up.
 */
const QUIET = 3;
const QUIET_MS = 2100;
/** The victim is away for 0 to so many ms, and for as long as it takes to start. */
const AWAY_RANGE_MS = 1024;
/** One victim of so many is killed again, 0 to so many ms after it was ready. */
const AGAIN = 5;
const AGAIN_RANGE_MS = 300;
/** Kills per line of progress. */
const TELL_EVERY = 10;
/** The campaign ends when there are so many. */
const MAX_VIOLATIONS = 20;

export class KillCampaign {
  private readonly checker: LossChecker;
  private readonly recoveryMs: number[] = [];
  private readonly random: Random;
  private rounds = 0;
  /** The processes that must live, by name. */
  private readonly spared: Map<string, number>;

  constructor(
    private readonly testbed: Testbed,
    private readonly victim: Victim,
    private readonly options: CampaignOptions,
  ) {
    this.random = new Random(options.seed);
    this.checker = new LossChecker(testbed, (from, to) => victim.isSpared(from, to));
    this.spared = new Map([...testbed.pids()].filter(([name]) => !victim.processes.includes(name)));
  }

  async run(): Promise<CampaignResult> {
    const { testbed, victim, options, checker } = this;
    await checker.flowing();
    // What the first loss of a link creates once is not a leak.
    let baseline: TestbedResources | null = null;
    let kills = 0;
    while (kills < options.kills && checker.violations.length < MAX_VIOLATIONS && !options.stop?.aborted) {
      const before = kills;
      kills += await this.killSome();
      await checker.rest();
      await checker.load(LOAD_MS + this.random.below(LOAD_RANGE_MS));
      baseline ??= await readResources(testbed, this.spared);
      if (Math.floor(kills / TELL_EVERY) > Math.floor(before / TELL_EVERY)) this.tell(kills);
    }
    if (baseline !== null)
      checker.violations.push(...leaksBetween(baseline, await readResources(testbed, this.spared)));
    for (const endpoint of testbed.running()) await checker.dismiss(endpoint);
    const { answered, missing } = await checker.totals();
    const { recoveryMs } = this;
    return { victim: victim.name, kills, answered, lost: missing, recoveryMs, violations: checker.violations };
  }

  /**
   * Kills the victim, and now and then once more while the others are about to connect again. Packets on their way to or from
   * the victim may be lost. Returns the number of kills.
   */
  private async killSome(): Promise<number> {
    const { testbed, victim, checker, random } = this;
    // Between two kills the testbed is at rest.
    const isQuiet = this.rounds++ % QUIET === 1;
    if (!isQuiet) testbed.control.go();
    await sleep((isQuiet ? QUIET_MS : LOAD_MS) + random.below(LOAD_RANGE_MS));
    for (let kills = 1; ; kills++) {
      for (const endpoint of testbed.running()) {
        if (victim.processes.includes(`endpoint ${endpoint}`)) await checker.remember(endpoint);
      }
      const links = checker.links();
      await victim.kill();
      for (const [name, pid] of this.spared) {
        if (testbed.pids().get(name) !== pid)
          throw new Error(`${name} did not outlive it:\n${testbed.child(name).output}`);
      }
      await sleep(random.below(AWAY_RANGE_MS));
      await victim.restart();
      if (random.below(AGAIN) > 0) {
        const start = performance.now();
        if (isQuiet && victim.isHub) await checker.linked(links);
        await checker.flowing();
        this.recoveryMs.push(performance.now() - start);
        return kills;
      }
      await sleep(random.below(AGAIN_RANGE_MS));
    }
  }

  private tell(kills: number): void {
    const { median, max } = spread(this.recoveryMs);
    this.options.tell?.(
      `${this.victim.name}: ${kills} kills; traffic was back after ${Math.round(median)} ms in the middle, ` +
        `${Math.round(max)} ms at worst; ${this.checker.violations.length} violations`,
    );
  }
}
