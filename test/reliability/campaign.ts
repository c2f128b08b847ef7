/**
 * Kills one party of a scene again and again at random moments under load, starts it anew each time, and looks whether the
 * others mind: that they live and reconnect, that no packet comes twice, damaged or to the wrong place, that none is lost
 * but in the time around a kill, and that nothing stays behind.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { freeHugepages, leaksOf, type Reading, read } from './readings.js';
import { faultsOf, type Scene, switchFaultsOf } from './scene.js';
import type { PeerTallies } from './tallies.js';

/** Who is killed. */
export interface Victim {
  readonly name: string;
  /** The processes of the scene that end with it. */
  readonly processes: readonly string[];
  kill(): Promise<void>;
  /** Resolves when it says that it is ready. */
  restart(): Promise<void>;
  /** Whether what endpoint `from` asks of `to` does not pass the victim: nothing of it may be lost, ever. */
  isSpared(from: number, to: number): boolean;
}

export interface CampaignOptions {
  readonly kills: number;
  readonly seed: number;
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
  /** From the ready line to an answer from everybody to everybody, in ms, a kill each. */
  readonly recoveryMs: readonly number[];
  /** What must not have been, a line each. */
  readonly violations: readonly string[];
}

/** For traffic to come again, and to come to rest, on a machine that is busy. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 10;
/** A late answer is no lost one. */
const LATE_MS = 3_000;
/** Load before a kill, and between two kills without one: 30 to 30 + 256 ms. */
const LOAD_MS = 30;
const LOAD_RANGE_MS = 256;
/** The victim is away for 0 to so many ms, and for as long as it takes to start. */
const AWAY_RANGE_MS = 1024;
/** So many kills are told of by one line. */
const TELL_EVERY = 10;
/** With so many something is wrong enough. */
const MAX_VIOLATIONS = 20;

type Pairs = Map<string, PeerTallies>;

export class Campaign {
  private readonly violations: string[] = [];
  private readonly recoveryMs: number[] = [];
  private readonly random: Random;
  private readonly spared: Map<string, number>;
  private baseline: { readings: Map<string, Reading>; files: string[]; hugepages: number } | null = null;
  /** Of endpoints that were killed. */
  private past = { answered: 0, missing: 0 };

  constructor(
    private readonly scene: Scene,
    private readonly victim: Victim,
    private readonly options: CampaignOptions,
  ) {
    this.random = new Random(options.seed);
    this.spared = new Map([...scene.pids()].filter(([name]) => !victim.processes.includes(name)));
  }

  async run(): Promise<CampaignResult> {
    const { victim, options } = this;
    await this.flowing();
    let kills = 0;
    while (kills < options.kills && this.violations.length < MAX_VIOLATIONS && !options.stop?.aborted) {
      await this.killOnce();
      await this.rest();
      await this.load();
      kills++;
      if (this.baseline === null) this.baseline = await this.takeStock();
      if (kills % TELL_EVERY === 0) {
        const times = [...this.recoveryMs].sort((a, b) => a - b);
        options.tell?.(
          `${victim.name}: ${kills} kills; traffic was back after ${Math.round(times[times.length >> 1]!)} ms in the middle, ` +
            `${Math.round(times.at(-1)!)} ms at worst; ${this.violations.length} violations`,
        );
      }
    }
    await this.checkLeaks();
    const pairs = await this.scene.pairs();
    for (const endpoint of this.scene.running()) this.violations.push(...(await this.scene.dismiss(endpoint)));
    return {
      ...{ victim: victim.name, kills, recoveryMs: this.recoveryMs, violations: this.violations },
      answered: this.past.answered + total(pairs, 'answered'),
      lost: this.past.missing + total(pairs, 'missing'),
    };
  }

  /** Under load. What is on its way may be lost, but for those whom it is no business of. */
  private async killOnce(): Promise<void> {
    const { scene, victim } = this;
    scene.conductor.go();
    await sleep(LOAD_MS + this.random.below(LOAD_RANGE_MS));
    const before = await scene.pairs();
    await victim.kill();
    for (const [pair, tallies] of before) {
      if (!victim.processes.includes(`endpoint ${pair.split('>')[0]}`)) continue;
      this.past.answered += tallies.answered;
      this.past.missing += tallies.missing;
    }
    for (const [name, pid] of this.spared) {
      if (scene.pids().get(name) !== pid) throw new Error(`${name} did not outlive it:\n${scene.child(name).output}`);
    }
    await sleep(this.random.below(AWAY_RANGE_MS));
    await victim.restart();
    this.recoveryMs.push(await this.flowing());
  }

