/**
 * Kills one party of a scene again and again at random moments, under load or at rest, starts it anew each time, and looks
 * whether the others mind: that they live and reconnect, that no packet comes twice, damaged or to the wrong place, that none is lost
 * but in the time around a kill, and that nothing stays behind.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import type { Mode } from '../support/threads/modes.js';
import { leaksBetween, type Stock, takeStock } from './readings.js';
import { spread } from './report.js';
import type { Scene } from './scene.js';
import { Watch } from './watch.js';

/** Who is killed. */
export interface Victim {
  readonly name: string;
  /** The processes of the scene that end with it. */
  readonly processes: readonly string[];
  /** Whether the endpoints that live on lose their link with it. */
  readonly isHub: boolean;
  kill(): Promise<void>;
  /** Resolves when it says that it is ready. */
  restart(): Promise<void>;
  /** Whether what endpoint `from` asks of `to` does not pass the victim: nothing of it may be lost, ever. */
  isSpared(from: number, to: number): boolean;
}

export interface CampaignOptions {
  readonly kills: number;
  readonly seed: number;
  /** The thread layout of all endpoints. Without it a campaign mixes them. */
  readonly mode?: Mode | undefined;
  readonly stop?: AbortSignal;
  /** Gets a line now and then. */
  readonly tell?: (line: string) => void;
}

export interface CampaignResult {
  readonly victim: string;
  readonly kills: number;
  readonly answered: number;
  /** Requests without an answer, each around a kill of a party on its way. */
  readonly lost: number;
  /** From the ready line to an answer from everybody to everybody, in ms, each time that it was not killed again before. */
  readonly recoveryMs: readonly number[];
  /** What must not have been, a line each. */
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
/** So many kills are told of by one line. */
const TELL_EVERY = 10;
/** With so many something is wrong enough. */
const MAX_VIOLATIONS = 20;

export class Campaign {
  private readonly watch: Watch;
  private readonly recoveryMs: number[] = [];
  private readonly random: Random;
  private rounds = 0;
  /** Processes that are to live, by name. */
  private readonly spared: Map<string, number>;

  constructor(
    private readonly scene: Scene,
    private readonly victim: Victim,
    private readonly options: CampaignOptions,
  ) {
    this.random = new Random(options.seed);
    this.watch = new Watch(scene, (from, to) => victim.isSpared(from, to));
    this.spared = new Map([...scene.pids()].filter(([name]) => !victim.processes.includes(name)));
  }

  async run(): Promise<CampaignResult> {
    const { scene, victim, options, watch } = this;
    await watch.flowing();
    // What the first loss makes once and for all is no leak.
    let baseline: Stock | null = null;
    let kills = 0;
    while (kills < options.kills && watch.violations.length < MAX_VIOLATIONS && !options.stop?.aborted) {
      const before = kills;
      kills += await this.killSome();
      await watch.rest();
      await watch.load(LOAD_MS + this.random.below(LOAD_RANGE_MS));
      baseline ??= await takeStock(scene, this.spared);
      if (Math.floor(kills / TELL_EVERY) > Math.floor(before / TELL_EVERY)) this.tell(kills);
    }
    if (baseline !== null) watch.violations.push(...leaksBetween(baseline, await takeStock(scene, this.spared)));
    for (const endpoint of scene.running()) await watch.dismiss(endpoint);
    const { answered, missing } = await watch.totals();
    const { recoveryMs } = this;
    return { victim: victim.name, kills, answered, lost: missing, recoveryMs, violations: watch.violations };
  }

  /**
   * Kills the victim, and now and then once more while the others are about to connect again. Packets on their way to or from
   * the victim may be lost. Returns the number of kills.
   */
  private async killSome(): Promise<number> {
    const { scene, victim, watch, random } = this;
    // Between two kills the scene is at rest.
    const isQuiet = this.rounds++ % QUIET === 1;
    if (!isQuiet) scene.conductor.go();
    await sleep((isQuiet ? QUIET_MS : LOAD_MS) + random.below(LOAD_RANGE_MS));
    for (let kills = 1; ; kills++) {
      for (const endpoint of scene.running()) {
        if (victim.processes.includes(`endpoint ${endpoint}`)) await watch.remember(endpoint);
      }
      const links = watch.links();
      await victim.kill();
      for (const [name, pid] of this.spared) {
        if (scene.pids().get(name) !== pid) throw new Error(`${name} did not outlive it:\n${scene.child(name).output}`);
      }
      await sleep(random.below(AWAY_RANGE_MS));
      await victim.restart();
      if (random.below(AGAIN) > 0) {
        const start = performance.now();
        if (isQuiet && victim.isHub) await watch.linked(links);
        await watch.flowing();
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
        `${Math.round(max)} ms at worst; ${this.watch.violations.length} violations`,
    );
  }
}