  /** Resolves when everybody has had an answer from everybody; to how long that took. */
  private async flowing(): Promise<number> {
    const { scene } = this;
    const start = performance.now();
    scene.conductor.go();
    const before = await scene.pairs();
    await this.until('everybody answers everybody', async () => {
      const now = await scene.pairs();
      return [...now].every(([pair, { answered }]) => answered > (before.get(pair)?.answered ?? 0));
    });
    return performance.now() - start;
  }

  /** Nobody sends; resolves when nothing is on its way any more. */
  private async rest(): Promise<Pairs> {
    const { scene } = this;
    scene.conductor.pause();
    let pairs: Pairs = new Map();
    await this.until('the traffic comes to rest', async () => {
      pairs = await scene.pairs();
      return [...pairs.values()].every(({ waiting }) => waiting === 0);
    });
    for (const [pair, { sent, answered, missing }] of pairs) {
      if (sent !== answered + missing) this.violations.push(`${pair}: ${sent} is not ${answered} + ${missing}`);
      const [from = 0, to = 0] = pair.split('>').map(Number);
      if (missing > 0 && this.victim.isSpared(from, to)) await this.expectNoneMissing(pair, 0);
    }
    if (scene.options.hub === 'switch') this.violations.push(...switchFaultsOf(await scene.switchStats()));
    for (const endpoint of scene.running()) {
      this.violations.push(...faultsOf(`endpoint ${endpoint}`, (await scene.conductor.report(endpoint)).tallies));
    }
    return pairs;
  }

  /** While everybody is there nothing is lost. */
  private async load(): Promise<void> {
    const before = await this.scene.pairs();
    this.scene.conductor.go();
    await sleep(LOAD_MS + this.random.below(LOAD_RANGE_MS));
    const pairs = await this.rest();
    for (const pair of pairs.keys()) await this.expectNoneMissing(pair, before.get(pair)?.missing ?? 0);
  }

  private async expectNoneMissing(pair: string, before: number): Promise<void> {
    const end = performance.now() + LATE_MS;
    for (;;) {
      const missing = (await this.scene.pairs()).get(pair)?.missing ?? 0;
      if (missing <= before) return;
      if (performance.now() > end) {
        this.violations.push(`${pair}: ${missing - before} lost although nobody on the way was away`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }

  private async takeStock(): Promise<NonNullable<typeof this.baseline>> {
    for (const endpoint of this.scene.running()) await this.scene.conductor.report(endpoint, 'collect');
    const readings = new Map([...this.spared].map(([name, pid]) => [name, read(pid)]));
    return { readings, files: this.scene.files(), hugepages: freeHugepages() };
  }

  private async checkLeaks(): Promise<void> {
    const { baseline, scene } = this;
    if (baseline === null) return;
    const now = await this.takeStock();
    for (const [name, before] of baseline.readings) {
      this.violations.push(...leaksOf(name, before, now.readings.get(name)!));
    }
    if (scene.files().join() !== baseline.files.join()) {
      this.violations.push(`sockets: ${baseline.files.join(' ')} -> ${scene.files().join(' ')}`);
    }
    if (now.hugepages < baseline.hugepages) {
      this.violations.push(`free hugepages: ${baseline.hugepages} -> ${now.hugepages}`);
    }
  }

  private async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      if (performance.now() > end) {
        const outputs = [...this.scene.pids().keys()].map((name) => `${name}:\n${this.scene.child(name).output}`);
        throw new Error(`${what}: not within ${PATIENCE_MS} ms\n${outputs.join('\n')}`);
      }
      await sleep(LOOK_MS);
    }
  }
}

const total = (pairs: Pairs, what: 'answered' | 'missing'): number =>
  [...pairs.values()].reduce((sum, tallies) => sum + tallies[what], 0);
